"""Who may do what, and whose session it is: users, permissions, tokens."""

import hmac
import secrets
import string
from dataclasses import dataclass

from bulknb.sandbox import ids

_LETTERS = string.ascii_letters + string.digits + "_."


@dataclass(frozen=True)
class User:
    """A user of the API.

    Attributes
    ----------
    id, username : str
        Of the User record.
    manage_data_integrations : bool
        Whether the user may abort jobs of others.
    hard_delete : bool
        Whether the user may erase records for good ("Bulk API Hard Delete").
    """

    id: str
    username: str
    manage_data_integrations: bool = False
    hard_delete: bool = False


@dataclass
class _Session:
    username: str
    used: float


class Sessions:
    """The sessions that are alive, by their tokens.

    Parameters
    ----------
    lifetime : float, optional
        Seconds that a session lives after its last use; by default for ever.
    """

    def __init__(self, lifetime: float | None) -> None:
        self._lifetime = lifetime
        self._sessions: dict[str, _Session] = {}

    def token_for(self, username: str, now: float, *, token: str | None = None) -> str:
        """Return the token of a user's session, of a new one (with that token) if there is none."""
        self._drop_dead(now)
        for known, session in self._sessions.items():
            if session.username == username and token in (None, known):
                return known
        token = token or _new_token()
        self._sessions[token] = _Session(username, now)
        return token

    def username(self, token: str, now: float) -> str | None:
        """Return whose token it is, and keep the session alive; None if there is no such one."""
        self._drop_dead(now)
        found = None
        # All are compared, each in constant time: how long it takes tells nothing of a token.
        for known, session in self._sessions.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = session
        if found is None:
            return None
        found.used = now
        return found.username

    def expire(self) -> None:
        """End all sessions."""
        self._sessions.clear()

    def _drop_dead(self, now: float) -> None:
        if self._lifetime is not None:
            oldest = now - self._lifetime
            self._sessions = {
                token: session for token, session in self._sessions.items() if session.used > oldest
            }


def _new_token() -> str:
    """Return a session id; its first part is the org's Id, as the Salesforce CLI expects."""
    secret = "".join(secrets.choice(_LETTERS) for _ in range(64))
    return f"{ids.ORGANIZATION_ID}!{secret}"
