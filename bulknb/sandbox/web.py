"""What all resources share: the org of a request, its body, answers and errors."""

import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any, cast

from flask import Response, request

from bulknb.sandbox import ids, xmltext
from bulknb.sandbox.org import Org

JSON = "application/json;charset=UTF-8"
CSV = "text/csv"

ORGANIZATION = ids.to_18(ids.ORGANIZATION_ID)

# Where the WSGI environment of a request holds the org that it is for.
ORG = "bulknb.sandbox.org"
# … and whether it is to be answered as if the day's requests were used up.
SPENT = "bulknb.sandbox.spent"

# "Bulk API 2.0 Limits": 150 MB of data in one job.
MAX_BODY_BYTES = 150 * 1024 * 1024
# Shorter answers grow when they are packed; the bound is ours.
SMALLEST_TO_COMPRESS = 1000


class ApiError(Exception):
    """An error of the 2.0 and REST resources.

    The bulk layer puts errorCode first, the layer before it (session, paths, SOQL) message. A
    refused record comes with the fields that it is about.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        bulk: bool = False,
        fields: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.bulk = bulk
        self.fields = fields

    def answer(self) -> Response:
        """Return the error as a list of one object."""
        error: dict[str, object] = {"message": self.message, "errorCode": self.code}
        if self.bulk:
            error = {"errorCode": self.code, "message": self.message}
        if self.fields is not None:
            error["fields"] = list(self.fields)
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


def base_url() -> str:
    """Return the address that the request was sent to, without a path."""
    return request.host_url.rstrip("/")


def identity_url() -> str:
    """Return the address that stands for the user."""
    return f"{base_url()}/id/{ORGANIZATION}/{org().user_id}"


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
    return read_json(body())


def read_json(data: bytes) -> dict[str, Any]:
    """Return what data in JSON say, which have to be an object."""
    try:
        found = json.loads(data)
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


def compress(answer: Response) -> None:
    """Pack an answer, unless it is small, for a client that offers to unpack it."""
    if not request.accept_encodings.quality("gzip") or answer.is_streamed:
        return
    data = answer.get_data()
    if len(data) >= SMALLEST_TO_COMPRESS:
        # No time stamp inside: the same answer is the same bytes.
        answer.set_data(gzip.compress(data, compresslevel=1, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"


def csv_answer(text: str) -> Response:
    """Return an answer in CSV; orgs name no character set here."""
    return Response(text.encode(), content_type=CSV)


def xml_answer(root: str, children: xmltext.Tree, status: int = 200) -> Response:
    """Return an answer in the XML of Bulk API 1.0."""
    return Response(xmltext.document(root, children), status, content_type="application/xml")
