"""A CSV file that comes piece by piece -> runs of whole rows, each worked on by another thread."""

from __future__ import annotations

import contextlib
import csv
import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ._machine import later

__all__ = ["Bytes", "Cutter", "Run"]

#: So much of a file is worked on at once. Less would cost more, and more would be no faster.
_RUN_BYTES = 3 << 20
_AT_ONCE = 2  # such runs
#: So much is looked at while it is in the processor's cache.
_STEP_BYTES = 1 << 18
#: So near to its ends the first row and the last line of a run are looked for at first.
_NEAR_BYTES = 1 << 12
_QUOTE = ord('"')

Bytes = npt.NDArray[np.uint8]
T = TypeVar("T")

_NONE = np.empty(0, np.uint8)
#: The memory of some runs that are over: to get fresh one takes as long as to read the rows.
_spare: SimpleQueue[Bytes] = SimpleQueue()
_MOST_SPARE = 6


@dataclass(frozen=True, eq=False)
class Run:
    """Whole rows of a file that follow each other.

    Attributes
    ----------
    data : array of uint8
        Their bytes; the next runs use the same memory, so nothing may go on to refer to it.
    at : int
        Where in the file they begin. The run at 0 begins with the header.
    """

    data: Bytes
    at: int
    _header: Future[list[str]]

    @property
    def names(self) -> list[str]:
        """The names of the file's columns.

        Raises
        ------
        UnicodeDecodeError, csv.Error
            The header cannot be read.
        """
        return self._header.result()


class Cutter(Generic[T]):
    """Cuts a file between rows, and has each run of them worked on.

    Parameters
    ----------
    work : callable
        What is made of a `Run`, on another thread.
    sign : str
        What stands between two cells.

    Attributes
    ----------
    nuls : int
        How many NUL characters have come.
    """

    def __init__(self, work: Callable[[Run], T], sign: str) -> None:
        self._work = work
        self._sign = sign
        self._is_quote = np.empty(_STEP_BYTES, np.bool_)
        self.restart()

    def restart(self) -> None:
        """Forget what has come: the file comes anew."""
        self.nuls = self._at = self._size = self._quotes = 0
        self._text = _NONE
        self._busy: deque[tuple[Future[T], Bytes]] = deque()
        self._header: Future[list[str]] = Future()
        self._results: deque[Future[T]] = deque()

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the file."""
        came = np.frombuffer(piece, np.uint8)
        while len(came):
            if not len(self._text):
                self._text = _taken()
            some = came[: min(_STEP_BYTES, len(self._text) - self._size)]
            self._text[self._size : self._size + len(some)] = some
            is_quote = np.equal(some, _QUOTE, out=self._is_quote[: len(some)])
            self._quotes += int(np.count_nonzero(is_quote))
            if not some.view(np.bool_).all():  # to look is several times as fast as to count
                self.nuls += int(np.count_nonzero(some == 0))
            self._size += len(some)
            came = came[len(some) :]
            if self._size == len(self._text):
                self._cut()

    @property
    def whole(self) -> bool:
        """Whether the last row has its end so far: no cell is open, and there is the line's end."""
        return not self._size or (
            self._quotes % 2 == 0 and self._text[self._size - 1 : self._size].tobytes() == b"\n"
        )

    def ready(self) -> Iterator[T]:
        """Yield what was made of the next runs, as far as it is there."""
        while self._results and self._results[0].done():
            yield self._results.popleft().result()

    def rest(self) -> Iterator[T]:
        """Yield what is made of all other runs, at least one, now that the file has come."""
        if self._size or not self._at:
            self._submit(self._size)
        self._size = self._quotes = 0
        while self._results:
            yield self._results.popleft().result()
        for text in (self._text, *(text for _, text in self._busy)):
            _give_back(text)
        self._text = _NONE
        self._busy.clear()

    def _cut(self) -> None:
        """Have the whole rows worked on, and keep what is here of the next one."""
        end, quotes = _last_row_end(self._text, self._quotes)
        rest = self._text[end:]
        if end:
            self._submit(end)
        # As large as it takes, where a row is larger than most runs.
        large = 2 * len(rest) > _RUN_BYTES
        self._text = np.empty(2 * len(rest), np.uint8) if large else self._unused()
        self._text[: len(rest)] = rest
        self._size, self._quotes = len(rest), quotes

    def _submit(self, end: int) -> None:
        run = Run(self._text[:end], self._at, self._header)
        if not run.at:
            self._read_header(run)
        result = later(lambda: self._work(run))
        self._busy.append((result, self._text))
        self._text = _NONE
        self._results.append(result)
        self._at += end

    def _read_header(self, run: Run) -> None:
        try:
            text = io.StringIO(_first_row(run.data).decode("utf-8-sig"), newline="")
            self._header.set_result(next(csv.reader(text, delimiter=self._sign), []))
        except (UnicodeDecodeError, csv.Error) as error:
            self._header.set_exception(error)

    def _unused(self) -> Bytes:
        """Return memory for a run; if there are enough, when one of them is done."""
        if len(self._busy) < _AT_ONCE:
            return _taken()
        result, text = self._busy.popleft()
        wait([result])
        return text if len(text) == _RUN_BYTES else _taken()


def _taken() -> Bytes:
    """Return memory for a run."""
    with contextlib.suppress(Empty):
        text = _spare.get_nowait()
        if len(text) == _RUN_BYTES:
            return text
    return np.empty(_RUN_BYTES, np.uint8)


def _give_back(text: Bytes) -> None:
    if len(text) == _RUN_BYTES and _spare.qsize() < _MOST_SPARE:
        _spare.put(text)


def _first_row(text: Bytes) -> bytes:
    """Return the first row, with the end of its line; without that, all of the text."""
    for size in (_NEAR_BYTES, len(text)):
        start = text[:size].tobytes()
        end = start.find(b"\n") + 1
        while end and start.count(b'"', 0, end) % 2:
            end = start.find(b"\n", end) + 1
        if end:
            return start[:end]
    return start


def _last_row_end(text: Bytes, quotes: int) -> tuple[int, int]:
    """Return where the last whole row ends, 0 if there is none, and how many quotes follow."""
    end, after = len(text), 0
    # A row ends with a line outside of quotes: where these have come in pairs.
    while begin := _last_line(text[:end]):
        after += int(np.count_nonzero(text[begin:end] == _QUOTE))
        if (quotes - after) % 2 == 0:
            return begin, after
        end = begin - 1
    return 0, quotes


def _last_line(text: Bytes) -> int:
    """Return where the last line begins."""
    near = _NEAR_BYTES
    while True:
        start = max(0, len(text) - near)
        begin = text[start:].tobytes().rfind(b"\n") + 1
        if begin or not start:
            return start + begin if begin else 0
        near *= 8
