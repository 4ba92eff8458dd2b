"""SOQL to SQL: a query that fits the org's objects, and the statement that answers it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lark import Token

from bulknb.sandbox import syntax, tables, values
from bulknb.sandbox.schema import NUMBERS, Field, ObjectType
from bulknb.sandbox.store import Store
from bulknb.sandbox.syntax import Comparison, Junction, Membership, Negation, Path, SoqlError
from bulknb.sandbox.tables import quote, sql

__all__ = ["Found", "Query", "Selected", "SoqlError", "parse"]

_ADVICE = (
    "append the '__c' after the {0} name. Please reference your WSDL or the describe call for"
    " the appropriate names."
)
# SQLite takes no expression that is nested deeper than 1,000.
MAX_CONDITIONS = 300
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
# What each type of field is compared with; all others are compared with text.
_LITERALS = dict.fromkeys(NUMBERS | {"int"}, "NUMBER") | {
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "DATETIME",
}


@dataclass(frozen=True)
class Selected:
    """One column of a result: a field of the object, or of a parent of it."""

    field: Field
    reference: Field | None = None

    @property
    def name(self) -> str:
        """The column's name, as declared: ``Carrier__r.Name``."""
        if self.reference is None:
            return self.field.name
        return f"{self.reference.relationship}.{self.field.name}"


@dataclass(frozen=True)
class Found:
    """One record of a result: its Id, the Ids of the parents asked for, the selected values."""

    key: str
    parents: Mapping[str, str | None]
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Query:
    """A query that fits the org's objects.

    Attributes
    ----------
    kind : ObjectType
        The object after FROM.
    columns : tuple of Selected
        What to select; empty for COUNT().
    references : tuple of Field
        The ways to parents that the query uses.
    """

    kind: ObjectType
    columns: tuple[Selected, ...]
    references: tuple[Field, ...]
    statement: str
    parameters: tuple[Any, ...]

    @property
    def counts(self) -> bool:
        """Whether the number of records is asked for, and not the records."""
        return not self.columns

    def run(self, store: Store) -> Iterator[Found]:
        """Yield the records, in the order asked for, else oldest first."""
        names = [reference.name for reference in self.references]
        for key, *rest in self.rows(store):
            parents = dict(zip(names, rest, strict=False))
            yield Found(key, parents, tuple(rest[len(names) :]))

    def rows(self, store: Store) -> Iterator[Sequence[Any]]:
        """Yield the records as the statement gives them: what `Found` holds, in one row."""
        return store.each(self.statement, *self.parameters)

    def count(self, store: Store) -> int:
        """Return the number of records."""
        found = store.row(sql("SELECT count(*) FROM (", self.statement, ")"), *self.parameters)
        return int(found[0]) if found else 0


def parse(
    text: str,
    objects: Mapping[str, ObjectType],
    *,
    deleted_too: bool = False,
    alphabetical: bool = False,
) -> Query:
    """Return the query that a SOQL text means.

    Parameters
    ----------
    text : str
        The query.
    objects : mapping
        All objects, by name in small letters.
    deleted_too : bool
        Whether records in the recycle bin count (queryAll).
    alphabetical : bool
        Whether the columns come by name, and not in the order asked for.

    Raises
    ------
    SoqlError
        If an org would refuse it.
    """
    compiler = _Compiler(text, objects)
    return compiler.query(deleted_too=deleted_too, alphabetical=alphabetical)


