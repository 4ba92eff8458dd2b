"""A server that answers a query as the Bulk API does, all answers computed before.

The result is one page of 50,000 rows x 10 columns (11 MB), as often as it takes. Nothing is to be
waited for, so that only the client's own work shows. Run as a script it prints its URL.

    python benchmarks/query_stub.py ROWS
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import re
import socketserver
import sys

PAGE_ROWS = 50_000
VERSION = "62.0"
OBJECT = "Thing__c"
TYPES = {
    "Key__c": "string",
    "Name": "string",
    "Mail__c": "email",
    "Phone__c": "phone",
    "Money__c": "currency",
    "Count__c": "int",
    "Day__c": "date",
    "Moment__c": "datetime",
    "Flag__c": "boolean",
    "Text__c": "textarea",
}
SOQL = f"SELECT {', '.join(TYPES)} FROM {OBJECT}"
NULL_SHARE = 0.1

JOB = "750xx0000000001AAA"
BATCH = "751xx0000000001AAA"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_NAMESPACE = 'xmlns="http://www.force.com/2009/06/asyncapi/dataload"'


def page() -> bytes:
    """Return the page as CSV, every cell in quotes."""
    draw = random.Random(7)
    day, moment = dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(TYPES)
    for row in range(PAGE_ROWS):
        text = f"row {row}" + draw.choice(["", ", of two", ' "so called"', "\nand more"]) * 4
        cells = [
            f"Zoë Müller {row}",
            f"someone{row}@example.com",
            f"+49 30 {row:07}",
            f"{draw.randrange(10**9) / 100}",
            str(draw.randrange(10**6)),
            f"{day + dt.timedelta(days=row % 3000)}",
            f"{(moment + dt.timedelta(seconds=row)).isoformat()}.{row % 1000:03}Z",
            draw.choice(["true", "false"]),
            text,
        ]
        nulled = ["" if draw.random() < NULL_SHARE and at != 7 else c for at, c in enumerate(cells)]
        writer.writerow([f"K-{row:08}", *nulled])
    return out.getvalue().encode()


class Stub(socketserver.ThreadingTCPServer):
    """The server; it counts pages, and keeps nothing of its clients."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, rows: int, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.pages = rows // PAGE_ROWS
        self.rows = rows
        self.page = page()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, path: str) -> tuple[str, dict[str, str], bytes]:
        """Return media type, more headers and body."""
        where, _, query = path.partition("?")
        if where.endswith("/describe"):
            fields = [{"name": n, "type": t, "relationshipName": None} for n, t in TYPES.items()]
            return _json({"name": OBJECT, "fields": fields})
        if where.startswith("/services/async"):
            return self._classic(method, where)
        found = re.search(r"locator=(\d+)", query)
        at = int(found[1]) if found else 0
        if where.endswith("/resultPages"):
            return self._addresses(where.removesuffix("Pages"), at)
        if where.endswith("/results"):
            following = str(at + 1) if at + 1 < self.pages else "null"
            headers = {"Sforce-Locator": following, "Sforce-NumberOfRecords": str(PAGE_ROWS)}
            return "text/csv", headers, self.page
        return _json(self._job("V2Query", "JobComplete"))

    def _addresses(self, path: str, start: int) -> tuple[str, dict[str, str], bytes]:
        stop = min(start + 5, self.pages)
        more = f"{path}Pages?locator={stop}" if stop < self.pages else None
        links = [{"resultUrl": f"{path}s?locator={at}"} for at in range(start, stop)]
        return _json({"resultPages": links, "nextRecordsUrl": more, "done": more is None})

    def _classic(self, method: str, path: str) -> tuple[str, dict[str, str], bytes]:
        if path.endswith("/result"):
            body = f"{_XML}<result-list {_NAMESPACE}><result>752x</result></result-list>"
        elif "/result/" in path:
            rows = self.page[self.page.index(b"\n") + 1 :]
            return "text/csv", {}, self.page + rows * (self.pages - 1)
        elif "/batch" in path:
            batch = f"<id>{BATCH}</id><jobId>{JOB}</jobId><state>Completed</state>"
            batch += f"<numberRecordsProcessed>{self.rows}</numberRecordsProcessed>"
            body = f"{_XML}<batchInfo {_NAMESPACE}>{batch}</batchInfo>"
            if method == "GET" and path.endswith("/batch"):
                body = f"{_XML}<batchInfoList {_NAMESPACE}><batchInfo>{batch}</batchInfo>"
                body += "</batchInfoList>"
        else:
            job = self._job("Classic", "Closed")
            inner = "".join(f"<{name}>{value}</{name}>" for name, value in job.items())
            body = f"{_XML}<jobInfo {_NAMESPACE}>{inner}</jobInfo>"
        return "application/xml", {}, body.encode()

    def _job(self, kind: str, state: str) -> dict[str, object]:
        return {
            "id": JOB,
            "operation": "query",
            "object": OBJECT,
            "state": state,
            "jobType": kind,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
            "apiVersion": float(VERSION),
            "numberRecordsProcessed": self.rows,
            "createdDate": "2026-01-01T00:00:00.000+0000",
        }


class Handler(socketserver.StreamRequestHandler):
    """One connection: a request, its answer, the next request."""

    server: Stub
    disable_nagle_algorithm = True  # or each small answer waits for 40 ms

    def handle(self) -> None:
        while line := self.rfile.readline():
            method, path, _ = line.decode().split(" ")
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.rfile.read(length)
            kind, headers, body = self.server.answer(method, path)
            status = 201 if method == "POST" and "/async/" in path else 200
            lines = [f"HTTP/1.1 {status} OK", f"Content-Type: {kind}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
            self.connection.sendall(head.encode())
            self.connection.sendall(body)


def _json(body: object) -> tuple[str, dict[str, str], bytes]:
    return "application/json", {}, json.dumps(body).encode()


def main() -> None:
    """Serve until the process ends."""
    with Stub(int(sys.argv[1])) as stub:
        print(stub.url, flush=True)
        stub.serve_forever()


if __name__ == "__main__":
    main()
