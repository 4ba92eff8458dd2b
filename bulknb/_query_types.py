"""The type of each column of a query, from the describes of its object and of the parents."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ._check import describe
from ._selection import Column, Selection
from ._wire import Wire
from .errors import InputError

__all__ = ["column_types"]

Field = Mapping[str, Any]

#: So long a describe is remembered, and if a column is in it; one call fewer for most queries.
_MEMORY_SECONDS = 60.0
#: Functions whose answer is the field's own value, or text.
_SAME_TYPE = ("CONVERTCURRENCY", "CONVERTTIMEZONE")
_NOT_IN_BULK = {
    "base64": "Bulk queries give no binary data: leave it out, or read it by the REST API",
    "address": "Bulk queries give no compound fields: select its parts",
    "location": "Bulk queries give no compound fields: select its parts",
}


def column_types(wire: Wire, selection: Selection) -> dict[str, str]:
    """Return type by column, the columns lower-cased; a column that is unknown here is missing.

    Raises
    ------
    InputError
        A field is of a kind that bulk queries do not give, or the object is unknown.
    """
    began = wire.clock.monotonic()
    with suppress(InputError):  # which may no longer be so
        types, found = _types(_Parents(wire, began - _MEMORY_SECONDS), selection)
        if found:
            return types
    return _types(_Parents(wire, began), selection)[0]


def _types(parents: _Parents, selection: Selection) -> tuple[dict[str, str], bool]:
    """Return type by column, and whether all columns were found."""
    own = parents.fields(selection.object)
    types = {name: field["type"] for name, field in own.items()}
    found = True
    for column in selection.columns:
        field = parents.resolve(selection.object, column.path)
        if field is None:
            found = False
            continue
        _refuse(column, field, parents)
        same = not column.function or column.function in _SAME_TYPE
        types[(column.alias or column.path).lower()] = field["type"] if same else "string"
    return types, found


class _Parents:
    """Describes, each asked for once, or remembered if it came since some moment."""

    def __init__(self, wire: Wire, since: float) -> None:
        self._wire = wire
        self._since = since
        self._fields: dict[str, dict[str, Field]] = {}

    def fields(self, name: str) -> dict[str, Field]:
        """Return the fields of an object by their lower-cased names."""
        if name.lower() not in self._fields:
            fields = describe(self._wire, name, since=self._since)["fields"]
            self._fields[name.lower()] = {field["name"].lower(): field for field in fields}
        return self._fields[name.lower()]

    def resolve(self, name: str, path: str) -> Field | None:
        """Return the field that a path leads to; None beyond a parent of several kinds."""
        first, _, rest = path.lower().partition(".")
        fields = self.fields(name)
        if not rest:
            return fields.get(first)
        for field in fields.values():
            if (field.get("relationshipName") or "").lower() == first:
                parents = field["referenceTo"]
                return self.resolve(parents[0], rest) if len(parents) == 1 else None
        return None

    def parts(self, compound: Field) -> list[str]:
        """Return the names of the fields that a compound field is made of."""
        return [
            field["name"]
            for fields in self._fields.values()
            for field in fields.values()
            if compound in fields.values() and field.get("compoundFieldName") == compound["name"]
        ]


def _refuse(column: Column, field: Field, parents: _Parents) -> None:
    problem = _NOT_IN_BULK.get(field["type"])
    if problem:
        parts = ", ".join(parents.parts(field))
        raise InputError(f"{column.path}: {problem}{f' ({parts})' if parts else ''}")
