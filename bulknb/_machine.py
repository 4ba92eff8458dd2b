"""A second core, as Arrow lets other threads run for most of what it does; memory to give back."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

__all__ = ["ahead", "give_back", "later"]

_MANY_ROWS = 200_000

T = TypeVar("T")


def later(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs on a thread of its own."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="bulknb-rows")
    future = thread.submit(call)
    thread.shutdown(wait=False)
    return future


def ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield what the calls return, in their order; the next one runs while one is in use."""
    with ThreadPoolExecutor(1, thread_name_prefix="bulknb-rows") as thread:
        running: Future[T] | None = None
        for call in calls:
            before, running = running, thread.submit(call)
            if before:
                yield before.result()
        if running:
            yield running.result()


def give_back(rows: int) -> None:
    """Give memory back that Arrow and the C library keep for what may come.

    After work at many rows that is tens of MB. After few it takes longer than it is worth.
    """
    if rows < _MANY_ROWS:
        return
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
