"""The web application: who may ask, what is where, and how errors look."""

import logging
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from bulknb.sandbox import bulk1, bulk2_ingest, bulk2_query, composite, oauth, records, rest, status
from bulknb.sandbox.denied import DeniedError
from bulknb.sandbox.org import Org
from bulknb.sandbox.web import (
    MAX_BODY_BYTES,
    ORG,
    SPENT,
    ApiError,
    AsyncError,
    compress,
    no_resource,
    org,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("bulknb.sandbox")

# The page of another site must not reach a server on loopback, not even by a name that leads
# here (DNS rebinding).
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_SLASHES = re.compile(r"//+")
_HEADERS = {
    "Cache-Control": "no-cache,must-revalidate,max-age=0,no-store,private",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "none",
}
# What needs no session: a list, what checks credentials of its own, and a page to look at.
_OPEN = frozenset({"/", "/services/data", "/services/oauth2/token", "/services/oauth2/introspect"})


class _Version(BaseConverter):
    regex = r"\d{1,2}\.\d"


def create_app(the_org: Org) -> "WSGIApplication":
    """Return the WSGI application that serves an org, one request at a time."""
    flask = _flask()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Clients write slashes twice or at the end; an org does not mind.
        path = _SLASHES.sub("/", environ.get("PATH_INFO", ""))
        environ["PATH_INFO"] = path.rstrip("/") or "/"
        environ[ORG] = the_org
        with the_org.lock, the_org.signed_out_after():
            return flask(environ, start_response)

    return application


@cache
def _flask() -> Flask:
    """Return the routes and what goes around them; they are the same for every org."""
    flask = Flask("bulknb.sandbox", static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    flask.url_map.converters["version"] = _Version
    for resource in (bulk1, bulk2_ingest, bulk2_query, rest, records, composite, oauth, status):
        flask.register_blueprint(resource.blueprint)
    flask.before_request(_guard)
    flask.before_request(_authenticate)
    flask.before_request(_refuse_retired)
    flask.before_request(_allow)
    flask.before_request(_catch_up)
    flask.after_request(_finish)
    flask.register_error_handler(ApiError, ApiError.answer)
    flask.register_error_handler(AsyncError, AsyncError.answer)
    flask.register_error_handler(DeniedError, _refused)
    flask.register_error_handler(HTTPException, _http_error)
    flask.register_error_handler(Exception, _unexpected)
    return flask


def _guard() -> Response | None:
    """Refuse a request that comes from the page of another site."""
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    if not _HOSTS.fullmatch(host) or origin not in (None, f"http://{host}"):
        message = "This server answers local clients only"
        if _is_async(request):
            return AsyncError("Forbidden", message, 403).answer()
        return ApiError(403, "FORBIDDEN", message).answer()
    return None


def _authenticate() -> None:
    """Let nobody in without the session id, where one is needed."""
    path = request.path
    if _is_async(request):
        session = request.headers.get("X-SFDC-Session")
        if session is None:
            raise AsyncError("InvalidSessionId", "Unable to find session id")
        if not org().sign_in(session):
            raise AsyncError("InvalidSessionId", "Invalid session id")
    elif path not in _OPEN:
        kind, _, session = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not org().sign_in(session.strip()):
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def _refuse_retired() -> None:
    """Answer for a version of the API that is no more (retired in Summer '22 and Summer '25)."""
    version = (request.view_args or {}).get("version")
    if version is None or float(version) >= rest.VERSIONS[0]:
        return
    message = f"API version {version} is retired; the oldest is {rest.VERSIONS[0]}.0"  # ours
    if _is_async(request):
        raise AsyncError("InvalidVersion", message)
    raise ApiError(410, "GONE", message)


def _allow() -> None:
    """Refuse a request beyond those of the day."""
    spent = request.environ.get(SPENT) or not org().requests_left
    if not spent or request.path in _OPEN:
        return
    message = "TotalRequests Limit exceeded."  # ours
    if _is_async(request):
        raise AsyncError("ExceededQuota", message)
    raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", message)


def _catch_up() -> None:
    """Answer with what is true now."""
    org().catch_up()


def _is_async(which: Request) -> bool:
    return which.path.startswith("/services/async")


def _finish(answer: Response) -> Response:
    """Add the headers of every answer and count the request, unless it only looks at the page."""
    if request.path != "/":
        org().note_request(request.method, request.path, answer.status_code)
    answer.headers.update(_HEADERS)
    compress(answer)
    if request.path.startswith("/services/data"):  # 1.0 does not tell
        usage = f"api-usage={org().request_count}/{org().daily_requests}"
        answer.headers["Sforce-Limit-Info"] = usage
    return answer


def _refused(error: DeniedError) -> Response:
    """Give what the org refuses the form of the request's dialect."""
    if _is_async(request):
        return AsyncError(error.code, error.message).answer()
    return ApiError(400, error.code.upper(), error.message, bulk=True).answer()


def _http_error(error: HTTPException) -> Response:
    """Give an error of the framework the form that an org's errors have."""
    status = error.code or 500
    message = str(error.description)
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
        message = f"HTTP Method '{request.method}' not allowed. Allowed are {allowed}"
    if _is_async(request):
        code = {404: "InvalidUrl", 405: "InvalidOperation", 413: "ClientInputError"}
        return AsyncError(code.get(status, "Unknown"), message, status).answer()
    if status == 404:
        return no_resource().answer()
    codes = {405: "METHOD_NOT_ALLOWED", 413: "REQUEST_ENTITY_TOO_LARGE"}
    return ApiError(status, codes.get(status, "UNKNOWN_EXCEPTION"), message).answer()


def _unexpected(error: Exception) -> Response:
    """Answer a fault of the sandbox itself without showing its insides."""
    log.error("Unexpected error in %s %s", request.method, request.path, exc_info=error)
    message = "An unexpected error occurred in the sandbox; its log says more."
    if _is_async(request):
        return AsyncError("InternalServerError", message, 500).answer()
    return ApiError(500, "UNKNOWN_EXCEPTION", message).answer()
