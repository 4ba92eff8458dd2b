"""Work beside the work at hand: for most of what Arrow does, it lets other threads run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead", "later"]

T = TypeVar("T")


def later(call: Callable[[], T]) -> Future[T]:
    """Return what a call will return, which runs on a thread of its own."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="bulknb-rows")
    future = thread.submit(call)
    thread.shutdown(wait=False)
    return future


def ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield what the calls return, in their order; the next one runs while one is in use."""
    running: Future[T] | None = None
    for call in calls:
        before, running = running, later(call)
        if before:
            yield before.result()
    if running:
        yield running.result()
