"""Row locks: which transaction holds which parent records.

Saving a child locks the records that it refers to until its transaction commits. Who comes later
and needs one of them stands back and tries again; after so many attempts its rows fail with
UNABLE_TO_LOCK_ROW. How often and how long an org waits is not recorded: both are ours.
"""

from collections.abc import Iterable, Mapping, Sequence

from bulknb.sandbox import values
from bulknb.sandbox.plan import Plan
from bulknb.sandbox.rows import RowError
from bulknb.sandbox.schema import Field, ObjectType
from bulknb.sandbox.store import Outcome, Store

ATTEMPTS = 10

# The parents of a transaction, row by row: their Ids.
Parents = Sequence[frozenset[str]]


class Locks:
    """Who holds what, and which rows go without; a transaction is known by its batch.

    A sandbox that is started anew has forgotten it: what runs then is not in anybody's way.
    """

    def __init__(self) -> None:
        self._held: dict[str, frozenset[str]] = {}
        self._refused: dict[str, dict[int, str]] = {}

    def take(self, batch: str, parents: Parents, *, last: bool) -> bool:
        """Lock the parents of a transaction's rows; false if another transaction has one.

        With the last attempt the transaction goes on whatever happens: without the rows whose
        parents are not to be had.
        """
        others = frozenset[str]().union(*(v for key, v in self._held.items() if key != batch))
        refused = {
            row: min(taken) for row, wanted in enumerate(parents) if (taken := wanted & others)
        }
        if refused and not last:
            return False
        free = (wanted for row, wanted in enumerate(parents) if row not in refused)
        self._held[batch] = frozenset[str]().union(*free)
        self._refused[batch] = refused
        return True

    def release(self, batch: str) -> dict[int, str]:
        """Give free what a transaction holds; return its rows that fail, with what they lack."""
        self._held.pop(batch, None)
        return self._refused.pop(batch, {})


def refusal(parent: str) -> str:
    """Return the error of a row that did not get its parent."""
    message = f"unable to obtain exclusive access to this record or 1 records: {parent}"
    return str(RowError("UNABLE_TO_LOCK_ROW", message))


def refused_outcome(plan: Plan, row: Sequence[str], parent: str) -> Outcome:
    """Return what becomes of a row that did not get its parent: its own Id, if it names one."""
    ids = (row[column.position] for column in plan.columns if column.field.name == "Id")
    key = next(ids, "") if plan.operation != "insert" else ""
    return Outcome(key, False, refusal(parent))


def find_parents(
    store: Store, objects: Mapping[str, ObjectType], plan: Plan, rows: Sequence[Sequence[str]]
) -> Parents:
    """Return the parents that saving each row locks: those it names and those it has."""
    found: list[set[str]] = [set() for _ in rows]
    for column in plan.columns:
        if column.field in plan.kind.references:
            cells = _read(column.source, _cells(rows, column.position))
            if column.parent:
                known = dict(
                    _folded(store.find_ids(column.parent, column.source.name, _some(cells)))
                )
                cells = [known.get(_fold(cell)) for cell in cells]
            _add(found, cells)
        if column.field is plan.key and plan.operation != "insert":
            keys = _read(column.field, _cells(rows, column.position))
            records = store.find(plan.kind, plan.key.name, _some(keys))
            by_key = {_fold(record[plan.key.name]): record for record in records}
            for field in plan.kind.references:
                _add(found, [by_key.get(_fold(key), {}).get(field.name) for key in keys])
    return [frozenset(parents) for parents in found]


def _cells(rows: Sequence[Sequence[str]], position: int) -> list[str]:
    # A row that is too short fails for that; it locks nothing.
    return [row[position] if position < len(row) else "" for row in rows]


def _read(field: Field, cells: Iterable[str]) -> list[object]:
    """Return the values that cells stand for; None if they stand for none."""
    read = values.reader(field)

    def value(cell: str) -> object:
        try:
            return read(cell) if cell not in ("", values.NULL) else None
        except (ValueError, values.RefusedError):
            return None

    return [value(cell) for cell in cells]


def _add(found: Sequence[set[str]], parents: Iterable[object]) -> None:
    for row, parent in zip(found, parents, strict=True):
        if parent is not None:
            row.add(str(parent))


def _some(cells: Iterable[object]) -> set[object]:
    return {cell for cell in cells if cell is not None}


def _folded(pairs: Iterable[tuple[object, str]]) -> Iterable[tuple[object, str]]:
    return ((_fold(value), key) for value, key in pairs)


def _fold(value: object) -> object:
    """Return the value as keys are compared: letter case makes no difference."""
    return value.lower() if isinstance(value, str) else value
