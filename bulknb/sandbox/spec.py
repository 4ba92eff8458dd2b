"""Transformation specs of Bulk API 1.0: how the columns of any CSV become an object's fields.

Source: "Map Data Fields" (Bulk API guide). What it leaves open is ours: a value that does not fit
its hint stays as it is, so that its row fails like any other, and a year of two digits is the one
from 80 years ago to 20 years ahead, as Java reads it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from bulknb.sandbox import csvtext
from bulknb.sandbox.schema import Field, ObjectType

HEADER = ["Salesforce Field", "Csv Header", "Value", "Hint"]
MAX_CHARACTERS = 8191

# A pattern of Java: text in quotation marks, a run of one letter, or a character for itself.
_TOKEN = re.compile(r"'([^']*)'|(([A-Za-z])\3*)|(.)", re.DOTALL)
# The letters of such a pattern as `datetime.strptime` has them; a run of y may also be short.
_DIRECTIVES = {
    "y": "%Y",
    "M": "%m",
    "d": "%d",
    "E": "%a",
    "H": "%H",
    "h": "%I",
    "m": "%M",
    "s": "%S",
    "S": "%f",
    "a": "%p",
    "Z": "%z",
    "X": "%z",
}

Convert = Callable[[str], str]


class SpecError(ValueError):
    """A transformation spec that cannot be read."""


@dataclass(frozen=True)
class Rule:
    """How one field gets its value: from which column, else what, and in which form."""

    field: str
    column: str
    default: str
    convert: Convert

    def value(self, row: Mapping[str, str]) -> str:
        """Return the field's value in a row."""
        cell = row.get(self.column, "")
        return self.convert(cell) if cell else self.default


def read(text: str, kind: ObjectType, now: float) -> list[Rule]:
    """Return the rules of a spec for an object.

    Raises
    ------
    SpecError
        The spec is too long, its header is another one, or a hint cannot be understood.
    """
    if len(text) > MAX_CHARACTERS:
        raise SpecError(f"A transformation spec has less than {MAX_CHARACTERS + 1} characters")
    lines = list(csvtext.rows(text))
    if not lines or [name.strip() for name in lines[0]] != HEADER:
        raise SpecError(f"The header of a transformation spec is {','.join(HEADER)}")
    year = datetime.fromtimestamp(now, UTC).year
    # A person's name is written as two fields.
    person = all(kind.field(name) for name in _NAME_PARTS)
    rules = []
    for line in lines[1:]:
        name, column, default, hint = [*line, "", "", ""][:4]
        if person and name.lower() == "name":
            rules += [Rule(k, column, part(default), part) for k, part in _NAME_PARTS.items()]
        else:
            rules.append(Rule(name, column, default, _converter(kind.field(name), hint, year)))
    return rules


def apply(rules: Sequence[Rule], text: str) -> str:
    """Return the CSV of a batch as if it had been made for the object."""
    rows = iter(csvtext.rows(text))
    columns = next(rows, [])
    records = (dict(zip(columns, row, strict=False)) for row in rows)
    lines = [csvtext.quoted([rule.value(record) for rule in rules]) for record in records]
    return csvtext.document(csvtext.quoted(rule.field for rule in rules), lines)


def _last_name(name: str) -> str:
    """Return the last name of ``Cat, Tom`` or ``Tom Cat``."""
    last, comma, _ = name.partition(",")
    return (last if comma else name.rpartition(" ")[2]).strip()


def _first_name(name: str) -> str:
    _, comma, first = name.partition(",")
    return (first if comma else name.rpartition(" ")[0]).strip()


_NAME_PARTS: dict[str, Convert] = {"LastName": _last_name, "FirstName": _first_name}


def _converter(field: Field | None, hint: str, year: int) -> Convert:
    if not hint or field is None or field.type not in {"boolean", "date", "datetime"}:
        return lambda text: text
    try:
        if field.type == "boolean":
            true = re.compile(hint)
            return lambda text: "true" if true.fullmatch(text) else "false"
        return _date_reader(hint, year, only_date=field.type == "date")
    except re.error:
        raise SpecError(f"The hint of {field.name} cannot be understood") from None


def _date_reader(pattern: str, year: int, *, only_date: bool) -> Convert:
    """Return the function that writes a date of a Java pattern in the form of ISO 8601."""
    form, short = "", False
    for quoted, run, letter, other in _TOKEN.findall(pattern):
        if run and letter not in _DIRECTIVES:
            raise SpecError(f"The letter {letter} in the hint of a date cannot be understood")
        short = short or run == "yy"
        literal = (quoted or other).replace("%", "%%")
        form += "%y" if run == "yy" else _DIRECTIVES[letter] if run else literal
    # The documented example reads Feb by MM.
    forms = [form.replace("%m", month) for month in ("%m", "%b", "%B")]
    with suppress(ValueError):
        datetime.strptime("", form)  # a part that is there twice raises re.error

    def convert(text: str) -> str:
        for form in forms:
            try:
                moment = datetime.strptime(text.strip(), form)
                if short:
                    oldest = year - 80
                    moment = moment.replace(year=oldest + (moment.year - oldest) % 100)
            except ValueError:
                continue
            return f"{moment.date()}Z" if only_date else moment.isoformat()
        return text

    return convert
