"""Salesforce bulk loads in Jupyter.

Load a frame, watch the job, close or abort it, see where the time went.

Start with ``org = bulknb.connect(...)``, or without an org ``bulknb.sandbox.start().connect()``.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ._compare import Comparison, compare
from ._connect import connect
from ._explain import Explanation, explain
from ._findings import Finding
from ._history import jobs_frame
from ._jobinfo import BatchInfo, JobInfo
from ._jobs import Batches, Job
from ._listing import Jobs
from ._load import Load
from ._locks import Locks, locks
from ._org import Org
from ._past import History
from ._preflight import Check
from ._query import Query
from ._resume import Loads
from ._trend import trend
from .errors import BulkError

__all__ = [
    "BatchInfo",
    "Batches",
    "BulkError",
    "Check",
    "Comparison",
    "Explanation",
    "Finding",
    "History",
    "Job",
    "JobInfo",
    "Jobs",
    "Load",
    "Loads",
    "Locks",
    "Org",
    "Query",
    "compare",
    "connect",
    "explain",
    "jobs_frame",
    "locks",
    "trend",
]

__version__ = "0.1.0"

#: Loaded when first touched: matplotlib, ipywidgets and Flask cost more than all the rest.
_NAMESPACES = ("errors", "plots", "report", "sandbox", "soql", "widgets")
_SANDBOX_NEEDS = ("flask", "lark", "waitress", "werkzeug")


def __getattr__(name: str) -> ModuleType:
    if name not in _NAMESPACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as missing:
        if missing.name not in _SANDBOX_NEEDS:
            raise
        lacking = missing.name
    raise ModuleNotFoundError(
        f"The sandbox needs {lacking}: pip install 'bulknb[sandbox]'", name=lacking
    )


def __dir__() -> list[str]:
    return sorted([*__all__, *_NAMESPACES])
