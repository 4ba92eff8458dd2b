"""A Bulk API that answers at once, for benchmarks of clients: the sandbox would be the bottleneck.

It saves nothing. Of every upload it gives each hundredth row back as failed, 2.0 results shuffled.
What it says of an upload is worked out once and kept: a second run of the same client measures the
client alone. Prints its URL.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

OBJECT = "Row__c"
TYPES = {
    "Key__c": "string",
    "Name": "string",
    "Email__c": "email",
    "Phone__c": "phone",
    "Money__c": "currency",
    "Count__c": "int",
    "Day__c": "date",
    "When__c": "datetime",
    "Done__c": "boolean",
    "Note__c": "textarea",
}
FIELDS = [
    {"name": name, "type": kind, "createable": True, "updateable": True, "nillable": True}
    | ({"externalId": True} if name == "Key__c" else {})
    for name, kind in TYPES.items()
]
ERROR = "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
FAILS_EACH = 100
STAMP = "2026-01-01T00:00:00.000+0000"

#: sha256 of an upload -> rows and answers
known: dict[bytes, tuple[int, dict[str, bytes]]] = {}
jobs: dict[str, list[bytes]] = {}


def answers_2(body: bytes) -> tuple[int, dict[str, bytes]]:
    """Work out the three result sets of a 2.0 upload."""
    rows = pacsv.read_csv(
        pa.BufferReader(body),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(TYPES, pa.string()), strings_can_be_null=False
        ),
    )
    places = np.random.default_rng(7).permutation(len(rows))
    failed = places % FAILS_EACH == 0

    def result(places: np.ndarray, name: str, fact: str) -> bytes:
        saved = name == "sf__Created"
        ids = [f"a00{place:015}" if saved else "" for place in places.tolist()]
        table = pa.table({"sf__Id": ids, name: [fact] * len(places)})
        for name, column in zip(
            rows.column_names, rows.take(pa.array(places)).columns, strict=True
        ):
            table = table.append_column(name, column)
        out = io.BytesIO()
        pacsv.write_csv(table, out)
        return out.getvalue()

    return len(rows), {
        "successfulResults": result(places[~failed], "sf__Created", "true"),
        "failedResults": result(places[failed], "sf__Error", ERROR),
        "unprocessedrecords": body[: body.index(b"\n") + 1],
    }


def answers_1(body: bytes) -> tuple[int, dict[str, bytes]]:
    """Work out the results of a 1.0 batch, in the order of its rows."""
    if body.lstrip()[:1] == b"[":
        count = len(json.loads(body))
    else:
        count = sum(1 for _ in csv.reader(io.StringIO(body.decode(), newline=""))) - 1
    wrong = {"statusCode": "REQUIRED_FIELD_MISSING", "message": "Name", "fields": ["Name"]}
    results = [
        {"success": bool(n % FAILS_EACH), "created": bool(n % FAILS_EACH)}
        | (
            {"id": f"a00{n:015}", "errors": []}
            if n % FAILS_EACH
            else {"id": None, "errors": [wrong]}
        )
        for n in range(count)
    ]
    lines = [
        f'"{each["id"] or ""}","{str(each["success"]).lower()}","{str(each["created"]).lower()}",'
        f'"{"" if each["success"] else ERROR}"\n'
        for each in results
    ]
    head = '"Id","Success","Created","Error"\n'
    return count, {"json": json.dumps(results).encode(), "csv": "".join([head, *lines]).encode()}


def keep(body: bytes, work_out: Callable[[bytes], tuple[int, dict[str, bytes]]]) -> bytes:
    digest = hashlib.sha256(body).digest()
    if digest not in known:
        known[digest] = work_out(body)
    return digest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 20

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def answer(self, body: object = b"", kind: str = "application/json", status: int = 200) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def job(self, id: str, state: str) -> dict[str, object]:
        rows = sum(known[digest][0] for digest in jobs[id])
        return {
            "id": id,
            "object": OBJECT,
            "operation": "insert",
            "state": state,
            "createdDate": STAMP,
            "systemModstamp": STAMP,
            "contentType": "CSV",
            "apiVersion": 62.0,
            "jobType": "V2Ingest",
            "concurrencyMode": "Parallel",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "contentUrl": f"services/data/v62.0/jobs/ingest/{id}/batches",
            "numberRecordsProcessed": rows,
            "numberRecordsFailed": -(-rows // FAILS_EACH),
        }

    def do_GET(self) -> None:
        path = self.path.split("?")[0].rstrip("/")
        if path.endswith("/describe"):
            self.answer({"name": OBJECT, "keyPrefix": "a00", "fields": FIELDS})
        elif found := re.search(r"/jobs/ingest/(\w+)/(\w+)$", path):
            name = found[2].replace("unprocessedRecords", "unprocessedrecords")
            self.answer(known[jobs[found[1]][0]][1][name], "text/csv")
        elif found := re.search(r"/jobs/ingest/(\w+)$", path):
            self.answer(self.job(found[1], "JobComplete"))
        elif found := re.search(r"/job/(\w+)/batch/(\d+)/result$", path):
            answers = known[jobs[found[1]][int(found[2])]][1]
            is_json = "json" in self.headers.get("Content-Type", "")
            kind = "json" if is_json else "csv"
            self.answer(answers[kind], "application/json" if is_json else "text/csv")
        elif found := re.search(r"/job/(\w+)/batch/(\d+)$", path):
            self.batch(found[1], int(found[2]), "Completed")
        else:
            self.answer({})  # the resources of this version

    def do_POST(self) -> None:
        path, body = self.path.rstrip("/"), self.body()
        if path.endswith("/jobs/ingest") or path.endswith("/job"):
            id = f"750{len(jobs):015}"
            jobs[id] = []
            self.open_job(id, "Open", classic=path.endswith("/job"))
        elif found := re.search(r"/job/(\w+)/batch$", path):
            jobs[found[1]].append(keep(body, answers_1))
            self.batch(found[1], len(jobs[found[1]]) - 1, "Queued", status=201)
        elif found := re.search(r"/job/(\w+)$", path):
            self.open_job(found[1], "Closed", classic=True)

    def do_PUT(self) -> None:
        jobs[self.path.split("/")[-2]].append(keep(self.body(), answers_2))
        self.answer(status=201)

    def do_PATCH(self) -> None:
        state = json.loads(self.body())["state"]
        self.answer(self.job(self.path.rstrip("/").split("/")[-1], state))

    def open_job(self, id: str, state: str, *, classic: bool) -> None:
        if classic and "xml" in self.headers.get("Content-Type", ""):
            self.answer(_xml("jobInfo", id=id, state=state), "application/xml", 201)
        else:
            self.answer(self.job(id, state), status=201 if classic else 200)

    def batch(self, job: str, number: int, state: str, status: int = 200) -> None:
        facts = {"id": str(number), "jobId": job, "state": state}
        if "json" in self.headers.get("Content-Type", ""):
            self.answer(facts, status=status)
        else:
            self.answer(_xml("batchInfo", **facts), "application/xml", status)

    def log_message(self, *_: object) -> None:
        pass


def _xml(name: str, **facts: str) -> bytes:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in facts.items())
    space = "http://www.force.com/2009/06/asyncapi/dataload"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{space}">{inner}</{name}>'.encode()
    )


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
