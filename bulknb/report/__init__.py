"""Loads or jobs -> one HTML file to hand on.

It opens anywhere: no scripts, no network, pictures as SVG, and it prints well. The content of rows
is masked unless asked for; a token is never in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

import bulknb

from .. import _html
from .._findings import plural
from ._jobs import jobs
from ._matter import Matter
from ._parts import Section, some
from ._reasons import failed_jobs, failed_rows
from ._rows import outcome, proof
from ._svg import clean
from ._times import times

__all__ = ["html", "write"]


def write(
    what: Any,
    path: str | Path,
    *,
    rows: bool = False,
    title: str | None = None,
    past: Any = None,
) -> Path:
    """Write a report into a file, and return its path.

    Parameters
    ----------
    what : Load, Jobs, list of Load, History, history frame, or what else `bulknb.jobs_frame` takes
        What to report on. JobInfos pasted as JSON or XML text are enough: no org is needed.
    path : path
        The file, such as "june.html"; one that is there is replaced.
    rows : bool
        Whether examples of failed rows show what is in them. By default each letter of them is x
        and each digit is 9.
    title : str, optional
        Its heading.
    past : history frame, or what else `bulknb.jobs_frame` takes, optional
        Earlier jobs to compare with; by default those of the org that the ledger knows.

    Raises
    ------
    StillRunningError
        The load goes on: ``wait()`` for it first.
    ReconcileError
        The rows do not add up.
    InputError
        There is no job in it.
    """
    text = html(what, rows=rows, title=title, past=past)
    file = Path(path)
    file.write_text(text, encoding="utf-8")
    return file


def html(what: Any, *, rows: bool = False, title: str | None = None, past: Any = None) -> str:
    """Return the text of a report; see `write`."""
    matter = Matter.of(what)
    return clean(
        _html.page(
            _read("page.html"),
            style=_read("page.css"),
            version=bulknb.__version__,
            title=title or _title(matter),
            outcome=outcome(matter),
            facts=_facts(matter),
            sections=_sections(matter, rows=rows, past=past),
            footer=_footer(matter),
        )
    )


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _sections(matter: Matter, *, rows: bool, past: Any) -> Iterator[Section]:
    history = matter.history
    yield proof(matter)
    yield from failed_rows(matter.loads, rows=rows)
    yield from failed_jobs(history, rows=rows)
    if len(history):
        yield from times(matter, past)
        yield jobs(history)


def _title(matter: Matter) -> str:
    if matter.loads:
        return f"Load report: {matter.kinds}"
    return f"Job report: {plural(len(matter.history), 'job')}, {matter.kinds}"


def _facts(matter: Matter) -> list[tuple[str, str]]:
    history = matter.history
    said = [
        ("Org", matter.org),
        ("Created by", matter.users),
        ("First created", _moment(history["created_date"].min())),
        ("Last change", _moment(history["system_modstamp"].max())),
        ("Jobs", f"{len(history):,}"),
        ("API", _apis(history)),
    ]
    return [(name, value) for name, value in said if value]


def _apis(history: pd.DataFrame) -> str:
    kinds, versions = (
        some(history[name].dropna().unique()) for name in ("job_type", "api_version")
    )
    return f"{kinds}, version {versions}" if kinds and versions else kinds or versions


def _footer(matter: Matter) -> str:
    now = pd.Timestamp(matter.clock.time(), unit="s", tz="UTC").as_unit("us")
    return (
        f"Written by bulknb {bulknb.__version__}, {_moment(now)}. A dash stands for what was "
        "not reported or is not final yet."
    )


def _moment(moment: pd.Timestamp) -> str:
    """Return a moment in UTC and in the zone of this machine."""
    if pd.isna(moment):
        return ""
    local = moment.to_pydatetime().astimezone()
    here = f" ({local:%Y-%m-%d %H:%M %Z})" if local.utcoffset() else ""
    return f"{moment:%Y-%m-%d %H:%M} UTC{here}"
