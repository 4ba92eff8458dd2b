"""No artifact of a session holds the token, in any of the forms that it could slip in."""

from __future__ import annotations

import base64
import json
import pickle
import urllib.parse
from pathlib import Path

import ipywidgets
import pandas as pd
import pytest

import bulknb
from bulknb.plots import processing_times_figure
from bulknb.widgets import JobPanel


def forms(token: str) -> list[bytes]:
    """The token raw, URL-encoded, as JSON, in hex, in base64 at three offsets, in UTF-16."""
    raw = token.encode()
    offsets = [base64.b64encode(b"x" * n + raw)[4 * (n > 0) + 4 : -8] for n in range(3)]
    return [
        raw,
        urllib.parse.quote(token, safe="").encode(),
        json.dumps(token).encode(),
        raw.hex().encode(),
        token.encode("utf-16-le"),
        *offsets,
    ]


def leaks(artifact: bytes, token: str) -> list[bytes]:
    return [form for form in forms(token) if form in artifact]


@pytest.mark.parametrize("at", range(8))
def test_the_scan_finds_what_is_planted(at):
    token = "00Dxx0000000001!planted.secret.token.of.some.length"

    assert leaks(b"before " + forms(token)[at] + b" after", token)


def test_no_artifact_holds_the_token(sandbox, tmp_path: Path, caplog):
    caplog.set_level(1)
    caplog.set_level(1, logger="bulknb")
    org = sandbox.connect(in_process=True)
    load = org.load(pd.DataFrame({"LastName": ["Doe", None]}), "Contact", "insert").wait()
    job = load.jobs[0]
    panel = JobPanel(org.create_job("insert", "Account"))
    with pytest.raises(bulknb.BulkError) as refused:
        job.abort()

    processing_times_figure(load.history).savefig(tmp_path / "times.png")
    processing_times_figure(load.history).savefig(tmp_path / "times.svg")
    load.frame.to_csv(tmp_path / "frame.csv")
    load.history.to_csv(tmp_path / "history.csv")
    org.jobs().frame.to_pickle(tmp_path / "jobs.pickle")
    (tmp_path / "info.pickle").write_bytes(pickle.dumps(job.info))
    texts = [repr(it) for it in (org, load, job, panel, org.jobs(), refused.value, job.info)]
    texts += [it._repr_html_() for it in (org, load, job, org.jobs())]
    texts += [str(vars(it)) for it in (org, load, job, panel)]
    state = ipywidgets.Widget.get_manager_state(widgets=None)
    (tmp_path / "texts").write_text(
        "\n".join([*texts, json.dumps(state), caplog.text]), encoding="utf-8"
    )

    found = {path.name: leaks(path.read_bytes(), sandbox.token) for path in tmp_path.iterdir()}
    assert {name for name, forms in found.items() if forms} == set()
    assert len(found) == 7
