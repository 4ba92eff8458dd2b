"""An object made after the pattern of a frame: columns -> fields, rows -> records.

Which Salesforce type a dtype becomes is ours: an org has no such thing.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pandas as pd

from bulknb.sandbox.org import Org
from bulknb.sandbox.plan import Plan
from bulknb.sandbox.rows import Transaction
from bulknb.sandbox.schema import TYPES, Field, ObjectType

# Digits after the point of a column of floats; more than most data have.
FLOAT_SCALE = 6


def object_type(name: str, frame: pd.DataFrame, *, external_id: str | None = None) -> ObjectType:
    """Return an object whose fields are the columns of a frame.

    Raises
    ------
    ValueError
        A column has no name that a field can have, or there is no column `external_id`.
    """
    columns = [str(column) for column in frame.columns]
    if external_id is not None and external_id not in columns:
        raise ValueError(f"The frame has no column {external_id}; it has {', '.join(columns)}.")
    fields = (
        _field(column, frame.iloc[:, place], is_key=column == external_id)
        for place, column in enumerate(columns)
    )
    return ObjectType(name, tuple(fields))


def _field(name: str, values: pd.Series, *, is_key: bool) -> Field:
    key: dict[str, Any] = dict.fromkeys(("external_id", "unique", "required"), is_key)
    types = pd.api.types
    if types.is_bool_dtype(values):
        return Field(name, "boolean", **key)
    if types.is_integer_dtype(values):
        return Field(name, "double", scale=0, **key)
    if types.is_numeric_dtype(values):
        return Field(name, "double", scale=FLOAT_SCALE, **key)
    if types.is_datetime64_any_dtype(values):
        return Field(name, "datetime", **key)
    found = values.dropna()
    if len(found) and all(isinstance(v, date) and not isinstance(v, datetime) for v in found):
        return Field(name, "date", **key)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return Field(name, "picklist", picklist=tuple(map(str, values.cat.categories)), **key)
    longest = max(map(len, found.astype(str)), default=0)
    return Field(name, "string" if longest <= TYPES["string"].length else "textarea", **key)


def save_rows(org: Org, kind: ObjectType, frame: pd.DataFrame) -> None:
    """Save the rows of a frame as records, all or none.

    Raises
    ------
    ValueError
        A row cannot be saved.
    """
    columns = [str(column) for column in frame.columns]
    texts = [_texts(frame.iloc[:, place]) for place in range(len(columns))]
    rows = [list(row) for row in zip(*texts, strict=True)]
    with org.lock, org.store.transaction():
        plan = Plan.read(org.objects, kind, "insert", None, columns)
        transaction = Transaction(
            org.store, org.objects, plan, at=org.clock.time(), user=org.default_user.id
        )
        for number, outcome in enumerate(transaction.run(rows)):
            if outcome.error:
                raise ValueError(f"{kind.name}: row {number} of the frame: {outcome.error}")


def _texts(values: pd.Series) -> list[str]:
    """Return the cells of a column as a batch would have them; a missing value is empty."""
    if pd.api.types.is_datetime64_any_dtype(values):
        # A time without a zone is UTC, as it is for an org.
        return _map(pd.to_datetime(values, utc=True), lambda v: f"{v:%Y-%m-%dT%H:%M:%S.%f}Z")
    if pd.api.types.is_bool_dtype(values):
        return _map(values, lambda value: "true" if value else "false")
    return _map(values, str)


def _map(values: pd.Series, text: Callable[[Any], str]) -> list[str]:
    return ["" if missing else text(v) for v, missing in zip(values, values.isna(), strict=True)]
