"""The API of the sandbox as a client sees it, without a client: requests and answers."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from bulknb.sandbox import Sandbox

Api = Callable[..., TestResponse]
Load = Callable[..., str]


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    """Send one signed-in request: 2.0 and REST paths begin at the version, 1.0 with async."""
    client = Client(sandbox.app)

    def send(method: str, path: str, **options: Any) -> TestResponse:
        headers = {
            "Host": "127.0.0.1",
            "Authorization": f"Bearer {sandbox.token}",
            "X-SFDC-Session": sandbox.token,
        }
        headers |= options.pop("headers", {})
        base = "/services/" if path.startswith(("async", "oauth2", "data")) else "/services/data/"
        return client.open(base + path, method=method, headers=headers, **options)

    return send


@pytest.fixture
def begin(api: Api) -> Callable[..., str]:
    """Create, upload and close a 2.0 ingest job, and return its id."""

    def run(text: str, object: str = "Account", operation: str = "insert") -> str:
        jobs = "v62.0/jobs/ingest"
        job = api("POST", jobs, json={"object": object, "operation": operation}).json["id"]
        api("PUT", f"{jobs}/{job}/batches", data=text)
        api("PATCH", f"{jobs}/{job}", json={"state": "UploadComplete"})
        return job

    return run


@pytest.fixture
def load(api: Api, sandbox: Sandbox) -> Load:
    """Run a 2.0 ingest job to its end and return its id."""

    def run(
        csv: str | bytes, object: str = "Account", operation: str = "insert", **more: Any
    ) -> str:
        wanted = {"object": object, "operation": operation, **more}
        job = api("POST", "v62.0/jobs/ingest", json=wanted).json["id"]
        api("PUT", f"v62.0/jobs/ingest/{job}/batches", data=csv)
        api("PATCH", f"v62.0/jobs/ingest/{job}", json={"state": "UploadComplete"})
        sandbox.clock.advance(600)
        return job

    return run


@pytest.fixture
def failures(api: Api, load: Load) -> Callable[..., list[str]]:
    """Run a 2.0 ingest job and return the errors of its rows."""

    def run(csv: str, *args: Any, **more: Any) -> list[str]:
        job = load(csv, *args, **more)
        lines = api("GET", f"v62.0/jobs/ingest/{job}/failedResults").text.splitlines()[1:]
        return [line.split('","')[1] for line in lines]

    return run
