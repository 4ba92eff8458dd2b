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

__all__ = ["ahead", "apart", "beside", "give_back", "later"]

_MANY_ROWS = 200_000
#: Work at rows runs on so many cores.
_THREADS = 2
#: glibc has memory from before for blocks of up to this size, once one of it has been given back:
#: see M_MMAP_THRESHOLD in mallopt(3).
_USED_AGAIN_BYTES = (32 << 20) - (64 << 10)
#: Names the memory that Arrow uses, where the user has chosen it.
_POOL_ENVIRONMENT = "ARROW_DEFAULT_MEMORY_POOL"

T = TypeVar("T")


def later(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs on another thread; it waits for no later one."""
    return _workers(os.getpid(), _THREADS).submit(call)


def beside(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs beside this thread, after all such before it.

    Two that work at once would keep this thread from its core.
    """
    return _workers(os.getpid(), 1).submit(call)


@functools.cache
def _workers(process: int, threads: int) -> ThreadPoolExecutor:
    """Return threads of a process, which a fork does not take along.

    They stay: a new thread begins with memory that nobody has used yet, and that is slow.
    """
    _use_memory_again()
    return ThreadPoolExecutor(threads, thread_name_prefix="bulknb-rows")


def _use_memory_again() -> None:
    """Have memory used again where a load or query would soon ask for as much: fresh one is slow.

    Arrow's mimalloc gives back what was free for 10 ms, jemalloc what was for a second.
    """
    bytes(_USED_AGAIN_BYTES)
    if _POOL_ENVIRONMENT not in os.environ and pa.default_memory_pool().backend_name == "mimalloc":
        with contextlib.suppress(NotImplementedError):  # not on Windows
            pa.set_memory_pool(pa.jemalloc_memory_pool())


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
        running = [beside(call)]
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
