"""The columns of a load against the object's describe, before anything is sent."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from ._encode import Encoding, Nulls
from ._source import Source
from ._wire import Wire
from .errors import InputError, NotFoundError, UnexpectedAnswerError

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")

#: operation -> the describe's word for a field that it may write
_WRITABLE = {"insert": "createable", "update": "updateable", "upsert": "createable"}


@dataclass(frozen=True)
class Plan:
    """What the columns of a load mean.

    Attributes
    ----------
    fields : mapping
        Column -> the describe of its field; of a parent's one for ``Carrier__r.Code__c``.
    header : mapping
        Column -> its name in the CSV: as the org writes it, since letter case does not count here.
    key_column, key : str, optional
        The column that names a record, and its name in the CSV.
    """

    fields: Mapping[str, Mapping[str, Any]]
    header: Mapping[str, str]
    key_column: str | None

    @property
    def key(self) -> str | None:
        """What the column that names a record is called in the CSV."""
        return self.key_column and self.header.get(self.key_column, self.key_column)

    @property
    def types(self) -> dict[str, str]:
        """Column -> field type, "int" for all that hold whole numbers only."""
        return {column: _value_type(field) for column, field in self.fields.items()}

    def encoding(self, source: Source, *, tz: str | None, nulls: Nulls) -> Encoding:
        """Return how the values of the columns become text."""
        return Encoding(self.types, self.header, tz=tz, nulls=nulls, clear_text=source.text)


def describe(wire: Wire, name: str, *, since: float = math.inf) -> dict[str, Any]:
    """Return the describe of an object: its ``fields`` and what may be done with it.

    Source: REST API Developer Guide, "sObject Describe".

    Parameters
    ----------
    since : float
        One that came after this, by the clock's ``monotonic``, is not asked for again.

    Raises
    ------
    InputError
        The org has no such object, or the user may not see it.
    """
    came, found = wire.describes.get(name.lower(), (-math.inf, {}))
    if came >= since:
        return found
    path = f"/services/data/v{wire.api_version}/sobjects/{quote(name, safe='')}/describe"
    try:
        try:
            found = _json(wire, path)
        except UnexpectedAnswerError:  # such as half of it, or the page of a proxy
            found = _json(wire, path)
    except NotFoundError:
        pass
    else:
        if since < math.inf:  # else it is handed out, to be changed maybe
            wire.describes[name.lower()] = wire.clock.monotonic(), found
        return found
    raise InputError(f"The org has no object {name!r} that this user can see")


def _json(wire: Wire, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = wire.request("GET", path).json()
    return answer


def plan(
    wire: Wire, frame: pd.DataFrame | Source, name: str, operation: str, external_id: str | None
) -> Plan:
    """Check columns against the describe, and return what the load needs of it.

    Raises
    ------
    InputError
        The frame, the operation or a column does not fit; names the column and what is near it.
    """
    check_call(frame, operation, external_id)
    found, problems = survey(wire, describe(wire, name), frame.columns, operation, external_id)
    for problem in problems.values():
        raise InputError(problem)
    return found


def check_call(frame: pd.DataFrame | Source, operation: str, external_id: str | None) -> None:
    """Raise an InputError if operation, key and frame are none that could be loaded."""
    _check_operation(operation, external_id)
    if frame.empty:
        raise InputError("The frame has no rows or no columns: there is nothing to load")
    _check_names(frame.columns)


def survey(
    wire: Wire,
    description: Mapping[str, Any],
    names: Iterable[str],
    operation: str,
    external_id: str | None,
) -> tuple[Plan, dict[str, str]]:
    """Return what the columns mean, and for those that do not fit: why."""
    columns = list(names)
    problems = {}
    fields = {field["name"].lower(): field for field in description["fields"]}
    parents = _Parents(wire, description["fields"])
    key = external_id if operation == "upsert" else None if operation == "insert" else "Id"
    key_column = next((name for name in columns if key and name.lower() == key.lower()), None)
    if key and not key_column:
        hint = near(key, columns)
        problems[key] = f"Column {key!r} is missing: {operation} finds the records by it{hint}"
    found, header = {}, {}
    for column in columns:
        field = fields.get(column.lower())
        header[column] = field["name"] if field else column
        if field is None:
            header[column], field = parents.field(column)
        if field is None:
            known = [*(each["name"] for each in fields.values()), *parents.columns()]
            problems[column] = (
                f"{description['name']} has no field for column {column!r}{near(column, known)}"
            )
            continue
        found[column] = field
        own, is_key = column.lower() in fields, column == key_column
        if not own or (is_key and operation == "upsert"):
            problem = _not_a_key(column, field)
        else:
            problem = "" if is_key else _not_writable(column, field, operation)
        if problem:
            problems[column] = problem
    return Plan(found, header, key_column), problems


class _Parents:
    """Relationship columns such as ``Carrier__r.Code__c`` or ``User:Owner.Email``."""

    def __init__(self, wire: Wire, fields: Iterable[Mapping[str, Any]]) -> None:
        self._wire = wire
        self._objects = {
            field["relationshipName"]: field["referenceTo"]
            for field in fields
            if field.get("relationshipName")
        }
        self._names = {name.lower(): name for name in self._objects}
        self._fields: dict[str, dict[str, dict[str, Any]]] = {}

    def columns(self) -> list[str]:
        """Return the columns that are known: of parents that were asked about with their fields."""
        return [
            f"{relationship}.{name}"
            for relationship, parents in self._objects.items()
            for parent in parents
            for name in self._fields.get(parent, ("",))
        ]

    def field(self, column: str) -> tuple[str, dict[str, Any] | None]:
        """Return a column as the org writes it, and the parent's field that it names, if any."""
        path, _, name = column.rpartition(".")
        wanted, _, relationship = path.rpartition(":")
        relationship = self._names.get(relationship.lower(), "")
        for parent in self._objects.get(relationship, ()):
            if wanted.lower() in ("", parent.lower()):
                for field in self._describe(parent).values():
                    if field["name"].lower() == name.lower():
                        start = f"{parent}:" if wanted else ""
                        return f"{start}{relationship}.{field['name']}", field
        return column, None

    def _describe(self, parent: str) -> dict[str, dict[str, Any]]:
        if parent not in self._fields:
            description = describe(self._wire, parent)
            self._fields[parent] = {field["name"]: field for field in description["fields"]}
        return self._fields[parent]


