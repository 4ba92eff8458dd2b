"""What org this is: its name and kind, who is signed in, what is left to use, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from ._html import card
from ._wire import Answer, Wire
from .errors import ApiError, AuthenticationError, BulkError, LimitError, ServerError

__all__ = ["About", "Allowance", "allowances_of", "read_about"]

#: Nobody waits longer for a card; what has not come by then is left out.
_PATIENCE_SECONDS = 5.0

#: After these the next request would not fare better, and somebody waits.
_HOPELESS = (AuthenticationError, LimitError, ServerError)

_USER = re.compile(r"/id/00D[A-Za-z0-9]{12,15}/(005[A-Za-z0-9]{12,15})$")
#: Allowance of "Limits" (REST API Developer Guide) -> what a card calls it.
_ALLOWANCES = {
    "DailyApiRequests": "API calls left",
    "DailyBulkApiBatches": "Bulk batches left",
    "DailyBulkV2QueryJobs": "Query jobs left",
    "DailyBulkV2QueryFileStorageMB": "Query results left (MB)",
}
#: Field of UserPermissionAccess -> the permission's name in Setup, and what it is for.
_PERMISSIONS = {
    "PermissionsBulkApiHardDelete": ("Bulk API Hard Delete", "to erase records for good"),
    "PermissionsManageDataIntegrations": ("Manage Data Integrations", "to abort jobs of others"),
}


@dataclass(frozen=True)
class Allowance:
    """How much of something any 24 hours allow, and how much of it is left."""

    most: int
    left: int


@dataclass(frozen=True)
class About:
    """What an org says of itself. What could not be read is None or left out, and in `unread`.

    Attributes
    ----------
    url, api_version : str
        Where it is, and the API version in use.
    org_id, name : str or None
        Of the org.
    kind : str or None
        production, sandbox, scratch, trial or developer.
    username : str or None
        Who is signed in.
    allowances : mapping
        By the API's names, such as DailyApiRequests: `Allowance`.
    permissions : mapping
        By the names in Setup, such as "Bulk API Hard Delete": whether the user has it.
    clock_ahead : float or None
        Seconds that the clock of this machine is ahead of the org's.
    unread : tuple of str
        What could not be read, and why.
    """

    url: str
    api_version: str
    org_id: str | None = None
    name: str | None = None
    kind: str | None = None
    username: str | None = None
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    permissions: Mapping[str, bool] = field(default_factory=dict)
    clock_ahead: float | None = None
    unread: tuple[str, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        """Return it in words, as (name, value)."""
        said = [
            ("Kind", self.kind.upper() if self.kind == "production" else self.kind),
            ("User", self.username),
            ("Address", self.url),
            ("Org id", self.org_id),
            ("API version", self.api_version),
        ]
        return [
            *((name, value) for name, value in said if value),
            *(
                (title, f"{self.allowances[key].left:,} of {self.allowances[key].most:,} in 24 h")
                for key, title in _ALLOWANCES.items()
                if key in self.allowances
            ),
            *(
                (name, f"{'yes' if self.permissions[name] else 'no'} ({use})")
                for name, use in _PERMISSIONS.values()
                if name in self.permissions
            ),
            *(("Not readable", text) for text in self.unread),
        ]

    def __str__(self) -> str:
        return "\n".join([self._title(), *(f"{name}: {value}" for name, value in self.facts())])

    def _repr_html_(self) -> str:
        return card(self._title(), self.facts(), tone="bad" if self.kind == "production" else "")

    def _title(self) -> str:
        return self.name or "Salesforce org"


def read_about(wire: Wire) -> About:
    """Ask the org what it is, in five short requests; what goes wrong is told in the answer."""
    found: dict[str, Any] = {}
    unread: list[str] = []
    for part, read in _PARTS.items():
        try:
            found |= read(wire)
        except BulkError as error:
            unread.append(f"{part}: {error}")
            if not isinstance(error, ApiError) or isinstance(error, _HOPELESS):
                break
    return About(wire.origin, wire.api_version, unread=tuple(unread), **found)


def _organization(wire: Wire) -> dict[str, Any]:
    org = _query(
        wire, "SELECT Id, Name, IsSandbox, OrganizationType, TrialExpirationDate FROM Organization"
    )
    return {"org_id": _text(org.get("Id")), "name": _text(org.get("Name")), "kind": _kind(org)}


def _user(wire: Wire) -> dict[str, Any]:
    answer = _ask(wire, "")
    found: dict[str, Any] = {"clock_ahead": _clock_ahead(answer, wire.clock.time())}
    # The identity URL itself is not asked: it is on another host.
    if user := _USER.search(str(answer.fields().get("identity"))):
        record = _ask(wire, f"/sobjects/User/{user[1]}", {"fields": "Username"}).fields()
        found["username"] = _text(record.get("Username"))
    return found


def _allowances(wire: Wire) -> dict[str, Any]:
    return {"allowances": allowances_of(_ask(wire, "/limits").fields())}


def allowances_of(limits: Mapping[str, Any]) -> dict[str, Allowance]:
    """Return what "Limits" says of calls and bulk work, by the API's names."""
    return {
        name: Allowance(limit["Max"], limit["Remaining"])
        for name, limit in limits.items()
        if name in _ALLOWANCES
        and isinstance(limit, dict)
        and all(isinstance(limit.get(key), int) for key in ("Max", "Remaining"))
    }


def _permissions(wire: Wire) -> dict[str, Any]:
    access = _query(
        wire,
        "SELECT PermissionsBulkApiHardDelete, PermissionsManageDataIntegrations"
        " FROM UserPermissionAccess",
    )
    return {
        "permissions": {
            name: access[key] is True for key, (name, _) in _PERMISSIONS.items() if key in access
        }
    }


_PARTS: dict[str, Callable[[Wire], dict[str, Any]]] = {
    "Organization": _organization,
    "User": _user,
    "Limits": _allowances,
    "Permissions": _permissions,
}


def _kind(org: Mapping[str, Any]) -> str | None:
    """Tell what kind of org it is; the Salesforce CLI tells scratch orgs by their expiry alike."""
    if not isinstance(org.get("IsSandbox"), bool):
        return None
    if org["IsSandbox"]:
        return "scratch" if org.get("TrialExpirationDate") else "sandbox"
    if org.get("TrialExpirationDate"):
        return "trial"
    return "developer" if org.get("OrganizationType") == "Developer Edition" else "production"


def _clock_ahead(answer: Answer, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return None


def _query(wire: Wire, soql: str) -> dict[str, Any]:
    records = _ask(wire, "/query", {"q": soql}).fields().get("records")
    first = records[0] if isinstance(records, list) and records else {}
    return first if isinstance(first, dict) else {}


def _ask(wire: Wire, path: str, params: Mapping[str, str] | None = None) -> Answer:
    return wire.request(
        "GET",
        f"/services/data/v{wire.api_version}{path}",
        params=params,
        patience=_PATIENCE_SECONDS,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
