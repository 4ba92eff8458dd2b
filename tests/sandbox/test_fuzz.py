"""Whatever is sent wherever: never a 500, never a traceback, always the dialect's own error."""

import gzip
import json
import re
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from bulknb.sandbox import ManualClock, Sandbox
from bulknb.sandbox.app import _flask

RULES = {rule.rule: set(rule.methods or ()) for rule in _flask().url_map.iter_rules()}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
VERSIONS = ("62.0", "47.0", "30.0", "99.9", "6.0", "x")
KNOWN = ("ingest", "query", "insert", "classic query", "batch")
TYPES = (
    "application/json",
    "application/xml",
    "text/csv",
    "zip/csv",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/json; charset=nonsense",
    "",
)
WORDS = (
    "operation object state contentType externalIdFieldName columnDelimiter lineEnding query"
    " concurrencyMode assignmentRuleId insert upsert update delete hardDelete queryAll Account"
    " Contact Id Name ExternalId__c CSV XML JSON COMMA PIPE LF CRLF Open Closed UploadComplete"
    " Aborted grant_type client_credentials sObjects sObject #N/A"
).split()
SOQL = (
    "SELECT Id, Account.Name FROM Contact WHERE LastName LIKE '%a' ORDER BY Id LIMIT 3",
    "SELECT COUNT() FROM Account",
    "SELECT Id FROM Account WHERE Name = '\\",
    "SELECT Id FROM Account WHERE " + "(" * 400,
)

anything = st.text(max_size=12) | st.sampled_from([*WORDS, *SOQL])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=8,
)
wanted = st.fixed_dictionaries(
    {},
    optional={
        "operation": st.sampled_from(["insert", "upsert", "query", "delete"]) | values,
        "object": st.sampled_from(["Account", "Contact"]) | values,
        "externalIdFieldName": st.just("ExternalId__c") | values,
        "query": st.sampled_from(SOQL) | values,
        "state": st.sampled_from(["UploadComplete", "Aborted", "Closed"]) | values,
        "contentType": st.sampled_from(["CSV", "JSON", "XML", "ZIP_CSV"]) | values,
    },
)


def as_xml(fields):
    return "<jobInfo>" + "".join(f"<{k}>{v}</{k}>" for k, v in fields.items()) + "</jobInfo>"


cells = st.lists(st.lists(anything, max_size=4).map(",".join), max_size=5).map("\n".join)
records = st.lists(st.dictionaries(anything, values, max_size=3), max_size=3).map(json.dumps)
bodies = st.binary(max_size=40) | st.one_of(
    wanted.map(json.dumps),
    wanted.map(as_xml),
    values.map(json.dumps),
    records,
    cells,
    cells.map("Name,ExternalId__c\n".__add__),
    anything,
    st.just("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
    st.just("[" * 5000),
    st.just("<a>" * 5000),
).map(lambda text: text.encode("utf-8", "surrogatepass"))
encodings = st.sampled_from(["identity", "gzip", "GZIP", "br", "gzip, gzip", ""])
headers = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(TYPES)},
    optional={
        "Content-Encoding": encodings,
        "Accept-Encoding": encodings,
        "Accept": st.sampled_from(TYPES),
        "X-PrettyPrint": st.sampled_from(["1", "2", ""]),
        "Sforce-Enable-PKChunking": st.sampled_from(["true", "chunkSize=x", "chunkSize=0; a", ""]),
        "Sforce-Call-Options": st.sampled_from(["client=x", "="]),
    },
)
# Most requests get in.
doors = st.sampled_from(
    [
        *[{}] * 40,
        *({"Authorization": text, "X-SFDC-Session": text} for text in ("", "Bearer", "B \xe9")),
        *({"Origin": text} for text in ("http://127.0.0.1", "null", "http://other")),
        {"Host": "example.com"},
    ]
)
names = (
    "q locator maxRecords queryLocator jobType isPkChunkingEnabled format concurrencyMode"
).split()
queries = st.lists(
    st.tuples(
        st.sampled_from(names),
        st.text(max_size=8)
        | st.sampled_from([*SOQL, "-1", "0", "9" * 30, "\x00", "MQ", "true", "V2Ingest"]),
    ),
    max_size=2,
)
# None stands for the id or name that belongs there.
keys = st.sampled_from([*[None] * 12, *KNOWN, "750xx0000000099AAA", "0", "\x00"]) | st.text(
    max_size=6
)
requests = st.tuples(
    st.lists(keys, min_size=3, max_size=3),
    st.sampled_from([*["62.0"] * 12, *VERSIONS]),
    queries,
    st.builds(dict.__or__, headers, doors),
    bodies,
    st.booleans(),
)


