"""What can go wrong, as one tree, and which of Salesforce's codes lands where.

::

    BulkError
    ├── InputError                      a frame or an argument; nothing was sent
    │   └── ConfirmationNeededError     production: say which org and how many
    ├── UnreachableError                no answer: wrong URL, server down, time-out, TLS
    ├── UnexpectedAnswerError           an answer that is not the API's: HTML page, redirect
    ├── ApiError                        the API refused, with its own code and message
    │   ├── AuthenticationError         the session is wrong or has expired
    │   ├── NotAllowedError             the user lacks a permission
    │   ├── NotFoundError               no such job, batch or object
    │   ├── InvalidJobStateError        not from this state
    │   ├── LimitError                  an allocation of the org is used up
    │   └── ServerError                 Salesforce's own trouble
    ├── JobFailedError                  the job ended in Failed or Aborted where a result was asked
    ├── StillRunningError               waiting ended, the job goes on
    ├── ReconcileError                  rows sent and rows answered do not add up
    └── LedgerError                     the local file of loads cannot be written; nothing was sent
        └── LeaseLostError              another kernel has taken over the load

A row that fails is data, not an exception: see ``Load.failed``.
"""

from __future__ import annotations

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BulkError",
    "ConfirmationNeededError",
    "InputError",
    "InvalidJobStateError",
    "JobFailedError",
    "LeaseLostError",
    "LedgerError",
    "LimitError",
    "NotAllowedError",
    "NotFoundError",
    "ReconcileError",
    "ServerError",
    "StillRunningError",
    "UnexpectedAnswerError",
    "UnreachableError",
]


class BulkError(Exception):
    """Any error of bulknb."""


class InputError(BulkError, ValueError):
    """A frame or an argument that cannot be sent; names the row and the column."""


class UnreachableError(BulkError, ConnectionError):
    """No answer came; whether the request arrived is not known."""


class UnexpectedAnswerError(BulkError):
    """An answer came that the Bulk API does not give."""


class ApiError(BulkError):
    """The API refused a request.

    Attributes
    ----------
    status : int
        HTTP status.
    code : str
        The server's code: ``errorCode`` of 2.0 and REST, ``exceptionCode`` of 1.0.
    server_message : str
        The server's own words.
    retry_after : float or None
        Seconds that the server asks to wait, if it does.
    """

    retry_after: float | None = None

    def __init__(self, status: int, code: str, server_message: str, advice: str = "") -> None:
        self.status = status
        self.code = code
        self.server_message = server_message
        self.advice = advice
        said = f"{code}: {server_message} (HTTP {status})"
        super().__init__(f"{said}. {advice}" if advice else said)

    def __reduce__(self) -> tuple[type[ApiError], tuple[int, str, str, str]]:
        return type(self), (self.status, self.code, self.server_message, self.advice)

    def with_advice(self, advice: str) -> ApiError:
        """Return the same error with a sentence on what to do."""
        return type(self)(self.status, self.code, self.server_message, advice)


class AuthenticationError(ApiError):
    """The session id or access token is wrong or has expired."""


class NotAllowedError(ApiError):
    """The user lacks the permission."""


class NotFoundError(ApiError):
    """No such job, batch, object or resource."""


class InvalidJobStateError(ApiError):
    """The job's state does not allow this."""


class LimitError(ApiError):
    """A limit of the org is used up for now."""


class ServerError(ApiError):
    """Salesforce could not do it; the request was not at fault."""


class JobFailedError(BulkError):
    """A job ended without a result."""


class StillRunningError(BulkError, TimeoutError):
    """Waiting ended before the job did; the job was not touched."""


class ReconcileError(BulkError):
    """Rows sent and rows accounted for differ: do not trust this result."""


class ConfirmationNeededError(InputError):
    """A production org, and no or other words than it takes to change it; nothing was sent.

    Attributes
    ----------
    org : str
        The org's name.
    words : str
        What to pass as ``confirm=``.
    """

    def __init__(self, org: str, words: str) -> None:
        self.org = org
        self.words = words
        super().__init__(f"This is a production org. To go on, pass confirm={words!r}")

    def __reduce__(self) -> tuple[type[ConfirmationNeededError], tuple[str, str]]:
        return type(self), (self.org, self.words)


class LedgerError(BulkError):
    """The local file of loads cannot be read or written; without it nothing is sent."""


