"""Other people's clients, unchanged and from their registries, against one running sandbox.

They live in .venv-interop (`make interop`), apart from what the project itself is pinned to, and
run as processes of their own. A script holds one function for each check; it gets a client that is
signed in by the lines that `bulknb sandbox` prints, and what it returns comes back as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from processes import BIN, NODE_MODULES, SCRIPTS, run

import bulknb
from bulknb.sandbox import Sandbox, clients

# They take minutes: `make interop` asks for them.
collect_ignore_glob = [] if os.environ.get("BULKNB_INTEROP") else ["test_*.py"]

# Fast enough to wait for, slow enough for an abort to come in time.
SPEED = 5.0

Check = Callable[..., Any]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with bulknb.sandbox.start(speed=SPEED, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def check(sandbox: Sandbox, request: pytest.FixtureRequest) -> Check:
    """Run a check of the client that the test's module names, and return its result."""
    name = request.module.CLIENT
    script = next(SCRIPTS.glob(f"{name.replace('-', '_')}_checks.*"))
    signs_in = clients.lines(name, sandbox.url, sandbox.token)
    runner = BIN / ("node" if script.suffix == ".mjs" else "python")

    def call(function: str, **arguments: Any) -> Any:
        printed = run(
            runner,
            script,
            function,
            json.dumps(arguments),
            environment={
                "SIGN_IN": signs_in,
                "INSTANCE_URL": sandbox.url,
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
