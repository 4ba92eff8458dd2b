"""Single records over REST: create, read, update, upsert by external id, delete.

Sources: "sObject Basic Information", "sObject Rows" and "sObject Rows by External ID" (REST API
Developer Guide).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from bulknb.sandbox import content, describe, ids, values
from bulknb.sandbox.plan import BatchError, Plan
from bulknb.sandbox.rows import RowError, Transaction
from bulknb.sandbox.schema import Field, ObjectType, Record
from bulknb.sandbox.store import Outcome
from bulknb.sandbox.web import ApiError, json_answer, json_body, no_resource, org

blueprint = Blueprint(
    "records", __name__, url_prefix="/services/data/v<version:version>/sobjects/<name>"
)

_UPSERT_HAS_BODY = 46.0


@blueprint.get("")
def about(version: str, name: str) -> Response:
    """Say what an object is, in short."""
    return json_answer(
        {"objectDescribe": describe.summary(kind_of(name), version), "recentItems": []}
    )


@blueprint.get("/describe")
def in_full(version: str, name: str) -> Response:
    """Describe an object with all its fields."""
    return json_answer(describe.describe(kind_of(name), version, org().objects.values()))


@blueprint.post("")
def create(version: str, name: str) -> Response:
    """Create a record."""
    outcome = _save(kind_of(name), "insert", "Id", json_body())
    return json_answer({"id": outcome.id, "success": True, "errors": []}, 201)


@blueprint.get("/<key>")
def read(version: str, name: str, key: str) -> Response:
    """Return a record: all its fields, or those asked for."""
    kind = kind_of(name)
    return _record_answer(kind, _by_id(kind, key), version)


@blueprint.patch("/<key>")
def update(version: str, name: str, key: str) -> Response:
    """Change some fields of a record."""
    kind = kind_of(name)
    return _update(kind, _by_id(kind, key), json_body())


@blueprint.delete("/<key>")
def delete(version: str, name: str, key: str) -> Response:
    """Put a record into the recycle bin."""
    kind = kind_of(name)
    return _delete(kind, _by_id(kind, key))


@blueprint.get("/<field>/<value>")
def read_by_field(version: str, name: str, field: str, value: str) -> Response:
    """Return the record that an external id names."""
    kind = kind_of(name)
    return _record_answer(kind, _by_field(kind, key_field(kind, field), value), version)


@blueprint.patch("/<field>/<value>")
def upsert(version: str, name: str, field: str, value: str) -> Response:
    """Change the record that an external id names, or create it."""
    kind = kind_of(name)
    key = key_field(kind, field)
    sent = json_body()
    if any(name.lower() == key.name.lower() for name in sent):
        message = f"The {key.name} field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message)
    if key.type == "id":
        return _update(kind, _by_id(kind, value), sent)
    outcome = _save(kind, "upsert", key.name, {key.name: value, **sent})
    if not outcome.created and float(version) < _UPSERT_HAS_BODY:
        return Response(status=204)
    answer = {"id": outcome.id, "success": True, "errors": [], "created": outcome.created}
    return json_answer(answer, 201 if outcome.created else 200)


@blueprint.delete("/<field>/<value>")
def delete_by_field(version: str, name: str, field: str, value: str) -> Response:
    """Put the record that an external id names into the recycle bin."""
    kind = kind_of(name)
    return _delete(kind, _by_field(kind, key_field(kind, field), value))


def kind_of(name: object) -> ObjectType:
    """Return the object of that name."""
    kind = org().kind(name)
    if kind is None:
        raise no_resource()
    return kind


def key_field(kind: ObjectType, name: str) -> Field:
    """Return the field of that name, by which records can be found."""
    field = kind.field(name)
    if field is None or not field.indexed:
        message = f"Provided external ID field does not exist or is not accessible: {name}"
        raise ApiError(404, "NOT_FOUND", message, bulk=True)
    return field


def _by_id(kind: ObjectType, key: str) -> Record:
    """Return the record of that id, of 15 or 18 characters."""
    found = org().store.find(kind, "Id", [ids.normal(key)])
    if not found:
        raise no_resource()
    if found[0]["IsDeleted"]:
        raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted", bulk=True)
    return found[0]


def _by_field(kind: ObjectType, field: Field, value: str) -> Record:
    if field.type == "id":
        return _by_id(kind, value)
    try:
        wanted = [values.reader(field)(value)]
    except (ValueError, values.RefusedError):
        wanted = []  # what the field cannot hold, no record has
    found = [r for r in org().store.find(kind, field.name, wanted) if not r["IsDeleted"]]
    if not found:
        raise no_resource()
    if len(found) > 1:
        # An org lists the paths of the candidates, with status 300; the list alone is ours.
        message = f"more than one record found for external id field: {field.name}"
        raise ApiError(300, "DUPLICATE_EXTERNAL_ID", message)
    return found[0]


def _record_answer(kind: ObjectType, record: Record, version: str) -> Response:
    names = request.args.get("fields")
    fields = kind.all_fields if names is None else fields_of(kind, names.split(","))
    return json_answer(as_json(kind, record, fields, version))


def as_json(
    kind: ObjectType, record: Record, fields: Iterable[Field], version: str
) -> dict[str, Any]:
    """Return a record as REST shows it."""
    path = f"/services/data/v{version}/sobjects/{kind.name}/{record['Id']}"
    shown = {field.name: values.to_json(field)(record[field.name]) for field in fields}
    return {"attributes": {"type": kind.name, "url": path}, **shown}


def fields_of(kind: ObjectType, names: Iterable[str]) -> list[Field]:
    """Return the fields of these names; the Id comes in any case."""
    fields = []
    for name in names:
        field = kind.field(name.strip())
        if field is None:
            raise _no_field(name, kind)
        fields.append(field)
    return list(dict.fromkeys([*fields, kind.all_fields[0]]))


def _update(kind: ObjectType, record: Record, sent: Mapping[str, Any]) -> Response:
    if any(name.lower() == "id" for name in sent):
        message = "The Id field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message)
    _save(kind, "update", "Id", {"Id": record["Id"], **sent})
    return Response(status=204)


def _delete(kind: ObjectType, record: Record) -> Response:
    _save(kind, "delete", "Id", {"Id": record["Id"]})
    return Response(status=204)


def _save(kind: ObjectType, operation: str, key: str, sent: Mapping[str, Any]) -> Outcome:
    """Save one record, and return what became of it."""
    outcome = save(kind, operation, key, sent)
    if outcome.error:
        error = RowError.parse(outcome.error)
        raise ApiError(400, error.code, error.message, fields=error.fields)
    return outcome


def save(kind: ObjectType, operation: str, key: str, sent: Mapping[str, Any]) -> Outcome:
    """Save one record as the row of a batch is saved, refused or not.

    Raises
    ------
    ApiError
        If the object has no such field, or a value is none that a record can hold.
    """
    # In REST an empty text clears a field, which in a batch is said in another way.
    row = {name: None if value == "" else value for name, value in sent.items()}
    try:
        columns, rows = content.read_json(json.dumps([row]))
        plan = Plan.read(org().objects, kind, operation, key, columns)
    except content.ContentError as error:
        raise ApiError(400, "JSON_PARSER_ERROR", str(error)) from None
    except BatchError as error:
        raise _no_field(str(error).rpartition(" : ")[2], kind) from None
    with org().store.transaction():
        (outcome,) = Transaction(
            org().store, org().objects, plan, at=org().clock.time(), user=org().user_id
        ).run(rows)
    return outcome


def _no_field(name: str, kind: ObjectType) -> ApiError:
    message = f"No such column '{name}' on sobject of type {kind.name}"
    return ApiError(400, "INVALID_FIELD", message)
