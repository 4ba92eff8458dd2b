"""Why rows failed, and jobs as a whole: by reason, the content of rows masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._findings import plural
from .._load import Load
from ._masks import message, shape
from ._parts import Section, Table, number, text

_MOST_REASONS = 40
_MOST_CHARACTERS = 300
#: What a load adds to a frame; all else are cells of the row.
_ADDED = (
    *("outcome", "created", "error_code", "error_message", "error_fields"),
    *("job_id", "ambiguous", "unknown_reason"),
)


@dataclass(frozen=True)
class _Reason:
    """Why so many rows of an object failed; ``label`` and ``cells`` are of the first of them."""

    object: str
    code: str
    fields: tuple[str, ...]
    rows: int
    transient: bool
    remedy: str
    label: Any
    message: str
    cells: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The code, and below it what it is about."""
        about = f"{self.object}: {', '.join(self.fields)}" if self.fields else self.object
        return f"{self.code}\n{about}"

    @property
    def advice(self) -> str:
        """What to do, and whether the same rows may pass."""
        return f"{self.remedy}. May pass unchanged." if self.transient else f"{self.remedy}."

    def example(self, *, shown: bool) -> str:
        """Return the first row's message, and its cells that it is about, masked unless shown."""
        fields = [name.casefold() for name in self.fields]
        about = {name: cell for name, cell in self.cells.items() if name.casefold() in fields}
        if shown:
            lines = [f"Row {self.label}: {self.message}"]
        else:
            known = [self.object, *self.fields, *self.cells]
            lines = [message(self.message, self.cells.values() or None, known)]
        lines += [f"{name}: {cell if shown else shape(cell)}" for name, cell in about.items()]
        return "\n".join(map(_clipped, lines))


def failed_rows(loads: Sequence[Load], *, rows: bool) -> Iterator[Section]:
    """Yield the reasons, the most frequent first, if any row failed; `rows` shows their content."""
    reasons = sorted((it for load in loads for it in _reasons(load)), key=lambda it: -it.rows)
    if not reasons:
        return
    table = Table(
        "Failed rows by reason, each with the first of its rows",
        {"Reason": False, "Rows": True, "For example": False, "What to do": False},
        [
            (it.name, number(it.rows), it.example(shown=rows), it.advice)
            for it in reasons[:_MOST_REASONS]
        ],
        kind="prose",
    )
    said = [_hope(reasons)]
    if not rows:
        said.append("Content of rows is masked: letters are x, digits are 9.")
    if more := reasons[_MOST_REASONS:]:
        said.append(f"{_rows(more):,} rows failed for {len(more):,} more reasons.")
    yield Section("Why rows failed", said, tables=[table])


def _hope(reasons: Sequence[_Reason]) -> str:
    failed, transient = _rows(reasons), _rows([it for it in reasons if it.transient])
    if not transient:
        return "None of them may pass as it is: each needs a change first."
    if transient == failed:
        return "All of them may pass if they are sent again as they are."
    return (
        f"{transient:,} of them may pass if they are sent again as they are; "
        f"{failed - transient:,} need a change first."
    )


def _rows(reasons: Sequence[_Reason]) -> int:
    return sum(it.rows for it in reasons)


def failed_jobs(history: pd.DataFrame, *, rows: bool) -> Iterator[Section]:
    """Yield what Salesforce says of jobs that it failed as a whole, if any."""
    failed = history[history["error_message"].notna()]
    if failed.empty:
        return
    table = Table(
        "What Salesforce says of them",
        {"Job": False, "What": False, "State": False, "Message": False},
        [
            (
                text(job.id),
                f"{text(job.operation)} {text(job.object)}",
                text(job.state),
                _clipped(job.error_message if rows else message(str(job.error_message), ())),
            )
            for job in failed.head(_MOST_REASONS).itertuples()
        ],
        kind="prose",
    )
    more = len(failed) - _MOST_REASONS
    sentences = [f"{plural(more, 'more job')} failed as well."] if more > 0 else []
    yield Section("Jobs that failed as a whole", sentences, tables=[table])


def _reasons(load: Load) -> Iterator[_Reason]:
    failed = load.failed
    names = [str(name) for name in failed if name not in _ADDED]
    if not set(names) - {"Id"}:
        names = []  # a file's rows are not kept, and the Id came with the result
    groups = failed.groupby(["error_code", "error_fields"], dropna=False, sort=False)
    first = {_key(*key): rows.iloc[0] for key, rows in groups}
    for reason in load.errors().to_dict("records"):
        code, fields = key = _key(reason["error_code"], reason["error_fields"])
        row = first[key]
        yield _Reason(
            object=load.object,
            code=code,
            fields=tuple(filter(None, map(str.strip, fields.split(",")))),
            rows=reason["rows"],
            transient=reason["transient"],
            remedy=reason["remedy"],
            label=row.name,
            message=text(row["error_message"]),
            cells={name: row[name] for name in names},
        )


def _key(code: Any, fields: Any) -> tuple[str, str]:
    return ("no code" if pd.isna(code) else str(code), "" if pd.isna(fields) else str(fields))


def _clipped(said: object) -> str:
    line = str(said)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"
