"""What the bulk steps of CumulusCI do to a sandbox; each function is one check."""

import os

import _common
from cumulusci.core.config import BaseProjectConfig, OrgConfig, TaskConfig, UniversalConfig
from cumulusci.core.keychain import BaseProjectKeychain
from cumulusci.tasks.bulkdata.step import (
    DataApi,
    DataOperationType,
    get_dml_operation,
    get_query_operation,
)
from cumulusci.tasks.salesforce import BaseSalesforceApiTask

KIND = "Account"
VERSION = "62.0"


class Task(BaseSalesforceApiTask):
    """A task of one's own, as CumulusCI runs it; the steps work in its context."""

    def _update_credentials(self):
        """Keep the token: there is nothing to refresh it with."""

    def _run_task(self):
        """Sign in, and leave the rest to the checks."""


def signed_in():
    config = {"project": {"package": {"api_version": VERSION}}}
    project = BaseProjectConfig(UniversalConfig(), config=config)
    project.set_keychain(BaseProjectKeychain(project, None))
    org = {"instance_url": os.environ["INSTANCE_URL"], "access_token": os.environ["ACCESS_TOKEN"]}
    task = Task(project, TaskConfig(), OrgConfig(org, "sandbox"))
    task()
    return task


def load(task, operation, fields, rows, **options):
    step = _step(task, operation, fields, len(rows), **options)
    with step:
        step.load_records(iter(rows))
    return {
        "status": step.job_result.status.value,
        "processed": step.job_result.records_processed,
        "failed": step.job_result.total_row_errors,
        "batches": len(step.batch_ids),
        "results": [result._asdict() for result in step.get_results()],
    }


def broken(task, fields, rows):
    step = _step(task, "insert", fields, len(rows))
    with step:
        step.load_records(iter(rows))
    return {"status": step.job_result.status.value, "errors": step.job_result.job_errors}


def previous(task, operation, fields, rows, **options):
    step = _step(task, operation, fields, len(rows), **options)
    values, names = step.get_prev_record_values(iter(rows))
    return [dict(zip(names, row, strict=True)) for row in values]


def select(task, fields, rows, condition):
    step = _step(task, "query", fields, len(rows), selection_filter=condition, content_type="JSON")
    step.start()
    step.select_records(iter(rows))
    step.end()
    return {
        "status": step.job_result.status.value,
        "results": [result._asdict() for result in step.get_results()],
    }


def query(task, fields, soql):
    step = get_query_operation(
        sobject=KIND, fields=fields, api_options={}, context=task, query=soql, api=DataApi.BULK
    )
    with step:
        return {"count": step.job_result.records_processed, "rows": list(step.get_results())}


def _step(task, operation, fields, volume, selection_filter=None, content_type=None, **options):
    return get_dml_operation(
        sobject=KIND,
        operation=DataOperationType(operation),
        fields=fields,
        api_options=options,
        context=task,
        volume=volume,
        api=DataApi.BULK,
        selection_filter=selection_filter,
        content_type=content_type,
    )


_common.main(globals(), signed_in)
