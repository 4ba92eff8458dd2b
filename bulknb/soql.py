r"""Values and names for a SOQL text, so that no value can change what the query asks.

>>> from bulknb.soql import name, quote
>>> shop = "Coupe d'Or"
>>> f"SELECT Id FROM Account WHERE {name('Name')} = {quote(shop)}"
"SELECT Id FROM Account WHERE Name = 'Coupe d\\'Or'"
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError

__all__ = ["name", "names", "quote"]

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
#: SOQL and SOSL Reference, "Quoted String Escape Sequences".
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
    }
)


def quote(value: Any) -> str:
    r"""Return a value as SOQL writes it.

    Parameters
    ----------
    value : object
        A text, a number, a boolean, a date, a datetime with a zone (to the millisecond), a time,
        or a missing value (``null``). A list, a set, an array or a Series of those gives a list
        for IN. In a text for LIKE, ``%`` and ``_`` keep their meaning.

    Raises
    ------
    InputError
        SOQL has no such value: infinity, a datetime without a zone, an empty list, a NUL.

    Examples
    --------
    >>> from datetime import date
    >>> from bulknb.soql import quote
    >>> quote("O'Hara"), quote(date(2026, 1, 31)), quote([1, 2.5]), quote(None)
    ("'O\\'Hara'", '2026-01-31', '(1, 2.5)', 'null')
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return _list(value)
    return _single(value)


def name(path: str) -> str:
    """Return the name of an object or field, or a path such as ``Account.Owner.Name``, checked.

    Raises
    ------
    InputError
        It is none: it has spaces, signs or quotes.
    """
    if not (isinstance(path, str) and path.isascii() and _PATH.fullmatch(path)):
        raise InputError(
            f"{path!r} is no API name: letters, digits, _ and dots, such as Owner.Name"
        )
    return path


def names(paths: Iterable[str]) -> str:
    """Return names as the list after SELECT, each checked: see `name`.

    >>> from bulknb.soql import names
    >>> names(["Id", "Owner.Name"])
    'Id, Owner.Name'
    """
    return ", ".join(map(name, [paths] if isinstance(paths, str) else paths))


def _text(value: str) -> str:
    if "\0" in value:
        raise InputError("A text for SOQL cannot hold a NUL character")
    return f"'{value.translate(_ESCAPES)}'"


def _list(values: Iterable[Any]) -> str:
    quoted = [_text(value) if isinstance(value, str) else _single(value) for value in values]
    if not quoted:
        raise InputError("SOQL has no empty list: leave the query out, as nothing is IN ()")
    return f"({', '.join(quoted)})"


def _single(value: Any) -> str:
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value != value:
        return "null"
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() | Decimal():
            return _number(Decimal(repr(value)) if isinstance(value, float) else value)
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case time():
            return f"{value.isoformat('milliseconds')}Z"
    raise InputError(f"SOQL has no value for a {type(value).__name__}")


def _number(value: Decimal) -> str:
    if not math.isfinite(value):
        raise InputError("SOQL has no infinite number")
    return format(value, "f")


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise InputError("A datetime for SOQL needs a time zone, such as tzinfo=datetime.UTC")
    # Without the zone, or pandas would write it as well.
    utc = value.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"