class LeaseLostError(LedgerError):
    """Another kernel has taken over this load, and goes on with it."""


#: What to do when a session is over that cannot be renewed.
SIGN_IN = "Sign in again and call connect() with a fresh token"
_LATER = "Try again later"
_GONE = "Check the name or id; jobs are deleted seven days after they end"
_SOQL = "Correct the SOQL; of what SOQL can, the Bulk API takes a part"
_SMALLER = "Send less at once: a batch of 1.0 holds 10,000 rows and 10 MB, a job of 2.0 100 MB"

#: Code -> (class, what to do). 1.0 writes codes in CamelCase, 2.0 the same in capitals, REST with
#: underscores: compared without case and underscores.
_BY_CODE: dict[str, tuple[type[ApiError], str]] = {
    # Who asks
    "invalidsessionid": (AuthenticationError, SIGN_IN),
    "invalidauthheader": (AuthenticationError, SIGN_IN),
    "invaliduser": (
        NotAllowedError,
        "Ask the job's creator or an admin (Manage Data Integrations)",
    ),
    "insufficientaccess": (NotAllowedError, "Ask an admin for access to this object"),
    "featurenotenabled": (
        NotAllowedError,
        "Ask an admin to enable it for your profile: API Enabled, Bulk API Hard Delete",
    ),
    "apidisabledfororg": (NotAllowedError, "Ask an admin to enable the API"),
    # Signing in (OAuth 2.0)
    "invalidgrant": (AuthenticationError, "Check who signs in, and whether the app may"),
    "invalidclient": (AuthenticationError, "Check the consumer key and secret"),
    "invalidclientid": (AuthenticationError, "Check the consumer key"),
    "unauthorizedclient": (AuthenticationError, "Ask an admin to let the app sign in this way"),
    "inactiveuser": (AuthenticationError, "Ask an admin to activate the user"),
    "inactiveorg": (AuthenticationError, "The org is closed or locked: ask its admin"),
    # What is asked
    "notfound": (NotFoundError, _GONE),
    "invalidjob": (ApiError, "Check the id and the job's properties"),
    "invalidbatch": (ApiError, "Check the batch id and its data"),
    "invalidentity": (ApiError, "Check the object's API name; the Bulk API does not take all"),
    "invalidtype": (ApiError, "Check the object's API name, and that you may see it"),
    "malformedquery": (ApiError, _SOQL),
    "invalidfield": (ApiError, "Check the field's API name, and that you may see it"),
    "apierror": (ApiError, _SOQL),
    "invalidoperation": (ApiError, "Check the operation and the API version"),
    "methodnotallowed": (ApiError, "This resource cannot do that in this API version"),
    "clientinputerror": (ApiError, _SMALLER),
    "requestentitytoolarge": (ApiError, _SMALLER),
    # When
    "invalidjobstate": (InvalidJobStateError, ""),
    "jobnotcomplete": (InvalidJobStateError, "wait() for the job first"),
    "requestlimitexceeded": (LimitError, "Wait until the org's daily API calls are renewed"),
    "exceededquota": (LimitError, "Wait until the org's daily batches are renewed"),
    "toomanylockfailure": (ServerError, "Try again, sorted by the parent record"),
    "internalservererror": (ServerError, _LATER),
    "servererror": (ServerError, _LATER),
    "serverunavailable": (ServerError, _LATER),
    "timeout": (ServerError, _LATER),
    "querytimeout": (ServerError, "Ask for less, by a filter on an indexed field"),
    "unknownexception": (ServerError, _LATER),
}

_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (AuthenticationError, SIGN_IN),
    403: (NotAllowedError, ""),
    404: (NotFoundError, _GONE),
    405: (ApiError, "This resource cannot do that in this API version"),
    409: (ApiError, "Read the results with the API version that made the job"),
    412: (InvalidJobStateError, "wait() for the job first"),
    413: (ApiError, _SMALLER),
    429: (LimitError, "Wait and try again"),
}


def from_answer(status: int, code: str, message: str) -> ApiError:
    """Return the error for an answer: by its code, else by its status, else the root class."""
    known = _BY_CODE.get(code.replace("_", "").lower()) or _BY_STATUS.get(status)
    if known is None:
        known = (ServerError, _LATER) if status >= 500 else (ApiError, "")
    cls, advice = known
    return cls(status, code, message, advice)
