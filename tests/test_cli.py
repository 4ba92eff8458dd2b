from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
from click.testing import CliRunner

import bulknb
from bulknb.cli import main

APEX_BLUE = np.array([0x00, 0x72, 0xB2]) / 255


def test_the_demo_loads_counts_explains_and_draws(tmp_path: Path):
    result = CliRunner().invoke(main, ["demo", "--flights", "300", "--output", str(tmp_path)])

    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    sums = re.search(r"([\d,]+) loaded \+ ([\d,]+) failed = ([\d,]+) sent", words)
    loaded, failed, sent = (int(number.replace(",", "")) for number in sums.groups())
    assert loaded + failed == sent == 16 + 1_458 + 3_322 + 300
    assert failed > 0
    assert "FIELD_CUSTOM_VALIDATION" in words
    assert "processing time" in words
    assert "make lab" in words
    picture = matplotlib.image.imread(tmp_path / "processing_times.png")[..., :3]
    assert np.isclose(picture, APEX_BLUE, atol=0.01).all(axis=-1).sum() > 1_000


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[str, str, list[str]]]:
    """Run the command; give URL, token, and a list that holds the further lines at the end."""
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "bulknb", "sandbox", "--speed", "100", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            url, token = (process.stdout.readline().split()[-1] for _ in range(2))
            yield url, token, lines
        finally:
            process.send_signal(signal.SIGTERM)
            # Not by communicate(), which knows nothing of what was read ahead.
            lines += process.stdout.read().splitlines()
            process.wait(20)
    assert process.returncode == 0
    assert "Traceback" not in "".join(lines)


def test_the_sandbox_command_serves_until_it_is_told_to_stop():
    with serving() as (url, token, lines):
        org = bulknb.connect(instance_url=url, access_token=token)
        load = org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert").wait(30)
        assert load.counts["success"] == 1
    for client in ("simple-salesforce", "salesforce-bulk", "jsforce", "sf"):
        assert f"In {client}:" in lines


def test_the_sandbox_command_takes_a_token_and_keeps_its_data_in_a_file(tmp_path: Path):
    chosen = "00Dxx0000000001!" + "x" * 64
    options = ("--data", str(tmp_path / "org.sqlite"))
    for name in ("Acme", "Bolt"):
        with serving(*options, BULKNB_SANDBOX_TOKEN=chosen) as (url, token, _):
            org = bulknb.connect(instance_url=url, access_token=chosen)
            load = org.load(pd.DataFrame({"Name": [name]}), "Account", "insert").wait(30)
            jobs = org.jobs().frame
        assert token == chosen
        assert load.counts["success"] == 1
    assert len(jobs) == 2


def test_a_port_that_is_taken_is_told_without_a_traceback():
    with serving() as (url, _, _):
        command = [sys.executable, "-m", "bulknb", "sandbox", "--port", url.rpartition(":")[2]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_command():
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    commands = {"demo", "sandbox", "job", "jobs", "close", "abort", "delete", "load", "resume"}
    assert commands <= set(result.output.split())


def test_jobs_lists_filters_and_finds_what_is_stuck(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with bulknb.sandbox.start(demo=True) as sandbox:
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)

        def run(*options: str) -> str:
            result = CliRunner().invoke(main, ["jobs", *options])
            assert result.exit_code == 0, result.output
            return result.output

        assert len(re.findall("^ *750", run(), re.MULTILINE)) == 22
        assert len(re.findall("^ *750", run("--last", "1d"), re.MULTILINE)) == 2
        open_jobs = run("--state", "Open", "--object", "case")
        assert "Kim Olsen" in open_jobs
        assert "Dana Reyes" in run()
        assert "Dana Reyes" not in run("--mine")
        assert run("--object", "Nothing") == "No jobs.\n"
        stuck = run("--stuck")
        assert "never_closed" in stuck
        assert "3 d 0 h" in stuck
        lines = [json.loads(line) for line in run("--json", "--object", "Lead").splitlines()]
        assert {line["object"] for line in lines} == {"Lead"}
        [line] = [json.loads(line) for line in run("--json", "--stuck").splitlines()]
        assert line["reason"] == "never_closed"
        refused = CliRunner().invoke(main, ["jobs", "--state", "Opened"])
        assert (refused.exit_code, "did you mean 'Open'" in refused.output) == (1, True)


def test_a_file_is_loaded_and_what_was_broken_off_is_resumed(tmp_path: Path, monkeypatch):
    file = tmp_path / "accounts.csv"
    file.write_text("Name,AccountNumber\nAcme,007\nNA,008\n,009\n", encoding="utf-8")
    with bulknb.sandbox.start(speed=100) as sandbox:
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)

        loaded = CliRunner().invoke(main, ["load", str(file), "Account", "insert"])
        resumed = CliRunner().invoke(main, ["resume"])
        stranger = CliRunner().invoke(main, ["resume", str(file)])
        records = {record["AccountNumber"]: record["Name"] for record in sandbox.records("Account")}

    assert loaded.exit_code == 0, loaded.output
    assert "<Load insert Account: 3 sent, 2 success, 1 failed>" in loaded.output
    assert "REQUIRED_FIELD_MISSING" in loaded.output
    assert records == {"007": "Acme", "008": "NA"}
    assert resumed.output == "0 unfinished loads\n"
    assert stranger.exit_code == 1
    assert "Error: None of the 0 unfinished loads is of these rows" in stranger.output


def test_a_file_is_uploaded_now_and_processed_when_a_later_command_says_so(tmp_path, monkeypatch):
    file = tmp_path / "accounts.csv"
    file.write_text("Name\nAcme\nNA\n", encoding="utf-8")
    with bulknb.sandbox.start(speed=100) as sandbox:
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)

        def run(*words: str) -> str:
            # A process of its own, as long as which a load is in its hands.
            command = [sys.executable, "-m", "bulknb", *words]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        uploaded = run("load", str(file), "Account", "insert", "--no-close")
        resumed = run("resume")
        before = sandbox.records("Account")
        closed = run("resume", "--close")
        names = sorted(record["Name"] for record in sandbox.records("Account"))

    assert uploaded == (
        "<Load insert Account: 2 rows, 2 uploaded, waits for close()>\n"
        "Nothing of it is processed before: bulknb resume --close\n"
    )
    assert resumed.startswith(uploaded)
    assert before == []
    assert "<Load insert Account: 2 sent, 2 success>" in closed
    assert names == ["Acme", "NA"]
