"""What all resources share: the org of a request, its body, answers and errors."""

import json
import zlib
from typing import Any, cast

from flask import Response, request

from bulknb.sandbox import xmltext
from bulknb.sandbox.org import Org

JSON = "application/json;charset=UTF-8"
CSV = "text/csv"

# Where the WSGI environment of a request holds the org that it is for.
ORG = "bulknb.sandbox.org"

# "Bulk API 2.0 Limits": 150 MB of data in one job.
MAX_BODY_BYTES = 150 * 1024 * 1024


class ApiError(Exception):
    """An error of the 2.0 and REST resources.

    The bulk layer puts errorCode first, the layer before it (session, paths, SOQL) message.
    """

    def __init__(self, status: int, code: str, message: str, *, bulk: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.bulk = bulk

    def answer(self) -> Response:
        """Return the error as a list of one object."""
        error = {"message": self.message, "errorCode": self.code}
        if self.bulk:
            error = {"errorCode": self.code, "message": self.message}
        answer = json_answer([error], self.status)
        if self.status == 401:
            answer.headers["WWW-Authenticate"] = "Token"
        return answer


class AsyncError(Exception):
    """An error of Bulk API 1.0: status 400 whatever it is, a dead session too."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def answer(self) -> Response:
        """Return the error in the format of the request."""
        body = {"exceptionCode": self.code, "exceptionMessage": self.message}
        if says_json():
            return json_answer(body, self.status, content_type="application/json")
        return xml_answer("error", body.items(), self.status)


def no_resource() -> ApiError:
    """Return the error for a job, object or path that is not there."""
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist", bulk=True)


def org() -> Org:
    """Return the org that the request is for."""
    return cast(Org, request.environ[ORG])


def says_json() -> bool:
    """Return whether the request's body is, or would be, JSON."""
    return "json" in (request.content_type or "").lower()


def body() -> bytes:
    """Return the body of the request, unpacked if it came compressed."""
    sent = request.get_data()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return sent
    if encoding != "gzip":
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", f"Content-Encoding not supported: {encoding}")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(sent, MAX_BODY_BYTES)
    except zlib.error:
        raise ApiError(400, "MALFORMED_REQUEST", "The body is not gzip") from None
    if unpacker.unconsumed_tail:
        raise ApiError(413, "REQUEST_ENTITY_TOO_LARGE", "The body is too large")
    return unpacked


def json_body() -> dict[str, Any]:
    """Return the body of the request, which has to be a JSON object."""
    try:
        found = json.loads(body())
        # Half of a surrogate pair is JSON, but no text that could be kept or answered.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "JSON_PARSER_ERROR", "The request body is not a JSON object")
    return found


def json_answer(value: object, status: int = 200, *, content_type: str = JSON) -> Response:
    """Return an answer in JSON, keys in the order given."""
    if request.headers.get("X-PrettyPrint") == "1":
        text = json.dumps(value, ensure_ascii=False, indent=2, separators=(",", " : "))
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, content_type=content_type)


def csv_answer(text: str) -> Response:
    """Return an answer in CSV; orgs name no character set here."""
    return Response(text.encode(), content_type=CSV)


def xml_answer(root: str, children: xmltext.Tree, status: int = 200) -> Response:
    """Return an answer in the XML of Bulk API 1.0."""
    return Response(xmltext.document(root, children), status, content_type="application/xml")
