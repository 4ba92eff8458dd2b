"""How the columns of a batch map to the fields of an object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulknb.sandbox.schema import Field, ObjectType

# "Bulk API Limits": fields of a record.
MAX_COLUMNS = 5000


class BatchError(ValueError):
    """Why a batch, or a whole 2.0 job, fails before its first row."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a batch: a field, or the key of a parent record (`parent`, `key`)."""

    position: int
    field: Field
    parent: ObjectType | None = None
    key: Field | None = None

    @property
    def source(self) -> Field:
        """The field whose type the cells have."""
        return self.key or self.field


@dataclass(frozen=True, eq=False)
class Plan:
    """How the columns of a batch map to an object; made once, used for every transaction."""

    kind: ObjectType
    operation: str
    columns: tuple[Column, ...]
    key: Field

    @classmethod
    def read(
        cls,
        objects: Mapping[str, ObjectType],
        kind: ObjectType,
        operation: str,
        external_id: str | None,
        header: Sequence[str],
    ) -> "Plan":
        """Match a header with an object.

        Raises
        ------
        BatchError
            If a column names no field of the object, or none a parent can be found by.
        """
        if len(header) > MAX_COLUMNS:
            raise BatchError(f"Maximum number of fields exceeded: {MAX_COLUMNS}")  # ours
        columns = tuple(
            _column(objects, kind, position, name) for position, name in enumerate(header)
        )
        key = kind.field(external_id or "Id")
        if key is None:
            raise BatchError(f"Field name not found : {external_id}")
        return cls(kind, operation, columns, key)

    @property
    def binary(self) -> list[int]:
        """Where the cells are that may name a file."""
        return [column.position for column in self.columns if column.field.type == "base64"]

    @property
    def by_id(self) -> bool:
        """Whether rows name records by their Id."""
        return self.key.type == "id"

    @property
    def deletes(self) -> bool:
        """Whether rows name records to delete."""
        return self.operation in {"delete", "hardDelete"}


def _column(
    objects: Mapping[str, ObjectType], kind: ObjectType, position: int, name: str
) -> Column:
    # A polymorphic parent is written Type:Relationship.Field.
    path, dot, key_name = name.strip().rpartition(".")
    if not dot:
        if field := kind.field(key_name):
            return Column(position, field)
    elif field := kind.reference(path.rpartition(":")[2]):
        parent = objects[field.reference_to.lower()] if field.reference_to else None
        key = parent.field(key_name) if parent else None
        if parent and key and key.indexed:
            return Column(position, field, parent, key)
    raise BatchError(f"Field name not found : {name}")
