"""What the board of jobs costs: the kernel to look and to tell, the wire, the page to draw it.

The server is a WSGI application that gives lists out of memory, so that only bulknb is measured.
Kernel times are CPU seconds, medians of the runs; bytes are those of whole messages as Jupyter
sends them; the page is a Chromium, which draws a board from the text of its rows.

    python benchmarks/board.py --jobs 10000 --changed 50
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from job_frames import PAGE, records
from jupyter_client.session import Session
from playwright.sync_api import sync_playwright

import bulknb
from bulknb.widgets import JobBoard, board

RUNS = 7
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
DRAW = """async ([code, css, text, columns]) => {
    document.head.append(Object.assign(document.createElement("style"), {textContent: css}));
    const url = URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
    const {default: widget} = await import(url);
    const start = performance.now();
    const state = {name: "", org: "", status: "", trouble: "", said: "", columns};
    const model = {get: (name) => state[name] ?? JSON.parse(text), on() {}, send() {}};
    const {initialize, render} = widget();
    initialize({model});
    render({model, el: document.body});
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
    return (performance.now() - start) / 1000;
}"""


class Lists:
    """An org that has jobs and nothing else: 2.0 ingest, page by page."""

    def __init__(self, jobs: list[dict[str, Any]]) -> None:
        self.jobs = jobs
        self.pages: dict[int, bytes] = {}
        self.requests = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.requests += 1
        start("200 OK", [("Content-Type", "application/json")])
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path.endswith("/jobs/ingest"):
            return [self.page(int(query.partition("page=")[2] or 0))]
        records = [{"IsSandbox": True}] if "Organization" in query else []
        return [json.dumps({"records": records}).encode()]

    def page(self, number: int) -> bytes:
        if number not in self.pages:
            part = self.jobs[number * PAGE : (number + 1) * PAGE]
            more = (number + 1) * PAGE < len(self.jobs)
            following = f"/services/data/v62.0/jobs/ingest?page={number + 1}" if more else None
            body = {"done": not more, "records": part, "nextRecordsUrl": following}
            self.pages[number] = json.dumps(body).encode()
        return self.pages[number]

    def change(self, first: int, count: int) -> None:
        for job in self.jobs[first : first + count]:
            job["state"] = "Aborted"
        self.pages.clear()
        for number in range(0, len(self.jobs), PAGE):
            self.page(number // PAGE)


def cpu(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def drawn(shown: JobBoard) -> float:
    """Seconds from the text of the rows to the first picture of them."""
    here = Path(board.__file__).parent
    code, css = ((here / name).read_text() for name in ("board.js", "board.css"))
    text = json.dumps(shown.grid.get_state("rows")["rows"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.goto("about:blank")
        taken = [page.evaluate(DRAW, [code, css, text, shown.grid.columns]) for _ in range(RUNS)]
        browser.close()
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=50)
    options = parser.parse_args()

    kind = {"state": "InProgress", "jobType": "V2Ingest"}
    server = Lists([{**job, **kind} for job in records(options.jobs)])
    org = bulknb.connect(
        instance_url="http://127.0.0.1", access_token="benchmark", transport=server
    )
    shown = JobBoard(org)
    session, sent = Session(), []

    def publish(kind: str, data: Any = None, **_: Any) -> None:
        message = session.msg(kind, {"comm_id": shown.grid.model_id, "data": data})
        sent.append(sum(map(len, session.serialize(message))))

    shown.grid.comm.publish_msg = publish
    looks, ticks, sizes, calls = [], [], [], []
    for run in range(RUNS):
        server.change(run * options.changed, options.changed)
        before = server.requests
        sent.clear()
        looks.append(cpu(shown.jobs.refresh))
        ticks.append(cpu(lambda: shown._told(shown.jobs, None)))
        calls.append(server.requests - before)
        sizes.append(sum(sent))
    rows = len(json.dumps(shown.grid.get_state("rows")["rows"]))
    print(f"{options.jobs:,} jobs, {options.changed} of them changed between two looks")
    print(f"  a look at the lists    {1000 * statistics.median(looks):7.1f} ms of CPU")
    print(f"  its calls              {statistics.median(calls):7.0f}")
    print(f"  a tick: rows, message  {1000 * statistics.median(ticks):7.1f} ms of CPU")
    print(f"  on the wire            {statistics.median(sizes) / 1000:7.1f} kB")
    print(f"  all rows, at first     {rows / 1000:7.0f} kB")
    print(f"  first paint            {drawn(shown):7.2f} s")


if __name__ == "__main__":
    main()
