"""What becomes of the rows of a batch, 200 at a time.

Status codes are those of "Core Data Types Used in API Calls" (SOAP API Developer Guide);
texts are as recorded from orgs where a record exists.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from bulknb.sandbox import values
from bulknb.sandbox.plan import Column, Plan
from bulknb.sandbox.schema import ObjectType, Record, ValidationRule
from bulknb.sandbox.store import Outcome, Store


class RowError(NamedTuple):
    """Why one row fails."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the form of result files: ``CODE:message:Field1,Field2 --``."""
        named = ",".join(self.fields) + " " if self.fields else ""
        return f"{self.code}:{self.message}:{named}--"

    @classmethod
    def parse(cls, text: str) -> "RowError":
        """Return the error that such a text tells of."""
        code, _, rest = text.partition(":")
        message, _, named = rest.rpartition(":")
        fields = named.removesuffix("--").strip()
        return cls(code, message, tuple(fields.split(",")) if fields else ())


class _Clear:
    """The cell said ``#N/A``: set the field to null."""

    def __bool__(self) -> bool:
        return False  # like None, it is no value


log = logging.getLogger("bulknb.sandbox")

CLEAR = _Clear()

# Fields whose values are more than what the store holds: validation rules get Python's types.
_PYTHON_TYPES = frozenset({"boolean", "date", "datetime"})

# The values of each column, one for each row.
Typed: TypeAlias = Mapping[Column, Sequence[Any]]
# The records that the rows are about: the values of each field, one for each row.
Columns: TypeAlias = dict[str, Sequence[Any]]
# One record: its values in the order of the object's fields.
Values: TypeAlias = tuple[Any, ...]
T = TypeVar("T")


