"""Objects and fields as an org declares them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

Record = dict[str, Any]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class FieldType:
    """What all fields of one Salesforce type have in common."""

    soap: str
    sql: str
    length: int = 0


# Names of "Field Types" and "Primitive Data Types" in the SOAP API Developer Guide.
TYPES = {
    "id": FieldType("tns:ID", "TEXT", 18),
    "reference": FieldType("tns:ID", "TEXT", 18),
    "string": FieldType("xsd:string", "TEXT COLLATE NOCASE", 255),
    "textarea": FieldType("xsd:string", "TEXT COLLATE NOCASE", 32_000),
    "picklist": FieldType("xsd:string", "TEXT COLLATE NOCASE", 255),
    "multipicklist": FieldType("xsd:string", "TEXT COLLATE NOCASE", 4_099),
    "combobox": FieldType("xsd:string", "TEXT COLLATE NOCASE", 255),
    "encryptedstring": FieldType("xsd:string", "TEXT COLLATE NOCASE", 175),
    "email": FieldType("xsd:string", "TEXT COLLATE NOCASE", 80),
    "phone": FieldType("xsd:string", "TEXT COLLATE NOCASE", 40),
    "url": FieldType("xsd:string", "TEXT COLLATE NOCASE", 255),
    "base64": FieldType("xsd:base64Binary", "TEXT"),
    "boolean": FieldType("xsd:boolean", "INTEGER"),
    "int": FieldType("xsd:int", "INTEGER"),
    "double": FieldType("xsd:double", "REAL"),
    "currency": FieldType("xsd:double", "REAL"),
    "percent": FieldType("xsd:double", "REAL"),
    "date": FieldType("xsd:date", "TEXT"),
    "datetime": FieldType("xsd:dateTime", "TEXT"),
}
NUMBERS = frozenset({"double", "currency", "percent"})


@dataclass(frozen=True, eq=False)
class Field:
    """One field of an object.

    Parameters
    ----------
    name, type : str
        API name and Salesforce's name of the type, such as ``string`` or ``datetime``.
    required, unique : bool
        Whether a record needs a value, and whether two records may share one (letter case
        makes no difference).
    external_id, id_lookup : bool
        Whether an upsert and a relationship column may name the record by this field.
    length : int, optional
        Longest text, in characters; by default that of the type.
    precision, scale : int
        Digits in all and digits after the point, of a number.
    writable : bool
        Whether a load may set it.
    reference_to, relationship_name : str, optional
        The object a reference leads to and the name of the way there; the name is by default
        ``Account`` for ``AccountId`` and ``Carrier__r`` for ``Carrier__c``.
    """

    name: str
    type: str = "string"
    _: KW_ONLY
    label: str | None = None
    required: bool = False
    unique: bool = False
    external_id: bool = False
    id_lookup: bool = False
    length: int | None = None
    precision: int = 18
    scale: int = 2
    reference_to: str | None = None
    relationship_name: str | None = None
    picklist: tuple[str, ...] = ()
    writable: bool = True
    default: object = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be the API name of a field.")
        if self.type not in TYPES:
            raise ValueError(f"{self.type!r} is no field type; known are {', '.join(TYPES)}.")
        if (self.type == "reference") != (self.reference_to is not None):
            raise ValueError(f"{self.name}: a reference needs reference_to, and nothing else may.")

    @property
    def kind(self) -> FieldType:
        """What all fields of this type share."""
        return TYPES[self.type]

    @property
    def custom(self) -> bool:
        """Whether the org added the field."""
        return self.name.endswith("__c")

    @property
    def relationship(self) -> str | None:
        """The name of the way to the parent record; None unless this is a reference."""
        if self.reference_to is None:
            return None
        if self.relationship_name:
            return self.relationship_name
        if self.custom:
            return f"{self.name.removesuffix('__c')}__r"
        return self.name.removesuffix("Id")

    @property
    def max_length(self) -> int:
        """Longest text in characters; 0 for what is no text."""
        return self.length or self.kind.length

    @property
    def indexed(self) -> bool:
        """Whether records can be named by this field (Salesforce's idLookup)."""
        return self.external_id or self.id_lookup or self.type == "id"

    @property
    def empty(self) -> object:
        """The value of a record that was never given one: a checkbox is unchecked, not null."""
        if self.type == "boolean":
            return bool(self.default)
        return self.default


@dataclass(frozen=True)
class ValidationRule:
    """A condition under which a record is refused.

    Parameters
    ----------
    name : str
        API name of the rule.
    when : callable
        Called with the record as it would be saved (values typed: float, bool, date, aware
        datetime, None); true means refuse.
    message : str
        What the failed row says.
    field : str, optional
        The field at which the message is shown.
    """

    name: str
    when: Callable[[Mapping[str, Any]], bool]
    message: str
    field: str | None = None


def _system_fields() -> tuple[Field, ...]:
    def stamp(name: str) -> Field:
        return Field(name, "datetime", writable=False)

    return (
        Field("Id", "id", writable=False),
        Field("OwnerId", "reference", reference_to="User"),
        Field("IsDeleted", "boolean", writable=False),
        stamp("CreatedDate"),
        Field("CreatedById", "reference", reference_to="User", writable=False),
        stamp("LastModifiedDate"),
        stamp("SystemModstamp"),
    )


SYSTEM_FIELDS = _system_fields()


@dataclass(frozen=True, eq=False)
class ObjectType:
    """One object of the org.

    Parameters
    ----------
    name : str
        API name; that of a custom object ends in ``__c``.
    fields : tuple of Field
        Its own fields; Id, OwnerId, IsDeleted and the stamps come by themselves.
    key_prefix : str, optional
        First three characters of its records' ids; by default the next free one from ``a00`` on.
    api_ms_per_row, apex_ms_per_row : float
        Milliseconds that saving one record takes, and that its triggers take on top.
    validation_rules : tuple of ValidationRule
        Conditions under which a record is refused.
    locks_parents : bool
        Whether saving a record locks the records that its own reference fields lead to, so that
        transactions side by side may get in each other's way; ``docs/sandbox.md`` has an example.
    """

    name: str
    fields: tuple[Field, ...]
    _: KW_ONLY
    label: str | None = None
    key_prefix: str | None = None
    api_ms_per_row: float = 0.8
    apex_ms_per_row: float = 0.0
    validation_rules: tuple[ValidationRule, ...] = ()
    locks_parents: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be the API name of an object.")
        names = [field.name.lower() for field in self.all_fields]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{self.name} declares twice: {', '.join(sorted(twice))}.")

    @cached_property
    def all_fields(self) -> tuple[Field, ...]:
        """System fields, then its own."""
        return SYSTEM_FIELDS + tuple(self.fields)

    @cached_property
    def references(self) -> tuple[Field, ...]:
        """Its own fields that lead to parent records."""
        return tuple(field for field in self.fields if field.reference_to)

    @property
    def custom(self) -> bool:
        """Whether the org added the object."""
        return self.name.endswith("__c")

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name.lower(): field for field in self.all_fields}

    @cached_property
    def _by_relationship(self) -> dict[str, Field]:
        return {f.relationship.lower(): f for f in self.all_fields if f.relationship}

    def field(self, name: str) -> Field | None:
        """Return the field of that name, in any letter case; None if there is none."""
        return self._by_name.get(name.lower())

    def reference(self, relationship: str) -> Field | None:
        """Return the reference field of that relationship name (``Carrier__r``), or None."""
        return self._by_relationship.get(relationship.lower())

    def blank(self) -> Record:
        """Return a record without values, its keys in the order of `all_fields`."""
        return {field.name: field.empty for field in self.all_fields}
