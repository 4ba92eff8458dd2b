"""What keeps bulknb from working, on this machine or in an org: checks, each with what to do."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from ._about import About
from ._auth import version_of_cli
from ._connect import connect
from .errors import BulkError

__all__ = ["Check", "machine", "org"]

_PACKAGES = ("bulknb", "pandas", "pyarrow", "requests", "urllib3", "ipywidgets", "matplotlib")
#: From this version on, a button answers while a cell runs.
_KERNEL = (7, 1)
#: An assertion of the JWT flow is good for three minutes.
_SKEW_SECONDS = 60
_FEW = 0.1


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it.

    The verdict of a production org is live: nothing is wrong with it, but all is real.
    """

    name: str
    found: str
    verdict: Literal["ok", "warn", "live", "fail"] = "ok"
    advice: str = ""


def machine() -> Iterator[Check]:
    """Look at Python, packages, the Salesforce CLI and the way to the network."""
    yield Check("Python", f"{platform.python_version()}, {platform.system()}")
    for name in _PACKAGES:
        yield _package(name, _version(name))
    yield _kernel(_version("ipykernel"))
    yield _cli()
    yield from _network()


def org(alias: str | None, instance_url: str | None) -> Iterator[Check]:
    """Connect to an org and look at what it says of itself."""
    named = alias or instance_url or os.environ.get("BULKNB_INSTANCE_URL")
    if not named:
        yield Check("Org", "none named", "warn", "bulknb doctor ALIAS, or --instance-url URL")
        return
    try:
        about = connect(alias, instance_url=instance_url).about()
    except BulkError as error:
        yield Check("Org", named, "fail", str(error))
        return
    yield from _facts(about)


def _package(name: str, version: str | None) -> Check:
    if version is None:
        return Check(name, "missing", "fail", f"pip install {name}")
    return Check(name, version)


def _kernel(version: str | None) -> Check:
    if version is None:
        return Check("ipykernel", "missing", "warn", "For notebooks: pip install 'bulknb[lab]'")
    if tuple(map(int, version.split(".")[:2])) < _KERNEL:
        advice = "With 7.1 or newer, buttons answer while a cell runs: pip install 'bulknb[lab]'"
        return Check("ipykernel", version, "warn", advice)
    return Check("ipykernel", version)


def _cli() -> Check:
    version = version_of_cli()
    if version is None:
        advice = 'Needed for connect("alias"): npm install --global @salesforce/cli'
        return Check("Salesforce CLI", "missing", "warn", advice)
    if not version:
        return Check("Salesforce CLI", "does not run", "warn", "Run `sf --version` to see why")
    return Check("Salesforce CLI", version)


def _network() -> Iterator[Check]:
    # A proxy's address may hold a password.
    hosts = {scheme: urlsplit(url).hostname for scheme, url in getproxies().items()}
    proxy = hosts.get("https") or hosts.get("all")
    yield Check("Proxy", proxy or "none")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            there = Path(path).exists()
            advice = "" if there else f"There is no such file: correct or unset {name}"
            yield Check("Certificates", path, "ok" if there else "fail", advice)


def _facts(about: About) -> Iterator[Check]:
    production = about.kind == "production"
    advice = "What you load, delete or abort here is real" if production else ""
    name = f"{about.name or 'no name'}, {about.kind or 'kind not readable'}"
    yield Check("Org", name, "live" if production else "ok", advice)
    few = {
        name
        for name, allowance in about.allowances.items()
        if allowance.left < _FEW * allowance.most
    }
    for title, text in about.facts():
        if title != "Kind":
            yield Check(title, text, "warn" if text in about.unread else "ok")
    for name in sorted(few):
        advice = "Watch fewer jobs, or wait: they come back over 24 hours"
        yield Check(name, "nearly used up", "warn", advice)
    if about.clock_ahead is not None:
        off = abs(about.clock_ahead) > _SKEW_SECONDS
        advice = "Set this machine's clock: signing in by JWT and last= depend on it"
        yield Check(
            "Clock",
            f"{about.clock_ahead:+.0f} s from the org's",
            "warn" if off else "ok",
            advice if off else "",
        )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
