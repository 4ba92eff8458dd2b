"""The syntax of SOQL: text to a tree of plain values. Which names exist is not its concern."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

MAX_CHARACTERS = 100_000


class SoqlError(ValueError):
    """A query that an org refuses.

    Parameters
    ----------
    code : str
        Such as ``MALFORMED_QUERY``, ``INVALID_FIELD``, ``INVALID_TYPE``.
    message : str
        What the org says.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Path:
    """A field's name, with those of the way to it: ``Carrier__r.Name``."""

    names: tuple[Token, ...]


@dataclass(frozen=True)
class Comparison:
    """Such as ``Name LIKE 'A%'``; the value is a token whose type tells what it is."""

    path: Path
    operator: str
    value: Token


@dataclass(frozen=True)
class Membership:
    """``Name IN ('A', 'B')``, or NOT IN."""

    path: Path
    negated: bool
    values: tuple[Token, ...]


@dataclass(frozen=True)
class Negation:
    """``NOT …``."""

    inner: "Condition"


@dataclass(frozen=True)
class Junction:
    """Conditions joined by AND or by OR."""

    word: str
    parts: tuple["Condition", ...]


Condition = Comparison | Membership | Negation | Junction


@dataclass(frozen=True)
class Key:
    """One key of ORDER BY; an org puts nulls first, in both directions."""

    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True)
class Select:
    """A whole query; `paths` is None for COUNT()."""

    paths: tuple[Path, ...] | None
    object: Token
    where: Condition | None
    order: tuple[Key, ...]
    limit: int | None


class _Builder(Transformer[Token, Select]):
    """Makes the values above out of lark's tree; a method for each rule of the grammar."""

    @v_args(inline=True)
    def start(
        self,
        paths: tuple[Path, ...] | None,
        name: Token,
        where: Condition | None,
        order: tuple[Key, ...] | None,
        limit: Token | None,
    ) -> Select:
        return Select(paths, name, where, order or (), int(limit) if limit else None)

    def count(self, _: Sequence[object]) -> None:
        return None

    def fields(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        return tuple(paths)

    def path(self, names: Sequence[Token]) -> Path:
        return Path(tuple(names))

    def order(self, keys: Sequence[Key]) -> tuple[Key, ...]:
        return tuple(keys)

    @v_args(inline=True)
    def key(self, path: Path, direction: Token | None, nulls: Token | None) -> Key:
        descending = direction is not None and direction.upper() == "DESC"
        return Key(path, descending, nulls is not None and nulls.upper().endswith("LAST"))

    def either(self, parts: Sequence[Condition]) -> Junction:
        return Junction("OR", tuple(parts))

    def both(self, parts: Sequence[Condition]) -> Junction:
        return Junction("AND", tuple(parts))

    @v_args(inline=True)
    def negation(self, inner: Condition) -> Negation:
        return Negation(inner)

    @v_args(inline=True)
    def comparison(self, path: Path, operator: Token, value: Token) -> Comparison:
        return Comparison(path, operator.upper(), value)

    @v_args(inline=True)
    def membership(self, path: Path, negated: Token | None, *values: Token) -> Membership:
        return Membership(path, negated is not None, values)

    @v_args(inline=True)
    def value(self, token: Token) -> Token:
        return token


@cache
def _parser() -> Lark:
    grammar = files("bulknb.sandbox").joinpath("soql.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr")


def read(text: str) -> Select:
    """Return the tree of a query.

    Raises
    ------
    SoqlError
        MALFORMED_QUERY, if the text is not of the subset of SOQL that the grammar describes.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"SOQL statements cannot be longer than {MAX_CHARACTERS} characters."
        raise SoqlError("MALFORMED_QUERY", message)
    try:
        return _Builder().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise SoqlError("MALFORMED_QUERY", _malformed(text, error)) from None
    except RecursionError:
        raise SoqlError("QUERY_TOO_COMPLICATED", "The conditions are nested too deeply") from None


def _malformed(text: str, error: UnexpectedInput) -> str:
    match error:
        case UnexpectedToken(token=Token(type="$END")):
            return "unexpected end of query"
        case UnexpectedToken(token=token):
            found = str(token)
        case UnexpectedCharacters(char=found):
            pass
    return pointed(text, f"unexpected token: '{found}'", error.line, error.column)


def pointed(text: str, message: str, line: int | None, column: int | None) -> str:
    """Return a message below the query, with a mark at the place, as orgs write it."""
    line, column = line or 1, column or 1
    lines = text.splitlines()
    lines.insert(line, " " * (column - 1) + "^")
    query = "\n".join(lines)
    return f"\n{query}\nERROR at Row:{line}:Column:{column}\n{message}"
