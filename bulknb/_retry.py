"""Which rows of a load to send again, and how what becomes of them goes into its frame.

A row of unknown fate is never just sent again. An insert or a delete is looked up first; an update
or an upsert names its record, so that doing it twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import _check
from ._remedies import is_transient
from ._source import Source
from ._wire import Wire
from .errors import InputError

__all__ = [
    "REPEATABLE",
    "Choice",
    "Which",
    "choose",
    "corrected",
    "folded",
    "keys_of",
    "look_up",
    "succeeded",
]

Which = Literal["transient", "all"]
Positions = npt.NDArray[np.intp]

#: Done twice, these are done once: the record is named.
REPEATABLE = ("update", "upsert")
#: An address has some 16,000 characters at most.
_QUERY_CHARACTERS = 6_000
_NUMBERS = ("double", "int", "long", "currency", "percent")
_ESCAPES = str.maketrans(
    {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b", "\f": r"\f"}
)


@dataclass(frozen=True)
class Choice:
    """The rows to send, by position: ``surely`` not in the org, or ``perhaps``."""

    surely: Positions
    perhaps: Positions


def choose(frame: pd.DataFrame, which: Which | pd.DataFrame) -> Choice:
    """Return the rows to send again.

    Raises
    ------
    InputError
        The corrected frame has rows that the load has not, or that are in the org.
    """
    outcome = frame["outcome"]
    wanted = outcome.isin(["unprocessed", "not_sent", "unknown"])
    if isinstance(which, pd.DataFrame):
        wanted = _named(frame, which)
    elif which == "all":
        wanted |= outcome == "failed"
    elif which == "transient":
        transient = is_transient(frame["error_code"], frame["error_message"])
        wanted |= (outcome == "failed") & transient
    else:
        raise InputError('retry() takes "transient", "all", or a frame with corrected rows')
    unknown = (outcome == "unknown").to_numpy(bool)
    chosen = wanted.to_numpy(bool)
    return Choice(np.flatnonzero(chosen & ~unknown), np.flatnonzero(chosen & unknown))


def _named(frame: pd.DataFrame, corrected: pd.DataFrame) -> pd.Series:
    """Return which rows of the frame a corrected one names by its index."""
    if not (frame.index.is_unique and corrected.index.is_unique):
        raise InputError("A corrected frame finds its rows by the index: labels must be unique")
    strangers = corrected.index.difference(frame.index)
    if len(strangers):
        raise InputError(f"Row {strangers[0]!r} is not in the frame that was loaded")
    there = frame.loc[corrected.index]
    there = there[there["outcome"] == "success"]
    if len(there):
        raise InputError(f"Row {there.index[0]!r} is in the org already: drop it from the frame")
    return pd.Series(frame.index.isin(corrected.index), index=frame.index)


def corrected(rows: pd.DataFrame, frame: pd.DataFrame, source: Source, at: Positions) -> Source:
    """Return the rows that a corrected frame has in place of those of a load."""
    added = frame.columns.difference(source.columns)
    return Source.of(rows.drop(columns=added, errors="ignore").loc[frame.index[at]])


def keys_of(rows: Source, key: str) -> pd.Series:
    """Return what names the records of rows of unknown fate, as text.

    Raises
    ------
    InputError
        There is no such column, or it does not name them all.
    """
    column = next((name for name in rows.columns if name.lower() == key.lower()), None)
    if column is None:
        raise InputError(f"Column {key!r} is not in the frame: no row can be looked up by it")
    keys = rows.texts(column)
    if keys.isna().any():
        raise InputError(f"Column {key!r} has no value in some rows of unknown fate")
    return keys


def look_up(wire: Wire, name: str, keys: pd.Series) -> pd.Series:
    """Return for each key, in the field that is called like them, its record's Id; NA if none."""
    fields = {field["name"].lower(): field for field in _check.describe(wire, name)["fields"]}
    field = fields.get(str(keys.name).lower())
    if field is None:
        raise InputError(f"{name} has no field {keys.name!r}")
    same = _sameness(field)
    number, key = field["type"] in _NUMBERS, field["name"]
    found: dict[str, str] = {}
    for part in _literals(keys, number=number):
        words = ("SELECT Id,", key, "FROM", name, "WHERE", key, f"IN ({','.join(part)})")
        for record in _records(wire, " ".join(words)):
            found[same(str(record[key]))] = record["Id"]
    return keys.map(lambda value: found.get(same(value), pd.NA)).astype("string")


def _sameness(field: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what makes two texts of a key one: Salesforce compares by the field's own rule."""
    if field["type"] in ("id", "reference"):
        return lambda text: text[:15]
    if field["type"] in _NUMBERS:
        return lambda text: str(Decimal(text).normalize())
    return str if field.get("caseSensitive") else str.casefold


def _literals(values: pd.Series, *, number: bool) -> Iterator[list[str]]:
    """Yield the values as SOQL, so many at a time as an address holds."""
    part: list[str] = []
    size = 0
    for value in values:
        literal = str(value) if number else f"'{str(value).translate(_ESCAPES)}'"
        if part and size + len(literal) > _QUERY_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(literal)
        size += len(literal) + 1
    if part:
        yield part


def _records(wire: Wire, query: str) -> Iterator[dict[str, str]]:
    path = f"/services/data/v{wire.api_version}/query"
    page = wire.request("GET", path, params={"q": query}).json()
    yield from page["records"]
    while page.get("nextRecordsUrl"):
        page = wire.request("GET", wire.own_path(page["nextRecordsUrl"])).json()
        yield from page["records"]


def succeeded(ids: pd.Series, *, created: bool) -> pd.DataFrame:
    """Return what a load adds to its frame, for rows that were found to be done."""
    values = {
        "outcome": "success",
        "Id": ids.array,
        "created": created,
        "error_code": pd.NA,
        "error_message": pd.NA,
        "error_fields": pd.NA,
        "job_id": pd.NA,
        "ambiguous": False,
        "unknown_reason": pd.NA,
    }
    dtypes = dict.fromkeys(values, "string") | dict.fromkeys(("created", "ambiguous"), "boolean")
    return pd.DataFrame(values, index=ids.index).astype(dtypes)


def folded(frame: pd.DataFrame, newer: pd.DataFrame, at: Positions) -> pd.DataFrame:
    """Return the frame with newer values in the rows at these positions."""
    frame = frame.copy(deep=False)
    for name in [name for name in newer.columns if name in frame]:
        values, new = pd.Series(frame[name].array), newer[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values, new = _of_one_kind(values, new.astype("category"))
        elif values.dtype != new.dtype:
            values = values.astype(object)
        values.iloc[at] = new.array
        frame[name] = values.array
    return frame


def _of_one_kind(values: pd.Series, new: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return two columns of categories, each with those of both."""
    more = new.cat.categories.difference(values.cat.categories, sort=False)
    values = values.cat.add_categories(more)
    return values, new.cat.set_categories(values.cat.categories, ordered=values.cat.ordered)