class Org:
    """A new sandbox with a job of each kind."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.client = Client(sandbox.app)
        self.known = {}
        ingest = {"object": "Account", "operation": "insert"}
        query = {"operation": "query", "query": "SELECT Id FROM User"}
        for name, path, wanted in [
            ("ingest", "data/v62.0/jobs/ingest", ingest),
            ("query", "data/v62.0/jobs/query", query),
            ("insert", "async/62.0/job", ingest | {"contentType": "CSV"}),
            ("classic query", "async/62.0/job", {"object": "User", "operation": "query"}),
        ]:
            self.known[name] = self.send("POST", f"/services/{path}", json=wanted).json["id"]
        batch = f"/services/async/62.0/job/{self.known['insert']}/batch"
        answer = self.send("POST", batch, data="Name\nA\n", headers={"Content-Type": "text/csv"})
        self.known["batch"] = re.search(r"<id>(\w+)</id>", answer.text)[1]

    def send(self, method, path, **options):
        secrets = {
            "Host": "127.0.0.1",
            "Authorization": f"Bearer {self.sandbox.token}",
            "X-SFDC-Session": self.sandbox.token,
        }
        options["headers"] = secrets | options.get("headers", {})
        answer = self.client.open(path, method=method, **options)
        if answer.headers.get("Content-Encoding") == "gzip":
            answer.set_data(gzip.decompress(answer.get_data()))
        return answer

    def fuzz(self, method, rule, parts, version, query, headers, body, packed):
        left = iter(parts)

        def fill(found):
            if "version" in found[0]:
                return version
            part = next(left)
            part = self.fitting(rule, found[0]) if part is None else self.known.get(part, part)
            return quote(part.encode("utf-8", "surrogatepass"), safe="")

        path = re.sub(r"<[^>]+>", fill, rule)
        text = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in query)
        data = gzip.compress(body) if packed else body
        return self.send(method, path, query_string=text, headers=headers, data=data)

    def fitting(self, rule, variable):
        if variable == "<batch>":
            return self.known["batch"]
        if variable != "<key>":
            return "Account"
        return self.known["insert" if "async" in rule else "query" if "query" in rule else "ingest"]


def check_error(path, answer):
    """Assert that an answer has the form that errors have there."""
    if path.startswith("/services/async"):
        if "json" in answer.content_type:
            assert answer.json.keys() == {"exceptionCode", "exceptionMessage"}
        else:
            root = ElementTree.fromstring(answer.text)
            tags = [child.tag.rpartition("}")[2] for child in root]
            assert tags == ["exceptionCode", "exceptionMessage"]
    elif path.startswith("/services/data"):
        [error] = answer.json
        assert {"errorCode", "message"} <= error.keys()


@pytest.mark.parametrize("rule", RULES)
def test_no_request_whatsoever_makes_the_sandbox_fail(rule):
    methods = st.sampled_from([*METHODS, *sorted(RULES[rule] - {"HEAD", "OPTIONS"}) * 12])

    @settings(max_examples=15, derandomize=True, database=None, deadline=None)
    @given(st.lists(st.tuples(methods, requests), min_size=1, max_size=3))
    def check(sent):
        with Sandbox(clock=ManualClock()) as sandbox:
            org = Org(sandbox)
            for method, request in sent:
                answer = org.fuzz(method, rule, *request)
                assert answer.status_code < 500, answer.text
                assert "Traceback" not in answer.text
                if answer.status_code >= 400 and method != "HEAD":
                    check_error(answer.request.path, answer)
                sandbox.clock.advance(60)

    check()


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(bodies, st.sampled_from(["CSV", "JSON", "XML"]))
def test_no_data_whatsoever_keep_a_job_from_its_end(data, content_type):
    with Sandbox(clock=ManualClock()) as sandbox:
        org = Org(sandbox)
        path = f"/services/data/v62.0/jobs/ingest/{org.known['ingest']}"
        taken = org.send("PUT", f"{path}/batches", data=data).status_code
        org.send("PATCH", path, json={"state": "UploadComplete"})
        wanted = {"object": "Account", "operation": "insert", "contentType": content_type}
        classic = org.send("POST", "/services/async/62.0/job", json=wanted).json["id"]
        batch = f"/services/async/62.0/job/{classic}/batch"
        headers = {"Content-Type": "application/json"}
        accepted = org.send("POST", batch, data=data, headers=headers).status_code
        sandbox.clock.advance(600)

        job = org.send("GET", path).json
        batches = org.send("GET", f"/services/async/62.0/job/{classic}", headers=headers).json
        assert taken in (201, 400)
        assert job["state"] in {"JobComplete", "Failed"}
        assert accepted in (201, 400)
        ended = batches["numberBatchesCompleted"] + batches["numberBatchesFailed"]
        assert ended == batches["numberBatchesTotal"] == (accepted == 201)


def test_the_fuzz_knows_all_routes():
    paths = [rule for rule in RULES if rule.startswith("/services/")]
    assert {path.split("/")[2] for path in paths} == {"async", "data", "oauth2"}
