"""The deliberate act that abort, delete and hardDelete need in a production org."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from .._wire import Wire
from ..errors import (
    AuthenticationError,
    BulkError,
    ConfirmationNeededError,
    UnexpectedAnswerError,
    UnreachableError,
)

__all__ = ["confirmed", "is_production", "org_label", "production_name"]

_QUESTION = "SELECT IsSandbox, OrganizationType, Name FROM Organization"

#: What orgs have said of themselves, for as long as there is a way to them.
_names: WeakKeyDictionary[Wire, str | None] = WeakKeyDictionary()


def confirmed(wire: Wire, act: str, count: int, confirm: str | None, *, noun: str = "job") -> None:
    """Return if an act on so many jobs (or rows) may go on.

    Parameters
    ----------
    wire : Wire
        The way to the org, which is asked once what it is.
    act : {"abort", "delete", "hardDelete"}
        What is to be done.
    count : int
        To how many.
    confirm : str or None
        What the user said, such as "Acme: abort 1 job"; not needed outside production.
    noun : str
        What is counted.

    Raises
    ------
    ConfirmationNeededError
        It is a production org, and the words do not name it, the act and the count.
    """
    name = production_name(wire)
    if name is None:
        return
    words = f"{name}: {act} {count} {noun}{'' if count == 1 else 's'}"
    if confirm is None or _same(confirm) != _same(words):
        raise ConfirmationNeededError(name, words)


def is_production(wire: Wire) -> bool:
    """Return whether the org is a production org; one that does not tell is taken for one."""
    return production_name(wire) is not None


def production_name(wire: Wire) -> str | None:
    """Return the name of a production org, None for any other.

    A sandbox, a scratch org and a Developer Edition org are not production ("Organization" in the
    Object Reference: ``IsSandbox``, ``OrganizationType``).

    Raises
    ------
    AuthenticationError, UnreachableError
        The org cannot be asked at all, so that nothing else could be done there either.
    """
    if wire not in _names:
        _names[wire] = _ask(wire)
    return _names[wire]


def org_label(wire: Wire) -> str:
    """Return what to call an org in a question: one of production by its name, else by its host."""
    name = production_name(wire)
    return f"{name} (production)" if name else urlsplit(wire.origin).netloc


def _ask(wire: Wire) -> str | None:
    path = f"/services/data/v{wire.api_version}/query"
    try:
        said = _first_record(wire.request("GET", path, params={"q": _QUESTION}).json())
    except (AuthenticationError, UnreachableError):
        raise
    except BulkError:  # a user may lack the permission to read it
        return str(urlsplit(wire.origin).hostname)
    if said.get("IsSandbox") is True or said.get("OrganizationType") == "Developer Edition":
        return None
    return str(said.get("Name") or urlsplit(wire.origin).hostname)


def _first_record(answer: Any) -> Mapping[str, Any]:
    try:
        return dict(answer["records"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        pass
    raise UnexpectedAnswerError("The org does not say whether it is a production org")


def _same(words: str) -> str:
    return " ".join(words.casefold().split())
