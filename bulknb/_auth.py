"""Where an access token comes from, and how it is held so that it shows nowhere by accident.

The text lives in a closure: no repr, ``vars()``, copy or pickle of anything that holds a `Secret`
can show it, and a traceback that prints local variables prints ``Secret(***)``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import InputError

_CLI_SECONDS = 60
#: What `sf org display` prints in place of a token since May 2026.
_REDACTED = "[REDACTED]"


class Secret:
    """A text that is handed out only by calling it."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        if not text or not text.isprintable() or " " in text:
            raise InputError("The access token is empty or has spaces or line breaks in it")
        self._reveal: Callable[[], str] = lambda: text

    def __call__(self) -> str:
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An access token is not copied or pickled: call connect() again")


@dataclass(frozen=True)
class Login:
    """Where an org is, and the token for it."""

    instance_url: str
    token: Secret
    api_version: str | None = None


def login_of_cli(alias: str) -> Login:
    """Return the login that the Salesforce CLI keeps under an alias or username.

    The CLI renews its session first if need be, so that calling this again is how to renew.
    Source: the help of ``sf org display`` and ``sf org auth show-access-token``.

    Raises
    ------
    InputError
        The CLI is not installed, hangs, knows no such org, or hands out no token.
    """
    org = _run_cli("org", "display", alias)
    if org is None or not org.get("instanceUrl"):
        raise InputError(
            f"The Salesforce CLI has no login for {alias!r}. `sf org list` shows what it has, "
            "`sf org login web` adds one"
        )
    shown = _run_cli("org", "auth", "show-access-token", alias) or org  # older CLIs lack it
    token = str(shown.get("accessToken") or "")
    if not token or token.startswith(_REDACTED):
        raise InputError(
            "The Salesforce CLI hands out no access token. Update it (`sf update`), and sign in "
            f"again: `sf org login web --alias {alias}`"
        )
    return Login(str(org["instanceUrl"]), Secret(token), org.get("apiVersion"))


def _run_cli(*words: str) -> dict[str, Any] | None:
    """Run ``sf`` with ``--json`` and return its result; None if it refused."""
    program = shutil.which("sf")
    if program is None:
        raise InputError(
            "The Salesforce CLI is not installed (no `sf` on the PATH). Install it, or call "
            "connect(instance_url=, access_token=)"
        )
    *command, alias = words
    arguments = [program, *command, f"--target-org={alias}", "--json"]
    trouble = ""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=_CLI_SECONDS, check=False
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        trouble = f"did not answer within {_CLI_SECONDS} s"
    except (OSError, ValueError):
        trouble = "did not answer in JSON"
    if trouble:  # raised here: what the CLI printed may hold a token
        raise InputError(f"The Salesforce CLI (`sf {' '.join(command)}`) {trouble}")
    result = answer.get("result") if isinstance(answer, dict) else None
    return result if done.returncode == 0 and isinstance(result, dict) else None
