"""Pre-flight: a frame against the object's describe, before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from ._wire import Wire
from .errors import InputError, NotFoundError

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")

#: operation -> the describe's word for a field that it may write
_WRITABLE = {"insert": "createable", "update": "updateable", "upsert": "createable"}


@dataclass(frozen=True)
class Plan:
    """A load that passed: the field type of each column, and the column that names a record."""

    types: Mapping[str, str]
    key: str | None


def describe(wire: Wire, name: str) -> dict[str, Any]:
    """Return the describe of an object: its ``fields`` and what may be done with it.

    Source: REST API Developer Guide, "sObject Describe".

    Raises
    ------
    InputError
        The org has no such object, or the user may not see it.
    """
    path = f"/services/data/v{wire.api_version}/sobjects/{quote(name, safe='')}/describe"
    try:
        description: dict[str, Any] = wire.request("GET", path).json()
    except NotFoundError:
        pass
    else:
        return description
    raise InputError(f"The org has no object {name!r} that this user can see")


def plan(
    wire: Wire, frame: pd.DataFrame, name: str, operation: str, external_id: str | None
) -> Plan:
    """Check columns against the describe, and return what the load needs of it.

    Raises
    ------
    InputError
        The frame, the operation or a column does not fit; names the column and what is near it.
    """
    _check_operation(operation, external_id)
    if frame.empty:
        raise InputError("The frame has no rows or no columns: there is nothing to load")
    _check_names(frame)
    columns = [str(column) for column in frame.columns]
    key = external_id if operation == "upsert" else None if operation == "insert" else "Id"
    if key is not None and key not in columns:
        hint = _near(key, columns)
        raise InputError(f"Column {key!r} is missing: {operation} finds the records by it{hint}")
    fields = {field["name"]: field for field in describe(wire, name)["fields"]}
    parents = _Parents(wire, fields.values())
    types = {}
    for column in columns:
        field = fields.get(column) or parents.field(column)
        if field is None:
            known = [*fields, *parents.columns()]
            raise InputError(f"{name} has no field for column {column!r}{_near(column, known)}")
        if column not in fields or (column == key and operation == "upsert"):
            _check_key(column, field)
        elif column != key:
            _check_writable(field, operation)
        types[column] = _value_type(field)
    return Plan(types, key)


class _Parents:
    """Relationship columns such as ``Carrier__r.Code__c`` or ``User:Owner.Email``."""

    def __init__(self, wire: Wire, fields: Iterable[Mapping[str, Any]]) -> None:
        self._wire = wire
        self._objects = {
            field["relationshipName"]: field["referenceTo"]
            for field in fields
            if field.get("relationshipName")
        }
        self._fields: dict[str, dict[str, dict[str, Any]]] = {}

    def columns(self) -> list[str]:
        """Return the columns that are known: of parents that were asked about with their fields."""
        return [
            f"{relationship}.{name}"
            for relationship, parents in self._objects.items()
            for parent in parents
            for name in self._fields.get(parent, ("",))
        ]

    def field(self, column: str) -> dict[str, Any] | None:
        """Return the parent's field that a column names, or None."""
        path, _, name = column.rpartition(".")
        wanted, _, relationship = path.rpartition(":")
        for parent in self._objects.get(relationship, ()):
            if wanted in ("", parent) and (field := self._describe(parent).get(name)):
                return field
        return None

    def _describe(self, parent: str) -> dict[str, dict[str, Any]]:
        if parent not in self._fields:
            description = describe(self._wire, parent)
            self._fields[parent] = {field["name"]: field for field in description["fields"]}
        return self._fields[parent]


def _check_operation(operation: str, external_id: str | None) -> None:
    if operation not in OPERATIONS:
        raise InputError(
            f"operation is one of {', '.join(OPERATIONS)}{_near(operation, OPERATIONS)}"
        )
    if operation == "upsert" and not external_id:
        raise InputError("upsert needs external_id=, the field that tells records apart")
    if operation != "upsert" and external_id:
        raise InputError(f"external_id is for upsert; {operation} goes by Id or makes new records")


def _check_names(frame: pd.DataFrame) -> None:
    for name in frame.columns:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"Column {name!r} needs a name: the API name of a field, as text")
    lower = frame.columns.str.lower()
    if lower.has_duplicates:
        name = frame.columns[lower.duplicated()][0]
        raise InputError(f"Column {name!r} is there more than once (letter case does not count)")


def _check_writable(field: Mapping[str, Any], operation: str) -> None:
    word = _WRITABLE.get(operation)
    if word and not field.get(word, True):
        raise InputError(
            f"Column {field['name']!r} cannot be written: it is read-only on {operation}"
        )
    if word is None:
        raise InputError(f"{operation} takes the column Id alone; drop {field['name']!r}")


def _check_key(column: str, field: Mapping[str, Any]) -> None:
    if field["name"] != "Id" and not field.get("externalId") and not field.get("idLookup"):
        raise InputError(f"Column {column!r} is not an external id: no record can be found by it")


def _value_type(field: Mapping[str, Any]) -> str:
    """A number field without decimals holds integers, as an int field does."""
    kind = str(field["type"])
    return "int" if kind == "double" and field.get("scale") == 0 else kind


def _near(name: str, known: Iterable[str]) -> str:
    """Return a hint at the name that was probably meant."""
    names = {text.lower(): text for text in known}
    found = difflib.get_close_matches(name.lower(), names, n=1)
    return f". Did you mean {names[found[0]]!r}?" if found else ""
