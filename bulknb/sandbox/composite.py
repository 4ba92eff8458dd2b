"""Up to 200 records in one REST request: create, read, update, upsert, delete.

Source: "Using sObject Collections" (REST API Developer Guide).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from bulknb.sandbox import ids
from bulknb.sandbox.records import as_json, fields_of, key_field, kind_of, save
from bulknb.sandbox.rows import RowError
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.store import Outcome
from bulknb.sandbox.web import ApiError, json_answer, json_body, org

blueprint = Blueprint(
    "composite", __name__, url_prefix="/services/data/v<version:version>/composite/sobjects"
)

MAX_RECORDS = 200
_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone"
    " header",
)


class _NotAllError(Exception):
    """A record was refused where all or none were to be saved."""


@blueprint.post("")
def create(version: str) -> Response:
    """Create records, of several objects if they like."""
    return _save_all(lambda kind, fields: save(kind, "insert", "Id", fields))


@blueprint.patch("")
def update(version: str) -> Response:
    """Change records, each named by its Id."""
    return _save_all(lambda kind, fields: save(kind, "update", "Id", fields))


@blueprint.patch("/<name>/<field>")
def upsert(version: str, name: str, field: str) -> Response:
    """Change or create records of one object, each named by an external id."""
    key = key_field(kind_of(name), field).name
    return _save_all(lambda kind, fields: save(kind, "upsert", key, fields), tells_created=True)


@blueprint.delete("")
def delete(version: str) -> Response:
    """Put records into the recycle bin."""
    keys = request.args.get("ids", "").split(",")
    all_or_none = request.args.get("allOrNone", "").lower() == "true"
    return _answer(len(keys), map(_delete, keys), all_or_none=all_or_none)


def _delete(key: str) -> Outcome:
    kind = next((kind for kind in org().objects.values() if kind.key_prefix == key[:3]), None)
    if kind is None:
        return Outcome("", False, str(RowError("MALFORMED_ID", f"bad id {key}")))
    return save(kind, "delete", "Id", {"Id": key})


@blueprint.post("/<name>")
def read(version: str, name: str) -> Response:
    """Return records by their Ids; null stands for those that are not there."""
    sent = json_body()
    return _read(version, name, _texts(sent.get("ids")), _texts(sent.get("fields")))


@blueprint.get("/<name>")
def read_by_url(version: str, name: str) -> Response:
    """Return records by their Ids, with Ids and fields in the URL."""
    return _read(
        version, name, *(request.args.get(part, "").split(",") for part in ("ids", "fields"))
    )


def _read(version: str, name: str, keys: list[str], names: list[str]) -> Response:
    kind = kind_of(name)
    fields = fields_of(kind, names)
    wanted = [ids.normal(key) for key in keys]
    found = {
        record["Id"]: as_json(kind, record, fields, version)
        for record in org().store.find(kind, "Id", wanted)
        if not record["IsDeleted"]
    }
    return json_answer([found.get(str(key)) for key in wanted])


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ApiError(400, "JSON_PARSER_ERROR", "ids and fields have to be lists of texts")
    return value


def _save_all(
    saves: Callable[[ObjectType, Mapping[str, Any]], Outcome], *, tells_created: bool = False
) -> Response:
    """Save the records of the request's body, each in its turn."""
    sent = json_body()
    records = sent.get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records has to be a list of objects")
    return _answer(
        len(records),
        (_save_one(saves, record) for record in records),
        all_or_none=sent.get("allOrNone") is True,
        tells_created=tells_created,
    )


def _save_one(
    saves: Callable[[ObjectType, Mapping[str, Any]], Outcome], record: Mapping[str, Any]
) -> Outcome:
    about = record.get("attributes")
    name = about.get("type") if isinstance(about, dict) else None
    try:
        # Clients write the Id in small letters here.
        return saves(kind_of(name), {"Id" if k == "id" else k: v for k, v in record.items()})
    except ApiError as error:
        return Outcome("", False, str(RowError(error.code, error.message)))


def _answer(
    count: int, saving: Iterable[Outcome], *, all_or_none: bool, tells_created: bool = False
) -> Response:
    """Save records, which taking the next outcome does, and answer with what became of them."""
    if count > MAX_RECORDS:
        message = f"record list exceeds the maximum of {MAX_RECORDS}"
        raise ApiError(400, "EXCEEDED_ID_LIMIT", message)
    outcomes: list[Outcome] = []
    try:
        with org().store.transaction():
            outcomes += saving
            if all_or_none and any(outcome.error for outcome in outcomes):
                raise _NotAllError
    except _NotAllError:
        undone = Outcome("", False, str(_ROLLED_BACK))
        outcomes = [outcome if outcome.error else undone for outcome in outcomes]
    return json_answer([_result(outcome, tells_created) for outcome in outcomes])


def _result(outcome: Outcome, tells_created: bool) -> dict[str, Any]:
    if outcome.error:
        error = RowError.parse(outcome.error)
        told = {"statusCode": error.code, "message": error.message, "fields": list(error.fields)}
        return {"success": False, "errors": [told]}
    created = {"created": outcome.created} if tells_created else {}
    return {"id": outcome.id, "success": True, "errors": [], **created}
