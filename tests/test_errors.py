"""Each refusal that the guides and other people's clients know of: its class, and what to do."""

from __future__ import annotations

import json

import pytest

from bulknb._answer import Answer, refusal
from bulknb.errors import (
    ApiError,
    AuthenticationError,
    InvalidJobStateError,
    LimitError,
    NotAllowedError,
    NotFoundError,
    ServerError,
)

NOW = 0.0


def rest(status: int, code: str, message: str) -> Answer:
    """What 2.0 and REST answer."""
    body = json.dumps([{"errorCode": code, "message": message}]).encode()
    return Answer(status, {"Content-Type": "application/json;charset=UTF-8"}, body)


def oauth(code: str, message: str) -> Answer:
    body = json.dumps({"error": code, "error_description": message}).encode()
    return Answer(400, {"Content-Type": "application/json"}, body)


def classic(code: str, message: str, status: int = 400) -> Answer:
    """What 1.0 answers to a caller of XML."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<error xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
        f"<exceptionCode>{code}</exceptionCode><exceptionMessage>{message}</exceptionMessage>"
        "</error>"
    )
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def classic_json(code: str, message: str) -> Answer:
    body = json.dumps({"exceptionCode": code, "exceptionMessage": message}).encode()
    return Answer(400, {"Content-Type": "application/json"}, body)


SESSION = "This session is not valid for use with the REST API"
TWICE = "Found multipe contents for job: <750xx>, please 'Close'/'Abort'/'Delete' the current Job"
EARLY = (
    "can only download query results of successfully completed bulk job with status: JOB_COMPLETE"
)
HARD_DELETE = (
    "hardDelete operation requires special user profile permission, please contact your system "
    "administrator"
)

REFUSALS = [
    # Who asks
    (classic("InvalidSessionId", "Invalid session id"), AuthenticationError, "Sign in again"),
    (classic_json("InvalidSessionId", "x"), AuthenticationError, "Sign in again"),
    (
        rest(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        AuthenticationError,
        "Sign in again",
    ),
    (rest(401, "INVALID_SESSION_ID", SESSION), AuthenticationError, "Sign in again"),
    (rest(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"), AuthenticationError, "Sign in again"),
    (oauth("invalid_grant", "user hasn't approved this consumer"), AuthenticationError, "may"),
    (oauth("invalid_client", "invalid client credentials"), AuthenticationError, "key and secret"),
    (oauth("invalid_client_id", "client identifier invalid"), AuthenticationError, "consumer key"),
    (oauth("unauthorized_client", "x"), AuthenticationError, "admin"),
    (oauth("inactive_user", "user is inactive"), AuthenticationError, "admin"),
    (oauth("inactive_org", "x"), AuthenticationError, "admin"),
    (classic("InvalidUser", "x"), NotAllowedError, "Manage Data Integrations"),
    (rest(400, "INVALIDUSER", "x"), NotAllowedError, "Manage Data Integrations"),
    (classic("FeatureNotEnabled", HARD_DELETE), NotAllowedError, "Bulk API Hard Delete"),
    (rest(400, "FEATURENOTENABLED", HARD_DELETE), NotAllowedError, "Bulk API Hard Delete"),
    (rest(403, "API_DISABLED_FOR_ORG", "x"), NotAllowedError, "enable the API"),
    (rest(403, "INSUFFICIENT_ACCESS", "x"), NotAllowedError, "Ask an admin"),
    # What is asked
    (classic("InvalidJob", "Unable to find object: X"), ApiError, "Check the id"),
    (classic("InvalidJob", "Unable to parse Job"), ApiError, "properties"),
    (rest(400, "INVALIDJOB", TWICE), ApiError, "Check the id"),
    (classic("InvalidBatch", "Records not processed"), ApiError, "Check the batch"),
    (rest(404, "NOT_FOUND", "The requested resource does not exist"), NotFoundError, "seven days"),
    (classic("InvalidEntity", "x"), ApiError, "API name"),
    (rest(400, "INVALIDENTITY", "Entity 'X' is not supported"), ApiError, "API name"),
    (rest(400, "INVALID_TYPE", "sObject type 'X' is not supported."), ApiError, "API name"),
    (rest(400, "MALFORMED_QUERY", "unexpected token"), ApiError, "Correct the SOQL"),
    (rest(400, "INVALID_FIELD", "No such column 'X'"), ApiError, "API name"),
    (rest(400, "API_ERROR", "Selecting compound data not supported"), ApiError, "SOQL"),
    (classic("InvalidOperation", "x", 405), ApiError, "operation"),
    (rest(405, "METHOD_NOT_ALLOWED", "x"), ApiError, "cannot do that"),
    (classic("ClientInputError", "Exceeded max size limit of 10000000"), ApiError, "10 MB"),
    (rest(413, "REQUEST_ENTITY_TOO_LARGE", "x"), ApiError, "100 MB"),
    (rest(409, "CONFLICT", "x"), ApiError, "API version that made the job"),
    # When
    (classic("InvalidJobState", "Job already aborted"), InvalidJobStateError, ""),
    (
        rest(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed"),
        InvalidJobStateError,
        "",
    ),
    (rest(412, "JOB_NOT_COMPLETE", EARLY), InvalidJobStateError, "wait()"),
    (classic("ExceededQuota", "ApiBatchItems Limit exceeded"), LimitError, "daily batches"),
    (rest(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), LimitError, "Wait"),
    (rest(429, "TOO_MANY_REQUESTS", "x"), LimitError, "Wait"),
    (classic("TooManyLockFailure", "x"), ServerError, "sorted by the parent"),
    (classic("InternalServerError", "x", 500), ServerError, "later"),
    (rest(503, "SERVER_UNAVAILABLE", "x"), ServerError, "later"),
    (rest(500, "UNKNOWN_EXCEPTION", "x"), ServerError, "later"),
    (classic("Timeout", "x"), ServerError, "later"),
    (rest(400, "QUERY_TIMEOUT", "x"), ServerError, "filter"),
    # What nobody has seen yet
    (rest(400, "NEWLY_INVENTED", "x"), ApiError, ""),
    (classic("NewlyInvented", "x", 500), ServerError, "later"),
]


@pytest.mark.parametrize(("answer", "cls", "advice"), REFUSALS)
def test_a_refusal_arrives_as_its_class_with_code_words_and_advice(answer, cls, advice):
    error = refusal(answer, NOW)

    assert type(error) is cls
    assert error.status == answer.status
    assert error.code.encode() in answer.body
    assert error.server_message.encode() in answer.body
    assert error.code in str(error)
    assert error.server_message in str(error)
    assert advice in error.advice


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("100000", 300.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 120.0),
        ("Thu, 01 Jan 1970 10:00:00 GMT", 300.0),
        ("Wed, 31 Dec 1969 23:59:00 GMT", 0.0),
        ("", None),
        ("-7", None),
        ("soon", None),
        ("²", None),
    ],
)
def test_how_long_to_wait_is_said_in_seconds_or_by_a_date(said, seconds):
    answer = rest(503, "SERVER_UNAVAILABLE", "x")

    error = refusal(Answer(503, {**answer.headers, "Retry-After": said}, answer.body), NOW)

    assert error.retry_after == seconds
