"""SOQL as the Bulk API takes it: what the REST API may be asked and a bulk query may not.

Source: "Bulk API 2.0 Query" (Bulk API guide), which names the clauses that are not supported.
"""

import re
from collections.abc import Mapping
from sqlite3 import Row

from bulknb.sandbox import soql
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.soql import Query, SoqlError

# Before this version, columns come by name and not in the order asked for.
FIRST_VERSION_WITH_ORDER = 50.0

_AGGREGATES = "Aggregate Relationships not supported in Bulk Query"
# The text on aggregates and subqueries is recorded, the others are ours.
_REFUSED = {
    r"\b(COUNT|COUNT_DISTINCT|SUM|AVG|MIN|MAX)\s*\(": _AGGREGATES,
    # A subquery among the selected fields; one after IN is another thing.
    r"(\bSELECT|,)\s*\(\s*SELECT\b": _AGGREGATES,
    r"\bGROUP\s+BY\b": "GROUP BY clause not supported in Bulk Query",
    r"\bOFFSET\s+\d": "OFFSET clause not supported in Bulk Query",
    r"\bTYPEOF\b": "TYPEOF clause not supported in Bulk Query",
}
# One that is not closed reaches to the end: what always matches takes no time to fail.
_STRING = re.compile(r"'(?:[^'\\]|\\.)*\\?(?:'|\Z)", re.DOTALL)


class UnsupportedError(SoqlError):
    """A query that the Bulk API does not answer, although it may be good SOQL."""

    def __init__(self, message: str) -> None:
        super().__init__("FUNCTIONALITY_NOT_ENABLED", message)


def parse(text: str, objects: Mapping[str, ObjectType], *, deleted_too: bool = False) -> Query:
    """Return a bulk query; see `soql.parse`.

    Raises
    ------
    UnsupportedError
        If it is a query for the REST API only.
    """
    _check(text)
    query = soql.parse(text, objects, deleted_too=deleted_too)
    if any(column.field.type == "base64" for column in query.columns):
        raise UnsupportedError("Selecting binary data not supported in Bulk Query")  # ours
    return query


def of_job(job: Row, objects: Mapping[str, ObjectType]) -> Query:
    """Return the query of a 2.0 job, which was found to be good when the job was made."""
    return soql.parse(
        job["query"],
        objects,
        deleted_too=job["operation"] == "queryAll",
        alphabetical=float(job["api_version"]) < FIRST_VERSION_WITH_ORDER,
    )


def _check(text: str) -> None:
    bare = _STRING.sub("''", text)
    for pattern, message in _REFUSED.items():
        if re.search(pattern, bare, re.IGNORECASE):
            raise UnsupportedError(message)
