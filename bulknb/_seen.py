"""What looks at a job have shown so far: how long in each state, how fast, since when still."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ._gate import Clock
from ._jobinfo import JobInfo
from ._jobs.steps import step_of
from ._pace import Meter

__all__ = ["Seen", "Span"]


@dataclass(frozen=True)
class Span:
    """Seconds in a state; at least so many, where its begin was not seen."""

    seconds: float
    whole: bool


class Seen:
    """The looks at one job.

    Parameters
    ----------
    clock : Clock
        The clock by which the job was created.

    Attributes
    ----------
    at : float or None
        When the last look was, seconds since the epoch.
    meter : Meter
        Rows processed, by the clock's ``monotonic``.
    """

    def __init__(self, clock: Clock) -> None:
        self.at: float | None = None
        self.meter = Meter()
        self._clock = clock
        #: Step -> since when, and whether that is when it began. The last one goes on.
        self._since: dict[str, tuple[float, bool]] = {}
        self._ended: float | None = None
        self._last: JobInfo | None = None
        self._still_since = clock.monotonic()

    def add(self, info: JobInfo) -> None:
        """Take in what a look has shown."""
        now = self._clock.monotonic()
        self.at = self._clock.time()
        if not info.done:
            self.meter.add(now, info.number_records_processed or 0)
        step = step_of(info)
        if step and step not in self._since:
            self._since[step] = (self._begin(info, now), bool(self._since) or _is_first(info))
        if info.done and self._ended is None:
            self._ended = now
        # What the server stamps on a job does not say that it gets on.
        bare = replace(info, system_modstamp=None)
        if bare != self._last:
            self._last, self._still_since = bare, now

    @property
    def still(self) -> float:
        """Seconds between the first and the last look that showed the job as it is."""
        return self._clock.monotonic() - self._still_since

    @property
    def spans(self) -> dict[str, Span]:
        """How long the job was in each step that was seen; none for its end."""
        since = list(self._since.items())
        ends = [begin for _, (begin, _) in since[1:]]
        now = self._clock.monotonic() if self._ended is None else self._ended
        return {
            step: Span(end - begin, whole)
            for (step, (begin, whole)), end in zip(since, [*ends, now], strict=False)
            if self._ended is None or step != since[-1][0]
        }

    def _begin(self, info: JobInfo, now: float) -> float:
        """A job enters its first state when it is created, any other at some time before a look."""
        if self._since or info.created_date is None or not _is_first(info):
            return now
        return now - max(0.0, self._clock.time() - info.created_date.timestamp())


def _is_first(info: JobInfo) -> bool:
    return info.created_date is not None and info.state == info.states.begin
