"""Where an access token comes from, and how it is held so that it shows nowhere by accident.

The text lives in a closure: no repr, ``vars()``, copy or pickle of anything that holds a `Secret`
can show it, and a traceback that prints local variables prints ``Secret(***)``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, runtime_checkable
from urllib.parse import urlsplit

from ._origin import is_loopback
from .errors import SIGN_IN, InputError

_CLI_SECONDS = 60
#: What `sf org display` prints in place of a token since May 2026.
_REDACTED = "[REDACTED]"


class Secret:
    """A text that is handed out only by calling it."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        self._reveal: Callable[[], str] = lambda: text

    def __call__(self) -> str:
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not copied or pickled: call connect() again")


@dataclass(frozen=True)
class Login:
    """Where an org is, the token for it, and how to come by the next one.

    `renew` gives a fresh token when this one has expired; `sign_in` is what the user can do when
    there is none to be had.
    """

    instance_url: str
    token: Secret
    api_version: str | None = None
    renew: Callable[[], Secret] | None = None
    sign_in: str = SIGN_IN


@runtime_checkable
class SignedIn(Protocol):
    """A client that is signed in, as simple-salesforce's ``Salesforce`` is."""

    session_id: str
    sf_instance: str
    sf_version: str


def checked(secret: Secret, name: str = "access_token") -> Secret:
    """Return a secret that is fit for a header or a form.

    Raises
    ------
    InputError
        It is empty, or has spaces, line breaks or letters beyond ASCII in it.
    """
    if not secret() or not secret().isascii() or not secret().isprintable() or " " in secret():
        raise InputError(
            f"{name} is empty, or has spaces, line breaks or letters beyond ASCII in it"
        )
    return secret


def warn_if_typed(secret: Secret, name: str) -> None:
    """Warn if a secret stands in a cell of this IPython session: it is saved with the notebook."""
    ipython = sys.modules.get("IPython")  # not imported here: outside a session there are no cells
    shell = ipython.get_ipython() if ipython else None
    history = getattr(shell, "history_manager", None)
    if history is None or not any(secret() in cell for cell in history.input_hist_raw):
        return
    # Not with the caller's stacklevel: a warning prints its line of source, here the secret.
    warnings.warn(
        f"{name} is typed into a cell: it is now in the notebook and in IPython's history. Delete "
        "it there, and use connect('alias') of the Salesforce CLI, or the environment variables "
        "BULKNB_INSTANCE_URL and BULKNB_ACCESS_TOKEN",
        UserWarning,
        stacklevel=1,
    )


def login_of_client(client: SignedIn) -> Login:
    """Return the login of another client, whose token is read anew when it has expired.

    Raises
    ------
    InputError
        It is no such client, or has no session.
    """
    if not isinstance(client, SignedIn):
        raise InputError(
            "connect() takes the alias of a login of the Salesforce CLI, or a client that is "
            "signed in, such as a simple_salesforce.Salesforce"
        )

    def token() -> Secret:
        return checked(Secret(str(client.session_id)), "its session_id")

    host = urlsplit(f"//{client.sf_instance}").netloc
    # Such a client says https whatever it uses; of all http, only this machine's is allowed.
    scheme = "http" if is_loopback(f"//{host}") else "https"
    return Login(
        f"{scheme}://{host}",
        token(),
        str(client.sf_version),
        renew=token,
        sign_in="Sign in again with the client that was given to connect(), and connect anew",
    )


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
    tokens = [_token(org)]
    if org.get("name") == "NamedOrgNotFoundError":
        raise InputError(
            f"The Salesforce CLI has no login for {alias!r}. `sf org list` shows what it has, "
            "`sf org login web` adds one"
        )
    url = _result(org).get("instanceUrl")
    if not url:
        raise InputError(
            f"The Salesforce CLI does not tell where {alias!r} is. Run "
            f"`sf org display --target-org {alias}` in a terminal to see why"
        )
    # An older CLI lacks this command, and shows the token with the org.
    tokens.insert(0, _token(_run_cli("org", "auth", "show-access-token", alias)))
    sign_in = f"Sign in again: `sf org login web --alias {alias}`"
    for token in tokens:
        if token() and not token().startswith(_REDACTED):
            return Login(
                str(url),
                checked(token),
                renew=lambda: login_of_cli(alias).token,
                sign_in=sign_in,
            )
    raise InputError(
        f"The Salesforce CLI hands out no access token. Update it (`sf update`). {sign_in}"
    )


def version_of_cli() -> str | None:
    """Return what ``sf --version`` says: nothing if it does not run, None if there is no `sf`."""
    program = shutil.which("sf")
    if program is None:
        return None
    try:
        return subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CLI_SECONDS,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _run_cli(*words: str) -> dict[str, Any]:
    """Run ``sf`` with ``--json`` and return what it answers; nothing, if it only fails."""
    program = shutil.which("sf")
    if program is None:
        raise InputError(
            "The Salesforce CLI is not installed (no `sf` on the PATH). Install it, or call "
            "connect(instance_url=, access_token=)"
        )
    *command, alias = words
    arguments = [program, *command, f"--target-org={alias}", "--json"]
    answer = None
    trouble = "did not answer in JSON"
    try:
        # The output gets no name, and the error is raised below: either may hold a token.
        answer = json.loads(
            subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,  # or it might ask, and wait for ever
                capture_output=True,
                text=True,
                timeout=_CLI_SECONDS,
                check=False,
            ).stdout
            or "{}"
        )
    except subprocess.TimeoutExpired:
        trouble = f"did not answer within {_CLI_SECONDS} s"
    except (OSError, ValueError):
        pass
    if isinstance(answer, dict):
        return answer
    raise InputError(
        f"The Salesforce CLI (`sf {' '.join(command)}`) {trouble}. Run it in a terminal to see why"
    )


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the result that an answer of the CLI holds, if it succeeded."""
    result = answer.get("result")
    return result if answer.get("status") == 0 and isinstance(result, dict) else {}


def _token(answer: dict[str, Any]) -> Secret:
    """Take the token out of an answer of the CLI; an empty one, if there is none."""
    return Secret(str(_result(answer).pop("accessToken", None) or ""))