def _check_operation(operation: str, external_id: str | None) -> None:
    if operation not in OPERATIONS:
        raise InputError(
            f"operation is one of {', '.join(OPERATIONS)}{near(operation, OPERATIONS)}"
        )
    if operation == "upsert" and not external_id:
        raise InputError("upsert needs external_id=, the field that tells records apart")
    if operation != "upsert" and external_id:
        raise InputError(f"external_id is for upsert; {operation} goes by Id or makes new records")


def _check_names(columns: pd.Index) -> None:
    if columns.nlevels > 1:
        raise InputError("Columns in levels have no field names: join the levels to one name each")
    for name in columns:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"Column {name!r} needs a name: the API name of a field, as text")
    lower = columns.str.lower()
    if lower.has_duplicates:
        name = columns[lower.duplicated()][0]
        raise InputError(f"Column {name!r} is there more than once (letter case does not count)")


def _not_writable(column: str, field: Mapping[str, Any], operation: str) -> str:
    word = _WRITABLE.get(operation)
    if word is None:
        return f"{operation} takes the column Id alone; drop {column!r}"
    if not field.get(word, True):
        return f"Column {column!r} cannot be written: it is read-only on {operation}"
    return ""


def _not_a_key(column: str, field: Mapping[str, Any]) -> str:
    if field["name"] == "Id" or field.get("externalId") or field.get("idLookup"):
        return ""
    return f"Column {column!r} is not an external id: no record can be found by it"


def _value_type(field: Mapping[str, Any]) -> str:
    """A number field without decimals holds integers, as an int field does."""
    kind = str(field["type"])
    return "int" if kind == "double" and field.get("scale") == 0 else kind


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint at the name that was probably meant."""
    names = {text.lower(): text for text in known}
    found = difflib.get_close_matches(name.lower(), names, n=1)
    return f". Did you mean {names[found[0]]!r}?" if found else ""
