"""What is heard of an org's jobs -> the ledger, if it is news; nothing waits or stops for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator

from ._heard import Heard
from ._ledger import Ledger
from ._snapshots import Look, OrgKey, moment
from .errors import LedgerError

__all__ = ["Memory"]

log = logging.getLogger("bulknb.history")

#: Another process that is writing is waited for so long, and not again until it goes on.
_PATIENCE_SECONDS = 5.0
#: A job is told of in three ways: in full, in a list, in the answer to a change.
_WAYS_TO_TELL = 3
#: What could not be kept is tried again with the next news; older than so many looks is given up.
_MOST_UNKEPT = 10_000


class Memory:
    """Keeps what is heard of the jobs of one org.

    Parameters
    ----------
    ledger : Ledger
        Where it is kept.
    key : OrgKey
        What the org is known by.
    """

    def __init__(self, ledger: Ledger, key: OrgKey) -> None:
        self._ledger = ledger
        self.key = key
        self._lock = threading.Lock()
        #: Job id -> when it was looked at last, and hashes of what was said of it.
        self._looks: dict[str | None, tuple[int, tuple[int, ...]]] = {}
        self._unkept: list[Look] = []
        self._failing = False
        self._noting: list[set[str]] = []

    def take(self, heard: Iterable[Heard] = ()) -> None:
        """Keep what is news of it. That it cannot be kept is logged, once."""
        with self._lock:
            news = [look for one in heard if (look := self._news(one))]
            self._unkept = [*self._unkept, *news][-_MOST_UNKEPT:]
            try:
                self._keep(0 if self._failing else _PATIENCE_SECONDS)
            except LedgerError as error:
                if not self._failing:
                    log.warning("What is seen of jobs is not kept; all else goes on: %s", error)
                self._failing = True

    def flush(self) -> None:
        """Keep what could not be kept before.

        Raises
        ------
        LedgerError
            It still cannot be.
        """
        with self._lock:
            self._keep()

    @contextlib.contextmanager
    def noting(self) -> Iterator[set[str]]:
        """Collect the ids of the jobs of which something new is kept."""
        noted: set[str] = set()
        with self._lock:
            self._noting.append(noted)
        try:
            yield noted
        finally:
            with self._lock:
                self._noting = [other for other in self._noting if other is not noted]

    def _news(self, heard: Heard) -> Look | None:
        seen, said = moment(heard.at), hash(heard.info)
        before, known = self._looks.get(heard.info.id, (None, ()))
        if said in known:
            self._looks[heard.info.id] = (seen, known)
            return None
        self._looks[heard.info.id] = (seen, (*known, said)[-_WAYS_TO_TELL:])
        return Look(heard.info, seen, before)

    def _keep(self, patience: float | None = None) -> None:
        if not self._unkept:
            return
        news = self._ledger.keep(self.key, self._unkept, patience=patience)
        self._unkept, self._failing = [], False
        for noted in self._noting:
            noted |= news
