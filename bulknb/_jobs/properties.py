"""What a job may be made with, checked before anything is sent.

Sources: Bulk API 2.0 Developer Guide, "Create a Job", "Create a Query Job"; Bulk API Developer
Guide, "JobInfo", "Headers".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from ..errors import InputError
from . import ids

#: Property or header -> the values that it may have; none listed: any text.
Known = Mapping[str, tuple[str, ...]]

DELIMITERS = ("BACKQUOTE", "CARET", "COMMA", "PIPE", "SEMICOLON", "TAB")
LINE_ENDINGS = ("LF", "CRLF")

PK_CHUNKING = "Sforce-Enable-PKChunking"
_LARGEST_CHUNK = 250_000

PkChunking = bool | Mapping[str, str | int]


def check_api(api: str) -> None:
    """Return if there is such a Bulk API.

    Raises
    ------
    InputError
        There is none.
    """
    if api not in ("1.0", "2.0"):
        raise InputError('api is "1.0" or "2.0"')


def check(given: Mapping[str, str], known: Known, kind: str) -> None:
    """Return if every property is one of that kind of job, with a value that it may have.

    Raises
    ------
    InputError
        Says which one is not, and what was probably meant.
    """
    for name, value in given.items():
        if name not in known:
            raise InputError(
                f"A {kind} job has no property {name!r}{_meant(name, known)}. "
                "What bulknb does not know yet goes into properties={...}"
            )
        _check_value(name, value, known[name])
    for name in ("object", "query"):
        if name in known and not given.get(name):
            raise InputError(f"A {kind} job needs {name}=")
    if given.get("operation") == "upsert" and not given.get("externalIdFieldName"):
        raise InputError("upsert needs external_id=: the field that tells records apart")
    if "externalIdFieldName" in given and given.get("operation") != "upsert":
        raise InputError(f"external_id= is for upsert, not for {given.get('operation')}")
    if rule := given.get("assignmentRuleId"):
        ids.checked(rule, "01Q", "assignment rule")


def check_headers(given: Mapping[str, str], known: Known, kind: str) -> None:
    """Return if every request header is one that such a job may be made with.

    Raises
    ------
    InputError
        Says which one is not, and what was probably meant.
    """
    for name, value in given.items():
        if name not in known:
            raise InputError(
                f"{name!r} is no header of a {kind} job{_meant(name, known)}. "
                f"It may have {', '.join(known) or 'none'}"
            )
        _check_value(name, value, known[name])
        if not (value.isascii() and value.isprintable()):
            raise InputError(f"{name} is one line of plain ASCII")


def pk_chunking_header(wanted: PkChunking, api: str) -> str:
    """Return the header value for ``True`` or for options such as ``{"chunkSize": 50_000}``.

    It is "" where no chunking is wanted.

    Raises
    ------
    InputError
        It is of 1.0 alone; or an option, or its value, is none of "PK Chunking Header".
    """
    if not wanted:
        return ""
    if api != "1.0":
        raise InputError(
            "PK chunking is of Bulk API 1.0: 2.0 cuts its queries itself. Leave it out, or pass "
            'api="1.0"'
        )
    if wanted is True:
        return "true"
    options = dict.fromkeys(("chunkSize", "parent", "startRow"), ())
    for name, value in wanted.items():
        if name not in options:
            raise InputError(
                f"PK chunking has no option {name!r}{_meant(name, options)}. "
                f"There are {', '.join(options)}"
            )
        if not str(value).isalnum():
            raise InputError(f"{name} is a name, an id or a number")
    size = str(wanted.get("chunkSize", _LARGEST_CHUNK))
    if not (size.isdecimal() and 1 <= int(size) <= _LARGEST_CHUNK):
        raise InputError(f"chunkSize is a number from 1 to {_LARGEST_CHUNK:,}")
    if start := wanted.get("startRow"):
        ids.checked(str(start), "", "startRow")
    return "; ".join(f"{name}={value}" for name, value in wanted.items())


def _check_value(name: str, value: str, values: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise InputError(f"{name} is a text, not {type(value).__name__}")
    if values and value not in values:
        raise InputError(
            f"{name} cannot be {value!r}{_meant(value, values)}. It is {_one_of(values)}"
        )


def _meant(given: str, names: Iterable[str]) -> str:
    """Return a guess at what was meant: column_delimiter is columnDelimiter, Insert is insert."""
    plain = {_plain(name): name for name in names}
    close = difflib.get_close_matches(_plain(given), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _one_of(values: tuple[str, ...]) -> str:
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last
