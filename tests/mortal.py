"""A load whose kernel dies, and a far org, which goes on while a request is under way."""

from __future__ import annotations

import pandas as pd

import bulknb
from bulknb import Load
from bulknb._auth import Secret
from bulknb._ledger import Ledger
from bulknb.sandbox import Sandbox

ROWS = 10
#: How long each request takes: a job that was closed is done before anything else is said to it.
SECONDS_AWAY = 5.0


class Crash(BaseException):
    """The end of a kernel: nothing is caught, nothing is done after it."""


class Mortal:
    """A load whose kernel dies at one of its requests or journal writes, and stays dead."""

    def __init__(
        self,
        sandbox: Sandbox,
        at: float,
        *,
        after: bool = False,
        api: str = "2.0",
        data: object = None,
        object: str = "Account",
        operation: str = "insert",
        **options,
    ) -> None:
        self.sandbox = sandbox
        self.at = float("inf")
        self.after = after
        self.steps = 0
        org = connect(sandbox, self._answer)
        data = frame() if data is None else data
        options = {"chunk_bytes": 60, "api": api, **options}
        self.load = Load(org._wire, data, object, operation, **options)
        self.load.listen(close_if_held)
        self.load._ledger._write = self._write  # a write is a step as a request is
        self.at, self.steps = at, 0

    def run(self) -> Load:
        self.load._work.begin(self.load._ledger)
        self.load._run()
        return self.load

    def _step(self, act):
        self.steps += 1
        if self.steps > self.at or (self.steps == self.at and not self.after):
            raise Crash
        done = act()
        if self.steps == self.at:
            raise Crash
        return done

    def _answer(self, environ, start_response):
        return self._step(lambda: far(self.sandbox)(environ, start_response))

    def _write(self, work):
        return self._step(lambda: Ledger._write(self.load._ledger, work))


def close_if_held(load: Load) -> None:
    """Say close to a load that waits for it, on its own thread: a listener."""
    if load.held:
        load.close()


def far(sandbox: Sandbox):
    """Return the way to an org where time passes with each request, even with one that is lost."""

    def transport(environ, start_response):
        sandbox.clock.advance(SECONDS_AWAY)
        try:
            return sandbox.app(environ, start_response)
        finally:
            sandbox.clock.advance(SECONDS_AWAY)

    return transport


def connect(sandbox: Sandbox, transport=None, *, url: str | None = None) -> bulknb.Org:
    """Sign in from another kernel; a session that ends is renewed."""
    org = bulknb.connect(
        instance_url=url or sandbox.url,
        access_token=sandbox.token,
        transport=transport or far(sandbox),
        clock=sandbox.clock,
    )
    org._wire._renew = lambda: Secret(sandbox.token)
    return org


def frame() -> pd.DataFrame:
    return pd.DataFrame({"Name": [f"Acme {n}" for n in range(ROWS)]}, index=list("abcdefghij"))


def in_org(sandbox: Sandbox) -> list[str]:
    return sorted(record["Name"] for record in sandbox.records("Account"))