class _Compiler:
    """Turns one query into SQL."""

    def __init__(self, text: str, objects: Mapping[str, ObjectType]) -> None:
        self._text = text
        self._objects = objects
        self._tree = syntax.read(text)
        self._kind = self._object(self._tree.object)
        self._conditions = 0
        self._parameters: list[Any] = []
        self._joined: dict[str, Field] = {}

    def query(self, *, deleted_too: bool, alphabetical: bool) -> Query:
        tree = self._tree
        columns = tuple(self._column(path) for path in tree.paths or ())
        if alphabetical:
            columns = tuple(sorted(columns, key=lambda column: column.name.lower()))
        conditions = [] if deleted_too else ["r.IsDeleted = 0"]
        if tree.where is not None:
            conditions.append(f"({self._condition(tree.where)})")
        ordering = [self._ordering(key) for key in tree.order]
        references = tuple(self._joined.values())
        selected = [
            "r.Id",
            *(f"r.{quote(reference.name)}" for reference in references),
            *(self._sql(column) for column in columns),
        ]
        statement = sql(
            "SELECT",
            ", ".join(selected),
            "FROM",
            tables.records(self._kind),
            "AS r",
            *(self._join(reference) for reference in references),
            *(["WHERE", " AND ".join(conditions)] if conditions else []),
            "ORDER BY",
            ", ".join([*ordering, "r.Id"]),
            *(["LIMIT", str(tree.limit)] if tree.limit is not None else []),
        )
        return Query(self._kind, columns, references, statement, tuple(self._parameters))

    # Names

    def _object(self, name: Token) -> ObjectType:
        kind = self._objects.get(name.lower())
        if kind is None:
            raise self._error(
                "INVALID_TYPE",
                name,
                f"sObject type '{name}' is not supported. If you are attempting to use a custom"
                f" object, be sure to {_ADVICE.format('entity')}",
            )
        return kind

    def _column(self, path: Path) -> Selected:
        *way, name = path.names
        if way and way[0].lower() == self._kind.name.lower():
            way = way[1:]
        if not way:
            return Selected(self._field(self._kind, name))
        if len(way) > 1:
            message = "The sandbox follows a relationship one level up only"
            raise self._error("INVALID_FIELD", way[1], message)
        reference = self._kind.reference(way[0])
        if reference is None or reference.reference_to is None:
            raise self._error(
                "INVALID_FIELD",
                way[0],
                f"Didn't understand relationship '{way[0]}' in field path. If you are attempting"
                " to use a custom relationship, be sure to append the '__r' after the custom"
                " relationship name. Please reference your WSDL or the describe call for the"
                " appropriate names.",
            )
        self._joined[reference.name] = reference
        return Selected(self._field(self._objects[reference.reference_to.lower()], name), reference)

    def _field(self, kind: ObjectType, name: Token) -> Field:
        found = kind.field(name)
        if found is None:
            raise self._error(
                "INVALID_FIELD",
                name,
                f"No such column '{name}' on entity '{kind.name}'. If you are attempting to use a"
                f" custom field, be sure to {_ADVICE.format('custom field')}",
            )
        return found

    def _error(self, code: str, at: Token, message: str) -> SoqlError:
        return SoqlError(code, syntax.pointed(self._text, message, at.line, at.column))

    @staticmethod
    def _sql(column: Selected) -> str:
        alias = quote(f"p {column.reference.name}") if column.reference else "r"
        return f"{alias}.{quote(column.field.name)}"

    def _join(self, reference: Field) -> str:
        alias = quote(f"p {reference.name}")
        parent = self._objects[str(reference.reference_to).lower()]
        on = f"{alias}.Id = r.{quote(reference.name)}"
        return sql("LEFT JOIN", tables.records(parent), "AS", alias, "ON", on)

    # Conditions

    def _condition(self, condition: syntax.Condition) -> str:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise SoqlError("QUERY_TOO_COMPLICATED", "The query has too many conditions")
        match condition:
            case Junction(word, parts):
                return f" {word} ".join(f"({self._condition(part)})" for part in parts)
            case Negation(inner):
                # SOQL knows true and false only; SQL has a third answer, for null.
                return f"NOT ifnull(({self._condition(inner)}), 0)"
            case Membership():
                return self._membership(condition)
            case Comparison():
                return self._comparison(condition)

    def _membership(self, condition: Membership) -> str:
        column = self._column(condition.path)
        marks = ", ".join(self._mark(column.field, value) for value in condition.values)
        within = f"ifnull({self._sql(column)} IN ({marks}), 0)"
        return f"NOT {within}" if condition.negated else within

    def _comparison(self, condition: Comparison) -> str:
        column = self._column(condition.path)
        left = self._sql(column)
        if condition.operator == "LIKE":
            # \% and \_ mean the same in SQL, if told so; the other escapes are SOQL's own.
            pattern = re.sub(r"\\([^%_\\])", _unescape, condition.value[1:-1])
            self._parameters.append(pattern)
            return f"{left} LIKE ? ESCAPE '\\'"
        mark = self._mark(column.field, condition.value)
        operator = {"=": "IS", "!=": "IS NOT", "<>": "IS NOT"}.get(condition.operator)
        return f"{left} {operator or condition.operator} {mark}"

    def _ordering(self, key: syntax.Key) -> str:
        return sql(
            self._sql(self._column(key.path)),
            "DESC" if key.descending else "ASC",
            "NULLS LAST" if key.nulls_last else "NULLS FIRST",
        )

    def _mark(self, field: Field, token: Token) -> str:
        """Return the place of a value in the SQL, and note the value."""
        self._parameters.append(self._value(field, token))
        return "?"

    def _value(self, field: Field, token: Token) -> Any:
        """Return a literal as the store has such values."""
        wanted = _LITERALS.get(field.type, "STRING")
        if token.type == "NULL":
            return None
        if token.type != wanted:
            quotes = "" if wanted == "STRING" else "not "
            raise self._error(
                "INVALID_FIELD",
                token,
                f"value of filter criterion for field '{field.name}' must be of type"
                f" {field.type} and should {quotes}be enclosed in quotes",
            )
        try:
            return _read(field, token)
        except (ValueError, values.RefusedError):
            message = f"invalid {'ID' if wanted == 'STRING' else field.type} field: {token}"
            raise self._error("INVALID_QUERY_FILTER_OPERATOR", token, message) from None


def _read(field: Field, token: Token) -> Any:
    if token.type != "STRING":
        return float(token) if token.type == "NUMBER" else values.reader(field)(token)
    text = re.sub(r"\\(.)", _unescape, token[1:-1])
    return values.reader(field)(text) if field.type in {"id", "reference"} else text


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[1])
