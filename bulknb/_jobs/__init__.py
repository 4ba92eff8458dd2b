"""The three dialects of a job, how to make one, and how to find out which one an id is."""

from __future__ import annotations

from collections.abc import Mapping

from .._jobinfo import QUERIES, JobInfo
from .._wire import Wire
from ..errors import NotFoundError
from . import ids
from .base import Job, poll_seconds
from .batches import Batches
from .classic import ClassicJob
from .classic_query import ClassicQueryJob
from .confirm import confirmed, is_production, org_label, production_name
from .ingest import BigObjectJob, IngestJob
from .properties import PK_CHUNKING, PkChunking, check_api, pk_chunking_header
from .query import QueryJob

__all__ = [
    "QUERY_JOBS",
    "Batches",
    "BigObjectJob",
    "ClassicJob",
    "ClassicQueryJob",
    "IngestJob",
    "Job",
    "PkChunking",
    "QueryJob",
    "UnknownJob",
    "check_api",
    "confirmed",
    "create_job",
    "find_job",
    "is_production",
    "job_from_info",
    "org_label",
    "pk_chunking_header",
    "poll_seconds",
    "production_name",
]


class UnknownJob(Job):
    """A job of a kind that this bulknb does not know: its info can be read, and nothing else."""

    lacks = dict.fromkeys(
        ("close", "abort", "delete"),
        "This bulknb does not know this kind of job, and so changes nothing of it: look in "
        "Salesforce's Setup under Bulk Data Load Jobs",
    )


_DIALECTS: dict[str, type[Job]] = {
    dialect.job_type: dialect for dialect in (ClassicJob, IngestJob, BigObjectJob, QueryJob)
}


#: API -> the job that answers a query as one result.
QUERY_JOBS: dict[str, type[QueryJob | ClassicQueryJob]] = {
    "1.0": ClassicQueryJob,
    "2.0": QueryJob,
}


def job_from_info(wire: Wire, info: JobInfo) -> Job:
    """Return the job of the dialect that its info names; of an unknown one a job to read only."""
    return _DIALECTS.get(info.job_type or "", UnknownJob)(wire, info)


def create_job(
    wire: Wire,
    api: str,
    given: Mapping[str, str],
    *,
    pk_chunking: PkChunking,
    headers: Mapping[str, str] | None,
    unchecked: Mapping[str, str] | None,
    confirm: str | None,
) -> Job:
    """Create a job in the dialect that its operation needs; see ``Org.create_job``."""
    operation = {**given, **(unchecked or {})}.get("operation")
    check_api(api)
    chunking = pk_chunking_header(pk_chunking, api)
    if str(operation).lower() == "harddelete":
        confirmed(wire, "hardDelete", 1, confirm)
    if api == "1.0":
        chunked = {PK_CHUNKING: chunking} if chunking else {}
        return ClassicJob.create(
            wire, given, unchecked=unchecked, headers={**(headers or {}), **chunked}
        )
    dialect = QueryJob if operation in QUERIES else IngestJob
    return dialect.create(wire, given, unchecked=unchecked, headers=headers)


def find_job(wire: Wire, id: str) -> Job:
    """Return the job with this id, in full: one request, or one for each API that is asked.

    Raises
    ------
    NotFoundError
        None of the APIs knows it.
    InputError
        It is not the id of a job.
    """
    ids.checked(id, "750", "job")
    missing: NotFoundError
    for dialect in (IngestJob, QueryJob):
        try:
            asked = dialect(wire, JobInfo(id=id)).refresh()
        except NotFoundError as error:
            missing = error
        else:
            found = job_from_info(wire, asked.info)
            # Another dialect's own resource says more: of a 1.0 job, its batches.
            told_all = isinstance(found, dialect | UnknownJob)
            return found if told_all else found.refresh()
    raise missing
