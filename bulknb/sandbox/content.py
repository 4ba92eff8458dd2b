"""What a batch holds, as columns and rows of text, whether it came as CSV, JSON or XML."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from bulknb.sandbox import csvtext, xmltext
from bulknb.sandbox.values import NULL

# "Prepare CSV Files" (Bulk API 2.0 guide).
MAX_HEADER_CHARACTERS = 32_000


class ContentError(ValueError):
    """A batch that cannot be read at all."""


class LineEndingError(ContentError):
    """Data whose lines do not end as their job says."""


class Content(NamedTuple):
    """Column names and rows of cells; a row may be shorter or longer than the columns."""

    columns: list[str]
    rows: Sequence[list[str]]


def check_head(text: str, line_ending: str) -> None:
    """Check the first line of a 2.0 upload.

    Only the header's line end is looked at: ours, since an org's rule for the others, which may
    stand inside a quoted value, is not known.

    Raises
    ------
    ContentError
        If it is longer than a header may be, or ends otherwise than `line_ending` (LF, CRLF).
    """
    line, newline, _ = text.partition("\n")
    header = line.removesuffix("\r")
    if len(header) > MAX_HEADER_CHARACTERS:
        raise ContentError(f"The header is longer than {MAX_HEADER_CHARACTERS} characters")  # ours
    if newline and (line != header) != (line_ending == "CRLF"):
        raise LineEndingError(
            f"LineEnding is invalid on user data. Current LineEnding setting is {line_ending}"
        )


def read_csv(text: str, delimiter: str = ",") -> Content:
    """Read CSV, whose first row names the columns."""
    rows = csvtext.rows(text, delimiter)
    if not rows:
        raise ContentError("The data have no header row")
    return Content(rows[0], rows[1:])


def read_json(text: str) -> Content:
    """Read a list of objects; parents are objects inside: ``{"Owner": {"Email": "x"}}``."""
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ContentError(f"Failed to parse JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ContentError("Failed to parse JSON: a batch is a list of objects")
    return _from_pairs([list(_json_pairs(row)) for row in found])


def _json_pairs(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == "attributes":
            continue
        if isinstance(value, dict) and prefix:
            raise ContentError("Failed to parse JSON: a parent is named by a field of its own")
        if isinstance(value, dict):
            yield from _json_pairs(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _json_cell(value)


def _json_cell(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
    raise ContentError("Failed to parse JSON: a value is text, a number, a boolean or null")


def read_xml(text: str) -> Content:
    """Read ``<sObjects><sObject>…``; parents are elements inside."""
    try:
        root = xmltext.read(text.encode())
        return _from_pairs([list(_xml_pairs(record)) for record in root])
    except (xmltext.XmlError, RecursionError) as error:
        raise ContentError(f"Failed to parse XML: {error}") from None


def _xml_pairs(record: Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    for child in record:
        if child.tag == "sObject":  # a parent record may be wrapped once more
            yield from _xml_pairs(child, prefix)
        elif len(child):
            yield from _xml_pairs(child, f"{prefix}{child.tag}.")
        elif child.get("nil") == "true":
            yield prefix + child.tag, NULL
        else:
            yield prefix + child.tag, child.text or ""


def _from_pairs(records: Sequence[Sequence[tuple[str, str]]]) -> Content:
    columns = list(dict.fromkeys(name for pairs in records for name, _ in pairs))
    cells = [dict(pairs) for pairs in records]
    return Content(columns, [[row.get(name, "") for name in columns] for row in cells])


READERS = {"CSV": read_csv, "JSON": read_json, "XML": read_xml}
# What the name of a format begins with if the batch is a zip file with attachments.
ZIP = "ZIP_"
