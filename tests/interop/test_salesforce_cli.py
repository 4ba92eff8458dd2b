"""The Salesforce CLI `sf`: sign-in, bulk import, update, upsert, delete and export, records."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import BIN, SF_BIN, run

from bulknb.sandbox import Sandbox, clients

pytestmark = pytest.mark.interop_big

Sf = Callable[..., Any]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sf")


@pytest.fixture(scope="session")
def sf(sandbox: Sandbox, folder: Path) -> Sf:
    """Run a command of the CLI in a folder of its own, and return its result."""
    if not SF_BIN.exists():
        pytest.fail("the Salesforce CLI is not installed: make interop-big")
    environment = {
        "HOME": str(folder),
        "PATH": os.pathsep.join([str(SF_BIN), str(BIN), os.environ["PATH"]]),
        "SF_AUTOUPDATE_DISABLE": "true",
        "SF_DISABLE_TELEMETRY": "true",
        "SF_TARGET_ORG": "sandbox",
        "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
    }

    def call(*words: str, file: str = "", status: int = 0, **flags: str) -> Any:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        if file:
            (folder / "rows.csv").write_text(file, encoding="utf-8")
            options.append("--file=rows.csv")
        command = [SF_BIN / "sf", *words, *options, "--json"]
        found = json.loads(run(*command, environment=environment, folder=folder, status=status))
        return found.get("result", found)

    lines = clients.lines("sf", sandbox.url, sandbox.token)
    run("bash", "-c", lines, environment=environment, folder=folder)
    return call


def bulk(sf: Sf, operation: str, file: str, *, status: int = 0, **flags: str) -> Any:
    return sf(
        "data", operation, "bulk", file=file, sobject="Account", wait="5", status=status, **flags
    )


def test_it_signs_in_and_shows_the_org(sf, sandbox):
    found = sf("org", "display")
    assert found["connectedStatus"] == "Connected"
    assert found["id"] == sandbox.records("Organization")[0]["Id"]


def test_it_imports_a_file(sf, names):
    found = bulk(sf, "import", "Name,Industry\nc1 a,Energy\nc1 b,Energy\n")
    assert (found["processedRecords"], found["successfulRecords"]) == (2, 2)
    assert len(names("c1 ")) == 2


def test_it_fetches_the_results_of_a_job_with_failures(sf, names, folder):
    error = bulk(sf, "import", "Name,Industry\nc2,Energy\n,Energy\n", status=1)
    found = sf("data", "bulk", "results", job_id=error["data"]["jobId"])
    assert (found["successfulRecords"], found["failedRecords"]) == (1, 1)
    (good,) = read(folder / found["successFilePath"])
    (bad,) = read(folder / found["failedFilePath"])
    assert good["sf__Id"] == names("c2")["c2"]["Id"]
    assert bad["sf__Error"].startswith("REQUIRED_FIELD_MISSING")


def test_it_upserts_updates_and_deletes(sf, names):
    file = "Name,ExternalId__c\nc3 a,c3a\nc3 b,c3b\n"
    bulk(sf, "upsert", file, external_id="ExternalId__c")
    found = bulk(sf, "upsert", file.replace("c3 ", "c3! "), external_id="ExternalId__c")
    assert found["jobInfo"]["numberRecordsProcessed"] == 2
    ids = [record["Id"] for record in names("c3! ").values()]
    rows = "".join(f"{key},Banking\n" for key in ids)
    found = bulk(sf, "update", f"Id,Industry\n{rows}")
    assert (found["successfulRecords"], found["failedRecords"]) == (2, 0)
    assert {record["Industry"] for record in names("c3! ").values()} == {"Banking"}
    bulk(sf, "delete", "\n".join(["Id", *ids, ""]))
    assert not names("c3! ")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_it_exports_a_query(sf, form, folder):
    bulk(sf, "import", f"Name\nc4 {form} a\nc4 {form} ü\n")
    soql = f"SELECT Name FROM Account WHERE Name LIKE 'c4 {form}%' ORDER BY Name"
    name = f"out.{form}"
    found = sf("data", "export", "bulk", query=soql, result_format=form, output_file=name, wait="5")
    assert found["totalSize"] == 2
    path = folder / name
    rows = json.loads(path.read_text("utf-8")) if form == "json" else read(path)
    assert [row["Name"] for row in rows] == [f"c4 {form} a", f"c4 {form} ü"]


def test_it_resumes_an_import_that_it_did_not_wait_for(sf, names):
    begun = sf("data", "import", "bulk", file="Name\nc6 a\nc6 b\n", sobject="Account")
    found = sf("data", "import", "resume", job_id=begun["jobId"], wait="5")
    assert (found["processedRecords"], found["successfulRecords"]) == (2, 2)
    assert len(names("c6 ")) == 2


def test_it_resumes_an_export_that_it_did_not_wait_for(sf, folder):
    soql = "SELECT Username FROM User"
    begun = sf("data", "export", "bulk", query=soql, output_file="late.csv")
    found = sf("data", "export", "resume", job_id=begun["jobId"])
    assert found["totalSize"] == len(read(folder / "late.csv")) == 1


def test_it_queries(sf):
    found = sf("data", "query", query="SELECT Username, Owner.Name FROM User")
    assert [row["Owner"]["Name"] for row in found["records"]] == ["Integration User"]


def test_it_works_on_a_single_record(sf, names):
    made = sf("data", "create", "record", sobject="Account", values="Name=c5")
    sf("data", "update", "record", sobject="Account", where="Name=c5", values="Industry=Energy")
    found = sf("data", "get", "record", sobject="Account", where="Name=c5")
    assert (found["Id"], found["Industry"]) == (made["id"], "Energy")
    sf("data", "delete", "record", sobject="Account", where="Name=c5")
    assert not names("c5")


def test_it_lists_objects_fields_and_limits(sf):
    assert "Account" in sf("sobject", "list")
    fields = sf("sobject", "describe", sobject="Account")["fields"]
    assert {"Id", "Name", "ExternalId__c"} <= {field["name"] for field in fields}
    limits = {limit["name"]: limit for limit in sf("org", "list", "limits")}
    assert 0 < limits["DailyApiRequests"]["remaining"] < limits["DailyApiRequests"]["max"]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
