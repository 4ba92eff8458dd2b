"""The states that a job goes through, as far as they are known."""

from __future__ import annotations

from .._jobinfo import BATCHES_DONE, JobInfo

__all__ = ["path_of", "step_of"]

_BAD_ENDS = ("Aborted", "Failed")


def step_of(info: JobInfo) -> str:
    """Return the step that a job is at: its state, but for a 1.0 job that is done."""
    return BATCHES_DONE if info.state == "Closed" and info.done else info.state or ""


def path_of(info: JobInfo, seen: set[str]) -> list[str]:
    """Return the steps from the begin to the end, or to Aborted or Failed after those `seen`.

    A state that Salesforce may add stands alone.
    """
    path = info.states.path
    step = step_of(info)
    if step in path:
        return list(path)
    if step not in _BAD_ENDS:
        return [step] if step else []
    reached = max((path.index(name) for name in seen if name in path), default=0)
    return [*path[: reached + 1], step]
