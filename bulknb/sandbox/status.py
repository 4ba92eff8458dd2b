"""The page at ``/``: what the org is doing, to look at in a browser; it changes nothing.

It needs no token, so it shows no rows, no queries and no error texts, only jobs and counts.
"""

import base64
import hashlib
from datetime import UTC, datetime
from sqlite3 import Row

from flask import Blueprint, Response, render_template_string, request

from bulknb.sandbox import jobs
from bulknb.sandbox.web import org

blueprint = Blueprint("status", __name__)

MAX_JOBS = 100
REFRESH_SECONDS = 2

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; }
dt { font-size: .85rem; opacity: .75; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8886; }
th { font-weight: 600; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.number { text-align: right; }
code { font-size: .9em; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{{ refresh }}">
<title>bulknb sandbox</title>
<style>{{ style | safe }}</style>
</head>
<body>
<h1>bulknb sandbox</h1>
<p>A Salesforce org on this machine, at <code>{{ url }}</code>. Its time is {{ now }} UTC.</p>
<dl>
{% for name, number in load.items() -%}
<div><dt>{{ name }}</dt><dd>{{ "{:,}".format(number) }}</dd></div>
{% endfor -%}
</dl>
<h2>Jobs</h2>
{% if jobs -%}
<div class="wide"><table>
<thead><tr><th>Job</th><th>API</th><th>Operation</th><th>Object</th><th>State</th>
<th class="number">Processed</th><th class="number">Failed</th>
<th class="number">Total ms</th><th class="number">Apex ms</th><th>Created (UTC)</th></tr></thead>
<tbody>
{% for job in jobs -%}
<tr><td><code>{{ job.id }}</code></td><td>{{ job.type }}</td><td>{{ job.operation }}</td>
<td>{{ job.object }}</td><td>{{ job.state }}</td>
<td class="number">{{ "{:,}".format(job.processed) }}</td>
<td class="number">{{ "{:,}".format(job.failed) }}</td>
<td class="number">{{ "{:,}".format(job.total_ms) }}</td>
<td class="number">{{ "{:,}".format(job.apex_ms) }}</td><td>{{ job.created }}</td></tr>
{% endfor -%}
</tbody>
</table></div>
<p>The newest {{ jobs | length }} of {{ "{:,}".format(count) }}.</p>
{% else -%}
<p>There are no jobs yet.</p>
{% endif -%}
</body>
</html>
"""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# Nothing runs, nothing is loaded from anywhere, and no other page may show this one inside.
_POLICY = f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; frame-ancestors 'none'"


@blueprint.get("/")
def page() -> Response:
    """Show the newest jobs and the load."""
    text = render_template_string(
        _PAGE,
        refresh=REFRESH_SECONDS,
        style=_STYLE,
        url=request.host_url.rstrip("/"),
        now=_moment(org().clock.time()),
        load=_load(),
        jobs=_jobs(),
        count=org().store.count("job"),
    )
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return Response(text, headers=headers)


def _load() -> dict[str, int]:
    store = org().store
    return {
        "Active jobs": store.active_jobs(),
        "Batches running": len(store.running()),
        "Batches waiting": len(store.waiting()),
        "Requests so far": org().request_count,
    }


def _jobs() -> list[dict[str, object]]:
    """Return what the page shows of the newest jobs."""
    store = org().store
    newest = store.rows("SELECT * FROM job ORDER BY created DESC, id DESC LIMIT ?", MAX_JOBS)
    return [_shown(job) for job in newest]


def _shown(job: Row) -> dict[str, object]:
    totals = org().store.totals(job["id"])
    told = {
        "numberRecordsProcessed": totals["processed"],
        "numberRecordsFailed": totals["failed"],
        "apexProcessingTime": totals["apex_ms"],
        **jobs.in_full(job),  # of each kind of job, the API tells other numbers
    }
    return {
        **{name: job[name] for name in ("id", "type", "operation", "object", "state")},
        "processed": told["numberRecordsProcessed"],
        "failed": told["numberRecordsFailed"],
        "total_ms": told["totalProcessingTime"],
        "apex_ms": told["apexProcessingTime"],
        "created": _moment(job["created"]),
    }


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S}"
