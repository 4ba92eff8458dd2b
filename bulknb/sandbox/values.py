"""One value in its three forms: text of a request, what the store holds, text of an answer.

The store holds text, int, float and None; a checkbox as 0 or 1, dates as ``2026-01-05`` and
datetimes as ``2026-01-05T09:00:00.000Z``, so that they sort as they stand.
"""

import base64
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from typing import Any

from bulknb.sandbox import ids
from bulknb.sandbox.schema import NUMBERS, Field

# A cell with this text sets its field to null; an empty cell leaves it alone.
NULL = "#N/A"

_BOOLEANS = {"true": 1, "1": 1, "false": 0, "0": 0}
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)Z?")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_INT_MAX = 2**31
# Types whose values are any text, if only it is not too long.
_PLAIN_TEXT = frozenset({"string", "textarea", "picklist", "phone", "url"})


class RefusedError(Exception):
    """A value of the right type that its field cannot hold, in Salesforce's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def reader(field: Field) -> Callable[[str], Any]:
    """Return the function that turns a cell's text into what the store holds.

    It raises ValueError for a text that is not of the type, and `RefusedError` for one that is and
    still does not fit.
    """
    match field.type:
        case "boolean":
            return _read_boolean
        case "int":
            return _read_int
        case "date":
            return read_date
        case "datetime":
            return read_datetime
        case "id" | "reference":
            return partial(_read_id, field)
        case "base64":
            return _read_base64
        case kind if kind in NUMBERS:
            return partial(
                _read_number, field, field.scale, 10.0 ** (field.precision - field.scale)
            )
        case "email":
            return partial(_read_email, field)
    return partial(_read_text, field, field.max_length)


def read_all(field: Field, texts: Sequence[str]) -> list[Any]:
    """Return what the store holds for the cells of a column, None for an empty one.

    It raises as a `reader` does, of whichever cell.
    """
    if field.type in _PLAIN_TEXT and max(map(len, texts), default=0) <= field.max_length:
        return [text or None for text in texts]
    # One look at a whole column finds out that no number in it has to be checked or rounded.
    if (plain := _plain_numbers(field)) and re.fullmatch(plain, "\n".join([*texts, ""])):
        number = int if field.type == "int" else float
        return [number(text) if text else None for text in texts]
    read = reader(field)
    known = {text: read(text) for text in set(texts) if text}
    return list(map(known.get, texts))


def _plain_numbers(field: Field) -> str | None:
    """Return the pattern of lines with numbers that fit a field as they stand, or with nothing."""
    if field.type == "int":
        return r"(?:(?:-?[0-9]{1,9}+)?+\n)*+"
    digits = field.precision - field.scale
    if field.type not in NUMBERS or digits < 1:
        return None
    return rf"(?:(?:-?[0-9]{{1,{digits}}}+(?:\.[0-9]{{0,{field.scale}}}+)?+)?+\n)*+"


def _read_text(field: Field, length: int, text: str) -> str:
    if len(text) > length:
        raise RefusedError(
            "STRING_TOO_LONG",
            f"{field.label or field.name}: data value too large: {text} (max length={length})",
        )
    return text


def _read_email(field: Field, text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise RefusedError(
            "INVALID_EMAIL_ADDRESS",
            f"{field.label or field.name}: invalid email address: {text}",
        )
    return _read_text(field, field.max_length, text)


def _read_base64(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


def _read_boolean(text: str) -> int:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _read_int(text: str) -> int:
    value = int(text)
    if "_" in text or not -_INT_MAX <= value < _INT_MAX:
        raise ValueError(text)
    return value


def _read_number(field: Field, scale: int, limit: float, text: str) -> float:
    value = round(float(text), scale)
    if "_" in text or not math.isfinite(value):
        raise ValueError(text)
    if not -limit < value < limit:
        raise RefusedError(
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label or field.name}: value outside of valid range on numeric field: {text}",
        )
    return value


@lru_cache(maxsize=16_384)
def read_date(text: str) -> str:
    """Return the stored form of a date."""
    if not (found := _DATE.fullmatch(text)):
        raise ValueError(text)
    return date.fromisoformat(found[1]).isoformat()


@lru_cache(maxsize=65_536)
def read_datetime(text: str) -> str:
    """Return the stored form of a datetime; without a zone it is read as UTC."""
    if not _DATETIME.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _read_id(field: Field, text: str) -> str:
    full = ids.normal(text)
    if full is None:
        raise RefusedError(
            "MALFORMED_ID", f"{field.label or field.name}: id value of incorrect type: {text}"
        )
    return full


def stamp(seconds: float) -> str:
    """Return a moment as the store, CSV and 1.0 XML write it; whole seconds."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def json_stamp(seconds: float) -> str:
    """Return a moment as JSON answers write it."""
    return stamp(seconds).replace("Z", "+0000")


def to_python(field: Field, value: Any) -> Any:
    """Return a stored value as Python's own type: date, aware datetime, bool."""
    if value is None:
        return None
    match field.type:
        case "boolean":
            return bool(value)
        case "date":
            return date.fromisoformat(value)
        case "datetime":
            return datetime.fromisoformat(value)
    return value


def to_csv(field: Field) -> Callable[[Any], str]:
    """Return the function that writes a stored value into a CSV cell; null is empty."""
    if field.type == "boolean":
        return lambda value: "" if value is None else "true" if value else "false"
    return lambda value: "" if value is None else str(value)


def to_json(field: Field, *, epoch: bool = False) -> Callable[[Any], Any]:
    """Return the function that gives a stored value to JSON.

    With `epoch`, datetimes are milliseconds since 1970, as Bulk 1.0 query results have them.
    """
    match field.type:
        case "boolean":
            return lambda value: None if value is None else bool(value)
        case "datetime" if epoch:
            return lambda value: value and round(datetime.fromisoformat(value).timestamp() * 1000)
        case "datetime":
            return lambda value: value and value.replace("Z", "+0000")
    return lambda value: value
