"""What an HTTP answer says: its document if it succeeded, else the error that it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ._xml import read_xml
from .errors import BulkError, UnexpectedAnswerError, from_answer

__all__ = ["Answer", "refusal"]

#: However long a server asks to wait: it is asked again after these seconds.
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class Answer:
    """A successful answer: status, headers (names in any case), body as bytes."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)  # of a sign-in, it holds the token

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON.

        Raises
        ------
        UnexpectedAnswerError
            It is something else, such as a login page.
        """
        if self.content_type == "application/json":
            try:
                return json.loads(self.body)
            except (ValueError, RecursionError):
                pass
        raise UnexpectedAnswerError(_not_the_api(self.content_type, "JSON"))

    def fields(self, *names: str) -> dict[str, Any]:
        """Return the body, a JSON object that has these fields.

        Raises
        ------
        UnexpectedAnswerError
            It is something else, or lacks one of them.
        """
        found = self.json()
        if isinstance(found, dict) and found.keys() >= set(names):
            return found
        del found  # of a sign-in, it may hold the token
        raise UnexpectedAnswerError(
            f"The answer is JSON, but no object with {', '.join(names) or 'names'} in it. "
            "Check that instance_url is the org's own address"
        )

    def csv(self) -> bytes:
        """Return the body if it is CSV.

        Raises
        ------
        UnexpectedAnswerError
            It is something else, such as a login page.
        """
        if self.content_type != "text/csv":
            raise UnexpectedAnswerError(_not_the_api(self.content_type, "CSV"))
        return self.body


def refusal(answer: Answer, now: float) -> BulkError:
    """Return the error for an answer that is not the expected one.

    `now` is the time in seconds since the epoch, which a Retry-After may be given in.
    """
    if 300 <= answer.status < 400:
        return UnexpectedAnswerError(
            f"The server redirects to {_host(answer.headers.get('Location', ''))}; this is not "
            "followed, for the token's sake. Use the org's own address as instance_url"
        )
    code, message = _server_words(answer)
    if not code and answer.status < 500 and (answer.status < 400 or "html" in answer.content_type):
        wanted = f"an answer of the API (HTTP {answer.status})"
        return UnexpectedAnswerError(_not_the_api(answer.content_type, wanted))
    error = from_answer(answer.status, code or "HTTP", message or "no message")
    error.retry_after = _retry_after(answer.headers.get("Retry-After", ""), now)
    return error


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "elsewhere"
    except ValueError:
        return "elsewhere"


def _not_the_api(content_type: str, wanted: str) -> str:
    got = "an HTML page" if "html" in content_type else (content_type or "nothing readable")
    return (
        f"The answer is {got}, not {wanted}. Check that instance_url is the org's own address "
        "(https://yourcompany.my.salesforce.com) and that no proxy or login page stands between"
    )


def _server_words(answer: Answer) -> tuple[str, str]:
    """Return (code, message) out of the error bodies of 2.0, REST, OAuth and 1.0."""
    if answer.content_type == "application/xml":
        root, content = read_xml(answer.body)
        if root == "error" and isinstance(content, dict):
            return str(content.get("exceptionCode", "")), str(content.get("exceptionMessage", ""))
        return "", ""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "", ""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return "", ""
    code = first.get("errorCode") or first.get("exceptionCode") or first.get("error") or ""
    message = first.get("message") or first.get("exceptionMessage")
    return str(code), str(message or first.get("error_description") or "")


def _retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a server asks to wait, said as seconds or as a date."""
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_RETRY_SECONDS)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    seconds = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now
    return min(max(0.0, seconds), LONGEST_RETRY_SECONDS)
