"""One query -> several that share its rows out by date, each row in exactly one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pandas as pd

from ._check import describe
from ._selection import Selection
from ._wire import Wire
from .errors import InputError
from .soql import name, quote

__all__ = ["Slices", "demand_only_where", "sliced"]

#: A date or datetime field, whose range is cut evenly; or such a field and where to cut.
Slices = str | Mapping[str, Iterable[date | datetime | str]]

_EVEN_SLICES = 8


def sliced(wire: Wire, selection: Selection, slices: Slices) -> list[str]:
    """Return the queries that give, all together, the rows of a query.

    The first and the last slice have no end on their outer side, and rows without a date get a
    slice of their own: whatever the cuts are, no row is lost and none comes twice.

    Raises
    ------
    InputError
        The field is no date, or the query cannot be cut.
    """
    demand_only_where(selection, "slices=")
    wanted = {slices: None} if isinstance(slices, str) else dict(slices)
    if len(wanted) != 1:
        raise InputError('slices= takes one field: slices={"CreatedDate": [date, date, ...]}')
    [(field_name, cuts)] = wanted.items()
    field = _field(wire, selection.object, name(field_name))
    whole_days = field["type"] == "date"
    if cuts is None:
        cuts = _even_cuts(wire, selection.object, field["name"])
    literals = sorted({_literal(cut, whole_days=whole_days) for cut in cuts})
    return [selection.where(f"({test})") for test in _tests(field, literals)]


def demand_only_where(selection: Selection, what: str) -> None:
    """Refuse a query whose other clauses would hold for each part by itself.

    Raises
    ------
    InputError
        It has such a clause.
    """
    others = sorted(selection.clauses & {"ORDER", "LIMIT"})
    if others:
        raise InputError(
            f"{what} cuts the query, and {others[0]} would hold for each part by itself: "
            "leave it out, and sort or cut the frame"
        )


def _field(wire: Wire, target: str, wanted: str) -> Mapping[str, Any]:
    for field in describe(wire, target)["fields"]:
        if field["name"].lower() == wanted.lower():
            if field["type"] in ("date", "datetime"):
                found: Mapping[str, Any] = field
                return found
            raise InputError(f"slices= needs a date or datetime field; {wanted} is {field['type']}")
    raise InputError(f"{target} has no field {wanted!r} to slice by")


def _tests(field: Mapping[str, Any], cuts: list[str]) -> list[str]:
    column = field["name"]
    if not cuts:
        return [f"{column} = null OR {column} != null"]
    inner = [f"{column} >= {low} AND {column} < {high}" for low, high in pairwise(cuts)]
    tests = [f"{column} < {cuts[0]}", *inner, f"{column} >= {cuts[-1]}"]
    # `<` and `>=` leave out what has no date.
    return [*tests, f"{column} = null"] if field["nillable"] else tests


def _literal(cut: date | datetime | str, *, whole_days: bool) -> str:
    try:
        moment: Any = pd.Timestamp(cut)
    except (TypeError, ValueError):
        moment = pd.NaT
    if moment is pd.NaT:
        raise InputError("Each cut of slices= is a date or a datetime; without a zone it is UTC")
    if whole_days:
        return quote(moment.date())
    return quote(moment.tz_localize(UTC) if moment.tzinfo is None else moment)


def _even_cuts(wire: Wire, target: str, column: str) -> list[pd.Timestamp]:
    """Return moments that cut the range of a field's values into slices of the same length."""
    first = _end(wire, target, column, "ASC")
    last = _end(wire, target, column, "DESC")
    if first is None or last is None:
        return []
    return list(pd.date_range(first, last, periods=_EVEN_SLICES + 1)[1:-1])


def _end(wire: Wire, target: str, column: str, direction: str) -> pd.Timestamp | None:
    """Return the first or last value of a field, which the REST API finds by its index."""
    words = ["SELECT", column, "FROM", target, "WHERE", column, "!= null"]
    soql = " ".join([*words, "ORDER BY", column, direction, "LIMIT 1"])
    path = f"/services/data/v{wire.api_version}/query"
    records = wire.request("GET", path, params={"q": soql}).json()["records"]
    return pd.Timestamp(records[0][column]) if records else None