class Transaction:
    """Rows that are saved together, each for itself: a bad row does not stop the others.

    Parameters
    ----------
    store : Store
        The org's data.
    objects : mapping
        All objects, by name in small letters.
    plan : Plan
        What the columns mean.
    at : float
        When it commits, in seconds since the epoch.
    user : str
        Id of the user who saves.
    """

    def __init__(
        self,
        store: Store,
        objects: Mapping[str, ObjectType],
        plan: Plan,
        *,
        at: float,
        user: str,
    ) -> None:
        self._store = store
        self._objects = objects
        self._plan = plan
        self._at = values.stamp(at)
        self._errors: dict[int, RowError] = {}
        self._python_fields = [
            field for field in plan.kind.all_fields if field.type in _PYTHON_TYPES
        ]
        self._required = [field.name for field in plan.kind.all_fields if field.required]
        blank = plan.kind.blank() | {
            "OwnerId": user,
            "IsDeleted": 0,
            "CreatedById": user,
            "CreatedDate": self._at,
        }
        self._names = tuple(blank)
        self._blank = tuple(blank.values())

    def run(self, rows: Sequence[Sequence[str]]) -> list[Outcome]:
        """Save the rows and return what became of each, in their order."""
        self._errors = {}
        if not rows:
            return []
        typed = self._typed(rows)
        targets = self._targets(typed, len(rows))
        records: Columns = dict(zip(self._names, zip(*targets, strict=True), strict=True))
        return self._delete(records) if self._plan.deletes else self._save(typed, records)

    def _typed(self, rows: Sequence[Sequence[str]]) -> dict[Column, list[Any]]:
        """Return the values of each column, parents as Ids."""
        cells = zip(*self._checked_widths(rows), strict=True)
        typed = {
            column: self._read(column, texts)
            for column, texts in zip(self._plan.columns, cells, strict=True)
        }
        for column, found in typed.items():
            if column.field.type == "reference":
                typed[column] = self._resolve(column, found)
        return typed

    def _fail(self, row: int, code: str, message: str, *fields: str) -> None:
        """Note an error; the first one of a row is what its result says."""
        self._errors.setdefault(row, RowError(code, message, fields))

    def _checked_widths(self, rows: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        width = len(self._plan.columns)
        if all(len(row) == width for row in rows):
            return rows
        blank = [""] * width
        for index, row in enumerate(rows):
            if len(row) != width:
                self._fail(
                    index,
                    "INVALID_FIELD",
                    "Number of fields in header is different from the row."
                    f" header = {width} row = {len(row)}",
                )
        return [row if len(row) == width else blank for row in rows]

    def _read(self, column: Column, texts: Sequence[str]) -> list[Any]:
        """Return a column's values: None where the cell is empty, CLEAR where it says so."""
        if values.NULL not in texts:
            try:
                return values.read_all(column.source, texts)
            except (ValueError, values.RefusedError):
                pass  # find out which cell it was
        read = values.reader(column.source)
        return [self._read_cell(column, read, row, text) for row, text in enumerate(texts)]

    def _read_cell(self, column: Column, read: Callable[[str], Any], row: int, text: str) -> Any:
        if text in ("", values.NULL):
            return CLEAR if text else None
        try:
            return read(text)
        except values.RefusedError as refused:
            self._fail(row, refused.code, refused.message, column.field.name)
        except ValueError:
            self._fail(
                row,
                "INVALID_FIELD",
                f"Failed to deserialize field at col {column.position}. Due to, '{text}' is not a"
                f" valid value for the type {column.source.kind.soap}",
                column.field.name,
            )
        return None

    def _resolve(self, column: Column, found: list[Any]) -> list[Any]:
        """Replace what names a parent by the parent's Id."""
        parent = column.parent or self._objects[(column.field.reference_to or "").lower()]
        key = column.source if column.parent else parent.all_fields[0]
        wanted = {value for value in found if _given(value)}
        known = {
            _fold(value): record_id
            for value, record_id in self._store.find_ids(parent, key.name, wanted)
        }
        parents = {value: known.get(_fold(value)) for value in wanted}
        for row, value in enumerate(found):
            if value in wanted and parents[value] is None:
                self._errors.setdefault(row, _no_parent(column, parent, value))
        return [parents.get(value, value) for value in found]

    def _targets(self, typed: Typed, count: int) -> list[Values]:
        """Return the record each row is about, a blank one for an insert or if it failed."""
        plan = self._plan
        keys = next(
            (found for column, found in typed.items() if column.field is plan.key),
            [None] * count,
        )
        wanted = {key for key in keys if _given(key)}
        if plan.operation == "insert" and not wanted:
            return [self._blank] * count
        known = self._known(wanted)
        seen: set[Any] = set()
        targets = []
        for row, key in enumerate(keys):
            found = self._target(key, known, seen)
            if isinstance(found, RowError):
                self._errors.setdefault(row, found)
                found = self._blank
            targets.append(found)
        return targets

    def _known(self, wanted: set[Any]) -> Mapping[Any, list[Values]]:
        """Return the records that have these keys."""
        plan = self._plan
        place, deleted = self._names.index(plan.key.name), self._names.index("IsDeleted")
        known: dict[Any, list[Values]] = {}
        for record in self._store.find_rows(plan.kind, plan.key.name, wanted) if wanted else ():
            if plan.by_id or not record[deleted]:
                known.setdefault(_fold(record[place]), []).append(record)
        return known

    def _target(
        self, key: Any, known: Mapping[Any, list[Values]], seen: set[Any]
    ) -> Values | RowError:
        plan = self._plan
        inserts = plan.operation == "insert"
        if not _given(key):
            if inserts or (plan.operation == "upsert" and plan.by_id):
                return self._blank
            return RowError("MISSING_ARGUMENT", f"{plan.key.name} not specified")
        if inserts and plan.by_id:
            message = "cannot specify Id in an insert call"
            return RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, ("Id",))
        if inserts:
            return self._blank
        folded = _fold(key)
        if folded in seen:
            # Which of the two rows an org refuses is not recorded; here it is the later one.
            code = "DUPLICATE_VALUE" if plan.by_id else "DUPLICATE_EXTERNAL_ID"
            kind = "id" if plan.by_id else "external id"
            return RowError(code, f"Duplicate {kind} specified: {key}", (plan.key.name,))
        seen.add(folded)
        return self._existing(key, known.get(folded, []))

    def _existing(self, key: Any, records: Sequence[Values]) -> Values | RowError:
        plan = self._plan
        if len(records) > 1:
            place = self._names.index("Id")
            found = ", ".join(record[place] for record in records)
            message = f"more than one record found for external id field: [{found}]"
            return RowError("DUPLICATE_EXTERNAL_ID", message, (plan.key.name,))
        if records and records[0][self._names.index("IsDeleted")]:
            return RowError("ENTITY_IS_DELETED", "entity is deleted")
        if records:
            return records[0]
        if not plan.by_id:
            return self._blank
        if key[:3] != plan.kind.key_prefix:
            message = f"{plan.kind.name} ID: id value of incorrect type: {key}"
            return RowError("MALFORMED_ID", message, ("Id",))
        return RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")

    def _sound(self, items: Sequence[T]) -> Sequence[T]:
        """Return what belongs to the rows that have not failed."""
        if not self._errors:
            return items
        return [item for row, item in enumerate(items) if row not in self._errors]

    # Deletes

    def _delete(self, records: Columns) -> list[Outcome]:
        count = len(records["Id"])
        if self._plan.operation == "hardDelete":
            self._store.remove(self._plan.kind, self._sound(records["Id"]))
        else:
            records["IsDeleted"] = [1] * count
            self._stamp(records)
            self._write(records)
        return self._outcomes(records["Id"], [False] * count)

    # Inserts, updates, upserts

    def _save(self, typed: Typed, records: Columns) -> list[Outcome]:
        self._assign(typed, records)
        self._check_required(records)
        if self._plan.kind.validation_rules:
            self._check_rules(records)
        for column in typed:
            if column.field.unique and column.field is not self._plan.key:
                self._check_unique(column.field.name, records)
        created = [key is None and row not in self._errors for row, key in enumerate(records["Id"])]
        new_ids = iter(self._store.new_ids(self._plan.kind.key_prefix or "", sum(created)))
        records["Id"] = [
            next(new_ids) if new else key for new, key in zip(created, records["Id"], strict=True)
        ]
        self._stamp(records)
        self._write(records)
        return self._outcomes(records["Id"], created)

    def _stamp(self, records: Columns) -> None:
        for name in ("LastModifiedDate", "SystemModstamp"):
            records[name] = [self._at] * len(records[name])

    def _write(self, records: Columns) -> None:
        sound = {name: self._sound(column) for name, column in records.items()}
        self._store.save_columns(self._plan.kind, sound)

    def _assign(self, typed: Typed, records: Columns) -> None:
        """Put the values of the rows into their records."""
        for column, found in typed.items():
            name, empty = column.field.name, column.field.empty
            if name == "Id":
                continue
            if not column.field.writable:
                self._refuse(name, found)
            if not all(found):
                records[name] = [
                    old if value is None else empty if value is CLEAR else value
                    for value, old in zip(found, records[name], strict=True)
                ]
            else:
                records[name] = found

    def _refuse(self, name: str, found: Sequence[Any]) -> None:
        """Fail the rows that have a value for a field that nobody may set."""
        for row, value in enumerate(found):
            if value is not None:
                self._fail(
                    row,
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    f"Unable to create/update fields: {name}. Please check the security settings"
                    " of this field and verify that it is read/write for your profile or"
                    " permission set.",
                    name,
                )

    def _check_required(self, records: Columns) -> None:
        missing: dict[int, list[str]] = {}
        for name in self._required:
            if None in records[name] or "" in records[name]:
                for row, value in enumerate(records[name]):
                    if value in (None, ""):
                        missing.setdefault(row, []).append(name)
        for row, names in missing.items():
            message = f"Required fields are missing: [{', '.join(names)}]"
            self._fail(row, "REQUIRED_FIELD_MISSING", message, *names)

    def _check_rules(self, records: Columns) -> None:
        typed = dict(records)
        for field in self._python_fields:
            typed[field.name] = [values.to_python(field, value) for value in records[field.name]]
        for row, record in enumerate(zip(*typed.values(), strict=True)):
            if row in self._errors:
                continue
            view = dict(zip(typed, record, strict=True))
            for rule in self._plan.kind.validation_rules:
                if message := _refusal(rule, view):
                    where = (rule.field,) if rule.field else ()
                    self._fail(row, "FIELD_CUSTOM_VALIDATION_EXCEPTION", message, *where)

    def _check_unique(self, name: str, records: Columns) -> None:
        given = [_fold(value) for value in records[name] if value is not None]
        wanted = set(given)
        found = self._store.find_ids(self._plan.kind, name, wanted)
        if not found and len(wanted) == len(given):
            return
        holders = {_fold(value): record_id for value, record_id in found}
        first: dict[Any, int] = {}
        for row, (key, value) in enumerate(zip(records["Id"], records[name], strict=True)):
            if value is None or row in self._errors:
                continue
            holder = holders.get(_fold(value), key)
            if holder == key and first.setdefault(_fold(value), row) != row:
                holder = "<unknown>"  # a row before it, in the same transaction
            if holder != key:
                message = (
                    f"duplicate value found: {name} duplicates value on record with id: {holder}"
                )
                self._fail(row, "DUPLICATE_VALUE", message, name)

    def _outcomes(self, keys: Iterable[str | None], created: Iterable[bool]) -> list[Outcome]:
        outcomes = [Outcome(key or "", new, "") for key, new in zip(keys, created, strict=True)]
        for row, error in self._errors.items():
            outcomes[row] = Outcome(outcomes[row].id, False, str(error))
        return outcomes


def _refusal(rule: ValidationRule, record: Record) -> str:
    """Return why a rule refuses a record, empty if it does not."""
    try:
        return rule.message if rule.when(record) else ""
    except Exception as error:
        # Ours: a broken rule fails its rows; it must not stop the org.
        log.exception("The validation rule %s is broken", rule.name)
        return f'The formula in the "{rule.name}" validation rule is invalid: {error!r}'


def _fold(value: Any) -> Any:
    """Return what two values have in common that an org takes for the same key."""
    return value.lower() if isinstance(value, str) else value


def _given(value: Any) -> bool:
    return value is not None and value is not CLEAR


def _no_parent(column: Column, parent: ObjectType, value: Any) -> RowError:
    if column.key:
        return RowError(
            "INVALID_FIELD",
            f"Foreign key external ID: {value} not found for field {column.key.name}"
            f" in entity {parent.name}",
        )
    name = column.field.name
    if value[:3] != parent.key_prefix:
        message = f"{column.field.label or name}: id value of incorrect type: {value}"
        return RowError("MALFORMED_ID", message, (name,))
    return RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (name,))
