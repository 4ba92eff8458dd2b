from __future__ import annotations

import re
import signal
import subprocess
import sys
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


def test_the_sandbox_command_serves_until_it_is_told_to_stop():
    command = [sys.executable, "-m", "bulknb", "sandbox", "--speed", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split()[-1]
            token = process.stdout.readline().split()[-1]
            org = bulknb.connect(instance_url=url, access_token=token)

            load = org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert").wait(30)

            assert load.counts["success"] == 1
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in rest


def test_help_names_every_command():
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    assert {"demo", "sandbox"} <= set(result.output.split())
