"""Other people's clients, unchanged and from their registries, against one running sandbox.

They live in .venv-interop (`make interop`), apart from what the project itself is pinned to, and
run as processes of their own. A script holds one function for each check; it gets a client that is
signed in, by the lines that `bulknb sandbox` prints if it has any for it, and what it returns comes
back as JSON.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import NODE_MODULES, SCRIPTS, run, runner

import bulknb
from bulknb.sandbox import AcceleratedClock, Sandbox, clients

# They take minutes: `make interop` asks for them.
collect_ignore_glob = [] if os.environ.get("BULKNB_INTEROP") else ["test_*.py"]

SPEED = 20.0

Check = Callable[..., Any]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many checks passed, and of which client."""
    passed = Counter(
        Path(report.location[0]).stem.removeprefix("test_").replace("_", "-")
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and "interop" in Path(report.location[0]).parts
    )
    if passed:
        each = ", ".join(f"{name} {count}" for name, count in sorted(passed.items()))
        terminalreporter.write_line(f"{passed.total()} checks passed: {each}")


class Clock(AcceleratedClock):
    """A clock that can be held."""

    held_at: float | None = None
    lost = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self.lost if self.held_at is None else self.held_at

    @contextmanager
    def held(self) -> Iterator[None]:
        begin = super().monotonic()
        self.held_at = begin - self.lost
        yield
        self.lost += super().monotonic() - begin
        self.held_at = None


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with bulknb.sandbox.start(clock=Clock(SPEED), seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def time_is_held(sandbox: Sandbox) -> Iterator[None]:
    """Let no job get on: an abort comes in time, however slow the machine is."""
    assert isinstance(sandbox.clock, Clock)
    with sandbox.clock.held():
        yield


@pytest.fixture
def check(sandbox: Sandbox, request: pytest.FixtureRequest) -> Check:
    """Run a check of the client that the test's module names, and return its result."""
    name = request.module.CLIENT
    script = next(SCRIPTS.glob(f"{name.replace('-', '_')}_checks.*"))
    known = name in clients.LINES
    signs_in = clients.lines(name, sandbox.url, sandbox.token) if known else ""

    def call(function: str, **arguments: Any) -> Any:
        printed = run(
            runner(name),
            script,
            function,
            json.dumps(arguments),
            environment={
                "SIGN_IN": signs_in,
                "INSTANCE_URL": sandbox.url,
                "ACCESS_TOKEN": sandbox.token,
                "NODE_MODULES": str(NODE_MODULES),
            },
        )
        return json.loads(printed.splitlines()[-1])

    return call


@pytest.fixture
def names(sandbox: Sandbox) -> Callable[[str], Mapping[str, Mapping[str, Any]]]:
    """Return the accounts whose name begins with a text, by name."""

    def find(prefix: str) -> Mapping[str, Mapping[str, Any]]:
        found = sandbox.records("Account")
        return {r["Name"]: r for r in found if r["Name"].startswith(prefix)}

    return find
