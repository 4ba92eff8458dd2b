"""What salesforce-bulk does to a sandbox; each function is one check."""

import csv
import io
import json

import _common
from salesforce_bulk import CsvDictsAdapter
from salesforce_bulk.salesforce_bulk import BulkBatchFailed

KIND = "Account"


def load(bulk, operation, rows, content_type="CSV", key=None, concurrency=None):
    options = {"external_id_name": key} if key else {}
    job = bulk.create_job(
        KIND, operation, contentType=content_type, concurrency=concurrency, **options
    )
    data = CsvDictsAdapter(iter(rows)) if content_type == "CSV" else json.dumps(rows)
    batch = bulk.post_batch(job, data)
    bulk.close_job(job)
    bulk.wait_for_batch(job, batch, timeout=60, sleep_interval=0.3)
    return {
        "results": [list(row) for row in bulk.get_batch_results(batch, job)],
        "status": bulk.job_status(job),
        "batches": len(bulk.get_batch_list(job)),
    }


def query(bulk, soql, content_type="CSV", operation="query"):
    job = bulk.create_job(KIND, operation, contentType=content_type)
    batch = bulk.query(job, soql)
    bulk.close_job(job)
    bulk.wait_for_batch(job, batch, timeout=60, sleep_interval=0.3)
    sent = bulk.get_query_batch_request(batch, job)
    rows = []
    for result in bulk.get_all_results_for_query_batch(batch, job):
        text = result.read().decode()
        rows += json.loads(text) if content_type == "JSON" else csv.DictReader(io.StringIO(text))
    return {"rows": rows, "sent": sent}


def refused(bulk, rows):
    job = bulk.create_insert_job(KIND)
    batch = bulk.post_batch(job, CsvDictsAdapter(iter(rows)))
    try:
        bulk.wait_for_batch(job, batch, timeout=60, sleep_interval=0.3)
    except BulkBatchFailed as error:
        return {"state": error.state, "message": error.state_message}
    return None


def abort(bulk, rows):
    job = bulk.create_insert_job(KIND)
    batch = bulk.post_batch(job, CsvDictsAdapter(iter(rows)))
    bulk.abort_job(job)
    return {"job": bulk.job_state(job), "batch": bulk.batch_state(batch, job, reload=True)}


_common.main(globals())
