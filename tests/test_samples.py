"""Every recorded or documented body is read by the client: what each is read by stands here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bulknb
from bulknb import BatchInfo, JobInfo, _csv
from bulknb._about import Allowance, allowances_of
from bulknb._answer import refusal
from bulknb._jobs import batch_results
from bulknb._jobs.query import page_links
from bulknb._wire import Answer
from bulknb.errors import (
    ApiError,
    AuthenticationError,
    InvalidJobStateError,
    NotFoundError,
)

SAMPLES = Path(__file__).parent / "data" / "samples"
TYPES = {".json": "application/json", ".xml": "application/xml", ".csv": "text/csv"}

#: What the Salesforce CLI prints is read in test_auth.py.
NOT_HERE = {"sf-org-auth-show-access-token", "sf-org-display-redacted"}


def answer(path: Path, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": TYPES[path.suffix]}, path.read_bytes())


def reads_job(path: Path) -> None:
    [id] = bulknb.jobs_frame(path.read_bytes())["id"]
    assert id.startswith("750")


def reads_batch(path: Path) -> None:
    raw = path.read_bytes()
    batch = (
        BatchInfo.from_xml(raw) if path.suffix == ".xml" else BatchInfo.from_dict(json.loads(raw))
    )
    assert batch.id.startswith("751")


def reads_batches(path: Path) -> None:
    for batch in BatchInfo.list_from_xml(path.read_bytes()):
        assert batch.id.startswith("751")


def reads_list(path: Path) -> None:
    assert bulknb.jobs_frame(path.read_text())["job_type"].tolist() == ["Classic"]


def reads_outcomes(path: Path) -> None:
    table = batch_results.outcomes(answer(path))
    assert table.column_names == ["Id", "Success", "Created", "Error"]
    assert set(table["Success"].to_pylist()) <= {"true", "false"}
    assert len(table) >= 1


def reads_result_ids(path: Path) -> None:
    [id] = batch_results.result_ids(answer(path))
    assert id.startswith("752")


def reads_rows(path: Path) -> None:
    table = batch_results.query_rows(answer(path))
    assert len(table) == 3
    assert "Id" in table.column_names


def reads_results(path: Path) -> None:
    table = _csv.decode(path.read_bytes())
    assert "Name" in table.column_names
    assert (len(table) == 0) == path.stem.endswith("empty")


def reads_pages(path: Path) -> None:
    links, following = page_links(json.loads(path.read_text()))
    assert [link["locator"] for link in links] == ["aBcDeFg4N", "HiJkLmN4N"]
    assert following == "YcApWm4N"


def reads_event(path: Path) -> None:
    info = JobInfo.from_event(json.loads(path.read_text()))
    assert (info.id, info.state, info.done) == ("750xx000004UeCCB", "InProgress", False)


def reads_limits(path: Path) -> None:
    allowances = allowances_of(json.loads(path.read_text()))
    assert len(allowances) == 4
    assert allowances["DailyApiRequests"] == Allowance(most=15_000, left=14_999)


REFUSALS = {
    "error-invalid-session": AuthenticationError,
    "error-abort-completed": InvalidJobStateError,
    "error-results-not-ready-47": InvalidJobStateError,
    "error-unknown-job": NotFoundError,
}


def reads_refusal(path: Path) -> None:
    status = 404 if path.stem == "error-unknown-job" else 400
    error = refusal(answer(path, status), now=0.0)
    assert type(error) is REFUSALS.get(path.stem, ApiError)
    assert error.code
    assert error.server_message


READERS: dict[str, Callable[[Path], None]] = {
    "error-": reads_refusal,
    "event-": reads_event,
    "limits-": reads_limits,
    "job-": reads_job,
    "get-query-": reads_job,
    "batchlist-": reads_batches,
    "batch-result": reads_outcomes,
    "batch-": reads_batch,
    "list-": reads_list,
    "query-result-list": reads_result_ids,
    "query-resultpages": reads_pages,
    "query-results": reads_results,
    "query-result": reads_rows,
    "query-": reads_job,
    "ingest-failedresults": reads_results,
    "ingest-successfulresults": reads_results,
    "ingest-unprocessedrecords": reads_results,
    "ingest-": reads_job,
}


@pytest.mark.parametrize(
    "path",
    sorted(path for path in SAMPLES.rglob("*.*") if path.stem not in NOT_HERE),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_the_body_is_read(path):
    reader = next(reader for start, reader in READERS.items() if path.stem.startswith(start))

    reader(path)


def test_what_the_samples_hold_is_known():
    assert len(list(SAMPLES.rglob("*.*"))) == 72
    assert JobInfo.from_xml((SAMPLES / "v1/job-closed-documented.xml").read_bytes()).done
