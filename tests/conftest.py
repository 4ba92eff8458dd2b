"""The sandbox as tests use it: in this process, on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import bulknb
from bulknb.sandbox import ManualClock, Sandbox

SAMPLES = Path(__file__).parent / "data" / "samples"


@pytest.fixture
def samples() -> Path:
    return SAMPLES


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock(), seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def org(sandbox: Sandbox) -> bulknb.Org:
    return sandbox.connect(in_process=True)
