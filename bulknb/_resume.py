"""What a dead kernel left: the loads of the ledger that go on, and open jobs that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, overload

from ._jobs import Job, job_from_info
from ._ledger import Journal, Ledger, LoadRecord
from ._lists import Known, listed
from ._load import Load
from ._source import Source
from ._wire import Wire
from .errors import InputError

__all__ = ["Loads", "resume"]


class Loads(Sequence[Load]):
    """Loads that go on.

    Attributes
    ----------
    orphans : list of Job
        Open jobs of this user that no load of the ledger made, such as one whose answer was lost.
        They never run by themselves; to be rid of one, call its ``abort()``.
    elsewhere : int
        How many more unfinished loads another kernel is at.
    """

    def __init__(self, loads: Sequence[Load], orphans: Sequence[Job], elsewhere: int) -> None:
        self._loads = list(loads)
        self.orphans = list(orphans)
        self.elsewhere = elsewhere

    @overload
    def __getitem__(self, at: int) -> Load: ...
    @overload
    def __getitem__(self, at: slice) -> list[Load]: ...
    def __getitem__(self, at: int | slice) -> Load | list[Load]:
        return self._loads[at]

    def __len__(self) -> int:
        return len(self._loads)

    def __iter__(self) -> Iterator[Load]:
        return iter(self._loads)

    def wait(self, timeout: float | None = None) -> Loads:
        """Wait for each of them, as ``Load.wait`` does, and return them."""
        for load in self:
            load.wait(timeout)
        return self

    def __repr__(self) -> str:
        lines = [f"{len(self)} unfinished loads", *map(repr, self)]
        if self.elsewhere:
            lines.append(f"{self.elsewhere} more go on in another kernel")
        if self.orphans:
            lines.append(f"{len(self.orphans)} open jobs of yours that no load here knows:")
            lines += map(repr, self.orphans)
        return "\n".join(lines)


def resume(wire: Wire, ledger: Ledger, known: Known, data: Any) -> Loads:
    """Go on with the loads that nobody is at, as ``Org.resume`` says."""
    source = None if data is None else Source.of(data)
    if source and source.once:
        raise InputError(
            "This stream can be read a single time only, and is read first to see that its rows "
            "are those that were sent: give the file, the table or a list of the frames that it "
            "comes from. Without it, resume() accounts for what was sent"
        )
    records = ledger.unfinished(wire.origin, wire.organization)
    claimed = [journal for record in records if (journal := ledger.claim(record, wire.clock))]
    journals = [journal for journal in claimed if ledger.parts(journal.record)]
    for journal in claimed:
        if journal not in journals:
            journal.end()  # it died before its first step: there is nothing to know it again by
    loads = [_load(wire, ledger, journal, source) for journal in journals]
    if source and not any(load.has_rows for load in loads):
        for journal in journals:
            journal.let_go()
        raise InputError(
            f"None of the {len(loads)} unfinished loads is of these rows, or their values have "
            "changed. Without them, resume() accounts for what was sent"
        )
    for load in loads:
        load.start()
    return Loads(loads, _orphans(wire, ledger, known), len(records) - len(claimed))


def _load(wire: Wire, ledger: Ledger, journal: Journal, source: Source | None) -> Load:
    """Return the load that goes on, with the rows if they are those that were being loaded."""
    if source:
        try:
            return _resumed(wire, ledger, journal, source)
        except InputError:
            pass
    return _resumed(wire, ledger, journal, None)


def _resumed(wire: Wire, ledger: Ledger, journal: Journal, source: Source | None) -> Load:
    order = _order(journal.record)
    name, operation = order.pop("object"), order.pop("operation")
    return Load(wire, source, name, operation, ledger=ledger, resumes=journal, **order)


def _order(record: LoadRecord) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(record.wanted)
    return order


def _orphans(wire: Wire, ledger: Ledger, known: Known) -> list[Job]:
    """Return open jobs that this user made, and none of the ledger's loads."""
    me = known.me(wire)[:15]
    return [
        job_from_info(wire, info)
        for info in listed(wire, job_type=None, pk_chunking=False)
        if info.state == "Open"
        and (info.created_by_id or "")[:15] == me
        and not ledger.knows(str(info.id))
    ]
