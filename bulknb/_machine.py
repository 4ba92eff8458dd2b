"""A second core, as Arrow lets other threads run for most of what it does; memory to give back."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

__all__ = ["ahead", "give_back", "later"]

_MANY_ROWS = 200_000
#: Work at rows runs on so many cores.
_THREADS = 2
#: Blocks up to this size are memory from before, once one of them has been given back: see
#: M_MMAP_THRESHOLD in mallopt(3). To get fresh memory takes a fifth of the time of a load.
_USED_AGAIN_BYTES = (32 << 20) - (64 << 10)

T = TypeVar("T")


def later(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs on another thread; it waits for no later one."""
    return _workers(os.getpid()).submit(call)


@functools.cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return the threads of a process, which a fork does not take along.

    They stay: a new thread begins with memory that nobody has used yet, and that is slow.
    """
    bytes(_USED_AGAIN_BYTES)
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="bulknb-rows")


def apart(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs on its own thread, and may wait for others."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="bulknb-rows")
    future = thread.submit(call)
    thread.shutdown(wait=False)
    return future


def ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield what the calls return, in their order; the next one runs while one is in use."""
    running: list[Future[T]] = []
    for call in calls:
        done = [future.result() for future in running]
        running = [later(call)]
        if done:
            yield done.pop()  # whoever takes it has it alone
    if running:
        yield running.pop().result()


def give_back(rows: int) -> None:
    """Give memory back that Arrow and the C library keep for what may come.

    After work at many rows that is tens of MB. After few it takes longer than it is worth.
    """
    if rows < _MANY_ROWS:
        return
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
