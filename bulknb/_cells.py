"""Cells, as the text that would be sent, against the describe of their fields.

Sources: SOAP API Developer Guide, "DescribeSObjectResult", "Field Types", "Primitive Data Types".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._encode import CLEAR

__all__ = ["Keys", "problems"]

#: What is wrong, whether the org would refuse the row, and which rows.
Finding = tuple[str, bool, pa.ChunkedArray]

_TEXTS = frozenset({"string", "textarea", "email", "phone", "url", "encryptedstring", "combobox"})
_NUMBERS = frozenset({"double", "currency", "percent"})
_FORMS = {
    "boolean": (r"^(?i:true|false|1|0)$", "is neither true nor false"),
    "int": (r"^[+-]?\d+$", "is no whole number"),
    "date": (r"^\d{4}-\d\d-\d\d(Z|T00:00:00.*)?$", "is no date such as 2013-01-31"),
    "datetime": (
        r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?$",
        "is no datetime such as 2013-01-31T17:05:00Z",
    ),
    "id": (r"^[A-Za-z0-9]{15}([A-Z0-5]{3})?$", "is no Id: those have 15 or 18 characters"),
}
_FORMS["reference"] = _FORMS["id"]
_NUMBER = r"^[+-]?(?P<whole>\d*)(?:\.(?P<part>\d*))?(?:[eE](?P<exponent>[+-]?\d+))?$"
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def problems(texts: pa.ChunkedArray, field: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the cells of a column; empty and cleared ones are fine."""
    given = pc.if_else(pc.is_in(texts, pa.array(["", CLEAR])), None, texts)
    kind = str(field["type"])
    if kind in _FORMS:
        form, problem = _FORMS[kind]
        yield problem, True, pc.invert(pc.match_substring_regex(given, form))
    if kind in _NUMBERS:
        yield from _number(given, field)
    if kind == "int":
        yield "is beyond the 32 bits of an integer", True, _beyond_32_bits(given)
    if kind in ("id", "reference"):
        yield "is an Id with a wrong checksum: its letter case has changed", True, _miscased(given)
    if kind in _TEXTS and field.get("length"):
        problem = f"is longer than {field['length']:,} characters"
        yield problem, True, pc.greater(pc.utf8_length(given), field["length"])
    if kind in ("picklist", "multipicklist"):
        yield from _picklist(given, field, several=kind == "multipicklist")


def missing(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which cells have no value."""
    return pc.is_in(texts, pa.array(["", CLEAR]))


class Keys:
    """Values that are to be there and to differ, looked at piece by piece."""

    def __init__(self) -> None:
        self._seen: pd.Index = pd.Index([], dtype="uint64")

    def repeated(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return which values were there before; letter case does not count, nor empty ones."""
        folded = pc.utf8_lower(texts).combine_chunks().dictionary_encode()
        # Hashes: eight bytes a row, however long the keys are.
        hashed = pd.util.hash_array(
            folded.dictionary.to_numpy(zero_copy_only=False), categorize=False
        )
        marks = pd.Index(hashed[folded.indices.to_numpy()])
        again = marks.duplicated() | marks.isin(self._seen)
        self._seen = self._seen.append(marks[~again])
        return pc.and_(pa.chunked_array([pa.array(again)]), pc.invert(missing(texts)))


def _number(given: pa.ChunkedArray, field: Mapping[str, Any]) -> Iterator[Finding]:
    parts = pc.extract_regex(given, _NUMBER)
    yield "is no number", True, pc.and_(given.is_valid(), parts.is_null())
    if not field.get("precision"):
        return
    plain = pc.equal(pc.struct_field(parts, "exponent"), "")
    scale, room = field.get("scale", 0), field["precision"] - field.get("scale", 0)
    whole = pc.utf8_ltrim(pc.struct_field(parts, "whole"), characters="0")
    problem = f"has more than {room} digits before the point"
    yield problem, True, pc.and_(plain, pc.greater(pc.utf8_length(whole), room))
    part = pc.utf8_rtrim(pc.struct_field(parts, "part"), characters="0")
    problem = f"has more than {scale} digits after the point: the org rounds it"
    yield problem, False, pc.and_(plain, pc.greater(pc.utf8_length(part), scale))


def _beyond_32_bits(given: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.if_else(pc.match_substring_regex(given, r"^[+-]?\d{1,18}$"), given, None)
    numbers = pc.utf8_ltrim(whole, characters="+").cast(pa.int64())
    small = pc.and_(pc.greater_equal(numbers, -(2**31)), pc.less(numbers, 2**31))
    return pc.or_kleene(pc.invert(small), pc.match_substring_regex(given, r"^[+-]?\d{19,}$"))


def _miscased(given: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which Ids of 18 characters do not end as their first 15 tell."""
    long = pc.match_substring_regex(given, r"^[A-Za-z0-9]{15}[A-Z0-5]{3}$").fill_null(False)
    places = np.flatnonzero(long.to_numpy())
    letters = given.take(pa.array(places)).cast(pa.string()).combine_chunks().to_numpy(False)
    rows = np.frombuffer("".join(letters).encode(), np.uint8).reshape(-1, 18)
    upper = (rows[:, :15] >= ord("A")) & (rows[:, :15] <= ord("Z"))
    sums = upper.reshape(-1, 3, 5) @ (1 << np.arange(5))
    expected = np.frombuffer(_CHECKSUM.encode(), np.uint8)[sums]
    wrong = np.zeros(len(given), bool)
    wrong[places] = (expected != rows[:, 15:]).any(axis=1)
    return pa.chunked_array([pa.array(wrong)])


def _picklist(
    given: pa.ChunkedArray, field: Mapping[str, Any], *, several: bool
) -> Iterator[Finding]:
    values = [entry["value"] for entry in field.get("picklistValues", ()) if entry.get("active")]
    if not values:
        return
    known = pc.is_in(given, pa.array(values, pa.string()))
    if several:
        allowed = {*values, ""}
        known = pa.chunked_array(
            [
                pa.array(
                    [
                        text is None or allowed.issuperset(text.split(";"))
                        for text in given.to_pylist()
                    ]
                )
            ]
        )
    strict = bool(field.get("restrictedPicklist"))
    problem = "is none of the picklist's values" + ("" if strict else ": the org takes it as it is")
    yield problem, strict, pc.and_(given.is_valid(), pc.invert(known))
