"""What simple-salesforce does to a sandbox; each function is one check."""

import tempfile
from pathlib import Path

import _common
from simple_salesforce.bulk2 import ColumnDelimiter, LineEnding
from simple_salesforce.exceptions import SalesforceError


def bulk1(sf, operation, rows, **options):
    return getattr(sf.bulk.Account, operation)(rows, **options)


def bulk1_query(sf, operation, soql):
    return getattr(sf.bulk.Account, operation)(soql, wait=1)


def bulk1_two_batches(sf, rows):
    return sf.bulk.Account.insert(rows, batch_size=2, use_serial=True)


def bulk1_details(sf, rows):
    return sf.bulk.Account.insert(rows, include_detailed_results=True)


def bulk2(sf, operation, records, **options):
    (job,) = getattr(sf.bulk2.Account, operation)(records=records, wait=0.2, **options)
    return job | {
        kind: getattr(sf.bulk2.Account, f"get_{kind}_records")(job["job_id"])
        for kind in ("successful", "failed", "unprocessed")
    }


def bulk2_jobs(sf, records):
    return sf.bulk2.Account.insert(records=records, batch_size=2, concurrency=2, wait=0.2)


def bulk2_pipes(sf, csv):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.csv"
        path.write_bytes(csv.encode())
        return sf.bulk2.Account.insert(
            str(path),
            wait=0.2,
            column_delimiter=ColumnDelimiter.PIPE,
            line_ending=LineEnding.CRLF,
        )


def bulk2_query(sf, operation, soql, max_records):
    query = getattr(sf.bulk2.Account, operation)
    return list(query(soql, max_records=max_records, wait=0.2))


def bulk2_download(sf, soql, max_records):
    with tempfile.TemporaryDirectory() as folder:
        found = sf.bulk2.Account.download(soql, folder, max_records=max_records, wait=0.2)
        return [
            {"count": part["number_of_records"], "text": Path(part["file"]).read_text("utf-8")}
            for part in found
        ]


def crud(sf, name):
    created = sf.Account.create({"Name": name, "NumberOfEmployees": 3})
    key = created["id"]
    read = sf.Account.get(key)
    updated = sf.Account.update(key, {"NumberOfEmployees": 4, "Industry": None})
    again = sf.Account.get(key)
    deleted = sf.Account.delete(key)
    return {
        "created": created,
        "read": read,
        "updated": updated,
        "again": again,
        "deleted": deleted,
        "after": _error(lambda: sf.Account.get(key)),
    }


def external_id(sf, key, name):
    path = f"ExternalId__c/{key}"
    return {
        "statuses": [
            sf.Account.upsert(path, {"Name": name}),
            sf.Account.upsert(path, {"Name": name, "Industry": "Energy"}),
        ],
        "found": sf.Account.get_by_custom_id("ExternalId__c", key),
    }


def refused(sf):
    return {
        "row": _error(lambda: sf.Account.create({"Industry": "Energy"})),
        "column": _error(lambda: sf.Account.create({"Name": "A", "Nothing__c": 1})),
        "object": _error(lambda: sf.Nothing__c.describe()),
        "soql": _error(lambda: sf.query("SELECT Nothing__c FROM Account")),
    }


def expired(sf):
    sf.headers["Authorization"] = "Bearer gone"
    return _error(lambda: sf.limits())


def _error(call):
    try:
        call()
    except SalesforceError as error:
        return {"kind": type(error).__name__, "status": error.status, "content": error.content}
    return None


def describe(sf):
    found = sf.Account.describe()
    return {
        "objects": [kind["name"] for kind in sf.describe()["sobjects"]],
        "fields": {field["name"]: field["type"] for field in found["fields"]},
        "about": sf.Account.metadata()["objectDescribe"]["name"],
    }


def query(sf, soql):
    return {"first": sf.query(soql), "all": len(sf.query_all(soql)["records"])}


def limits(sf):
    found = sf.limits()
    return {"limits": found["DailyApiRequests"], "usage": sf.api_usage["api-usage"]._asdict()}


def user(sf):
    return sf.oauth2("userinfo")


_common.main(globals())
