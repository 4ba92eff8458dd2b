"""The sandbox with some of its answers changed on their way, and a connection to it."""

from __future__ import annotations

from collections.abc import Callable

import bulknb
from bulknb.sandbox import Sandbox

Headers = dict[str, str]
Change = Callable[[Headers, bytes], tuple[Headers, bytes]]


def altered(sandbox: Sandbox, where: str, change: Change):
    """Return an application that changes the answers to GETs whose path ends with `where`."""

    def application(environ, start_response):
        if not (environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(where)):
            return sandbox.app(environ, start_response)
        started = {}
        answer = sandbox.app(
            environ, lambda status, headers, *_: started.update(status=status, headers=headers)
        )
        headers, body = change(dict(started["headers"]), b"".join(answer))
        start_response(
            started["status"], list((headers | {"Content-Length": str(len(body))}).items())
        )
        return [body]

    return application


def connect(sandbox: Sandbox, application=None, *, version: str = "62.0") -> bulknb.Org:
    """Sign in, in this process, at an application that stands before the sandbox."""
    return bulknb.connect(
        instance_url="http://127.0.0.1",
        access_token=sandbox.token,
        api_version=version,
        clock=sandbox.clock,
        transport=application or sandbox.app,
    )


def accounts(sandbox: Sandbox, rows: int) -> list[str]:
    """Give the org so many accounts, and return their names in the order of their Ids."""
    names = [f"Acme {number:03}" for number in range(rows)]
    csv = "Name,NumberOfEmployees\n" + "".join(f"{name},{len(name)}\n" for name in names)
    connect(sandbox).create_job("insert", "Account").upload(csv.encode()).close().wait()
    return names
