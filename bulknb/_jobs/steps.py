"""The states that a job of each kind goes through, as far as they are known.

Sources: Bulk API Developer Guide, "JobInfo" (state); Bulk API 2.0 Developer Guide, "Get Job Info",
"Get Information About a Query Job".
"""

from __future__ import annotations

from .._jobinfo import JobInfo

__all__ = ["first_step", "path_of", "step_of"]

#: A 1.0 job that is Closed ends with its batches, which no state says.
_BATCHES_DONE = "Batches done"

_INGEST = ("Open", "UploadComplete", "InProgress", "JobComplete")
_PATHS = {
    "V2Ingest": _INGEST,
    "BigObjectIngest": _INGEST,
    "V2Query": _INGEST[1:],
    "Classic": ("Open", "Closed", _BATCHES_DONE),
}
_BAD_ENDS = ("Aborted", "Failed")


def step_of(info: JobInfo) -> str:
    """Return the step that a job is at: its state, but for a 1.0 job that is done."""
    return _BATCHES_DONE if info.state == "Closed" and info.done else info.state or ""


def first_step(info: JobInfo) -> str:
    """Return the state in which such a job begins; "" if its kind is not known."""
    return next(iter(_PATHS.get(info.job_type or "", ())), "")


def path_of(info: JobInfo, seen: set[str]) -> list[str]:
    """Return the steps from the begin to the end, or to Aborted or Failed after those `seen`.

    A state that Salesforce may add stands alone.
    """
    path = _PATHS.get(info.job_type or "", ())
    step = step_of(info)
    if step in path:
        return list(path)
    if step not in _BAD_ENDS:
        return [step] if step else []
    reached = max((path.index(name) for name in seen if name in path), default=0)
    return [*path[: reached + 1], step]
