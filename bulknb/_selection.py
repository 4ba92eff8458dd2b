"""What a SOQL text selects, as far as a client has to know it: object, columns, where WHERE is.

No grammar: names are the server's to judge. Texts in quotes are never looked into.

Source: Bulk API 2.0 Developer Guide, "Create a Query Job" (what a bulk query may not have).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InputError

__all__ = ["Column", "Selection", "read"]

_TOKEN = re.compile(
    r"(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_]\w*(?:\.\w+)*)|(?P<sign>[(),])|[^\s\w'(),]+|\w+",
    re.DOTALL,
)
_AFTER_WHERE = {"WITH", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FOR", "ALL", "UPDATE"}
_AFTER_FROM = {"WHERE", "USING", "AS", *_AFTER_WHERE}
_AGGREGATES = {"AVG", "COUNT", "COUNT_DISTINCT", "MIN", "MAX", "SUM"}
#: The longest SOQL text (SOQL and SOSL Reference, "SOQL SELECT Syntax").
_LONGEST = 100_000


@dataclass(frozen=True)
class Column:
    """A column as it was asked for: a path of names, inside a function or not."""

    path: str
    function: str = ""
    alias: str = ""


@dataclass(frozen=True)
class Selection:
    """A query, read.

    Attributes
    ----------
    soql : str
        Its text.
    object : str
        The object after FROM.
    columns : tuple of Column
        What is selected.
    clauses : frozenset of str
        Which of WHERE, ORDER, LIMIT, ... it has.
    """

    soql: str
    object: str
    columns: tuple[Column, ...]
    clauses: frozenset[str]
    _after_from: int
    _condition: tuple[int, int]

    def where(self, condition: str) -> str:
        """Return the query with one more condition, which all rows have to meet as well."""
        start, stop = self._condition
        if start == stop:
            at = self._after_from
            return f"{self.soql[:at].rstrip()} WHERE {condition} {self.soql[at:]}".rstrip()
        given = self.soql[start:stop].strip()
        return f"{self.soql[:start]} ({given}) AND {condition} {self.soql[stop:]}".rstrip()


@dataclass(frozen=True)
class _Token:
    text: str
    kind: str
    start: int
    stop: int
    depth: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text


def read(soql: str) -> Selection:
    """Return what a query selects.

    Raises
    ------
    InputError
        It is no query, or none that the Bulk API answers; says what to do instead.
    """
    if len(soql) > _LONGEST:
        raise InputError(
            f"The SOQL has {len(soql):,} characters, Salesforce takes {_LONGEST:,}. "
            "Cut a long IN list into several queries, or load it and join in pandas"
        )
    tokens = _tokens(soql)
    _refuse(tokens)
    outer = [token for token in tokens if token.depth == 0]
    words = [token.upper for token in outer]
    if not words or words[0] != "SELECT" or "FROM" not in words:
        raise InputError("A query begins with SELECT, then come fields, FROM and an object")
    start = words.index("FROM")
    if start + 1 == len(outer) or outer[start + 1].kind != "word":
        raise InputError("The query names no object after FROM")
    target = outer[start + 1]
    head = [token for token in tokens if token.stop <= outer[start].start][1:]
    later = outer[start + 2 :]
    alias = _alias(later)
    clauses = [token for token in later if token.upper in _AFTER_FROM]
    return Selection(
        soql,
        target.text,
        tuple(_column(item, target.text, alias) for item in _items(head)),
        frozenset(token.upper for token in clauses),
        _after_from=clauses[0].start if clauses else len(soql.rstrip()),
        _condition=_condition(later, len(soql)),
    )


def _tokens(soql: str) -> list[_Token]:
    tokens, depth, at = [], 0, 0
    for found in _TOKEN.finditer(soql):
        if soql[at : found.start()].strip():
            break  # a quote that nothing closes
        at = found.end()
        text = found.group()
        depth -= text == ")"
        tokens.append(_Token(text, found.lastgroup or "", found.start(), at, depth))
        depth += text == "("
    if soql[at:].strip():
        raise InputError("A quote in the SOQL is never closed: bulknb.soql.quote() writes texts")
    if depth:
        raise InputError("The brackets of the SOQL do not match")
    return tokens


def _refuse(tokens: list[_Token]) -> None:
    """Refuse what the Bulk API does not answer, before a job is made for it."""
    words = [*(token.upper for token in tokens), "", ""]
    selecting = True
    for at, token in enumerate(tokens):
        word, following = words[at], words[at + 1]
        selecting = selecting and not (word == "FROM" and token.depth == 0)
        if word in _AGGREGATES and following == "(":
            raise _unsupported(f"{word}()", "select the field, and have pandas do it: frame.agg()")
        if word == "GROUP" and following == "BY":
            raise _unsupported("GROUP BY", "select the fields, then frame.groupby()")
        if word == "OFFSET" and following.isdigit():
            raise _unsupported("OFFSET", f"leave it out, then frame.iloc[{following}:]")
        if word == "TYPEOF":
            raise _unsupported("TYPEOF", "select the parent's fields by a path, as Owner.Name")
        if selecting and token.text == "(" and following == "SELECT":
            raise _unsupported("a query among the fields", "query the children by themselves")


def _unsupported(what: str, instead: str) -> InputError:
    return InputError(f"The Bulk API does not answer {what}: {instead}")


def _alias(later: list[_Token]) -> str:
    words = later[1:] if later and later[0].upper == "AS" else later
    if words and words[0].kind == "word" and words[0].upper not in _AFTER_FROM:
        return words[0].text
    return ""


def _condition(later: list[_Token], end: int) -> tuple[int, int]:
    """Return where the text after WHERE begins and ends."""
    start = next((token.stop for token in later if token.upper == "WHERE"), None)
    if start is None:
        return end, end
    stops = (token.start for token in later if token.start > start and token.upper in _AFTER_WHERE)
    return start, next(stops, end)


def _items(tokens: list[_Token]) -> list[list[_Token]]:
    items: list[list[_Token]] = [[]]
    for token in tokens:
        if token.text == "," and token.depth == 0:
            items.append([])
        else:
            items[-1].append(token)
    return items


def _column(tokens: list[_Token], target: str, alias: str) -> Column:
    words = [token for token in tokens if token.kind == "word"]
    if not words:
        raise InputError("A field is missing between SELECT and FROM")
    if len(tokens) == 1:
        return Column(_bare(words[0].text, target, alias))
    last = tokens[-1].text if tokens[-1].kind == "word" else ""
    if len(tokens) > 1 and tokens[1].text == "(":
        inner = words[1].text if len(words) > 1 else ""
        return Column(_bare(inner, target, alias), words[0].upper, last)
    return Column(_bare(words[0].text, target, alias), alias=last)


def _bare(path: str, target: str, alias: str) -> str:
    """Return a path without the object's own name or alias in front, as columns are named."""
    first, _, rest = path.partition(".")
    return rest if rest and first.lower() in (target.lower(), alias.lower()) else path
