"""The history of jobs: as frames, from files, into files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

import bulknb
from bulknb import History
from bulknb.cli import main
from bulknb.errors import InputError, UnexpectedAnswerError
from bulknb.sandbox import ManualClock, Sandbox

SAMPLES = Path(__file__).parent / "data" / "samples"
INGEST, CLASSIC = SAMPLES / "v2/ingest-jobcomplete.json", SAMPLES / "v1/job-closed-documented.xml"
URL = "https://acme.my.salesforce.com"

#: Events as the guide describes them, of one query and of one update.
EVENTS = """\
"EVENT_TYPE","TIMESTAMP_DERIVED","ORGANIZATION_ID","USER_ID","JOB_ID","OPERATION_TYPE","ENTITY_TYPE",\
"JOB_STATUS","RECORDS_PROCESSED","RECORDS_FAILED","RUN_TIME","CPU_TIME","SESSION_KEY"
"BulkApi2","2026-01-05T10:00:00.000Z","00D000000000001","005000000000001","750000000000001","INSERT",\
"Contact","Open","","","12","3","d7DEq/ANa7nNZZVD"
"BulkApi2","2026-01-05T10:00:05.500Z","00D000000000001","005000000000001","750000000000001","INSERT",\
"Contact","UploadComplete","","","9","3","d7DEq/ANa7nNZZVD"
"BulkApi2","2026-01-05T10:02:05.500Z","00D000000000001","005000000000001","750000000000001","INSERT",\
"Contact","InProgress","0","0","9","3","d7DEq/ANa7nNZZVD"
"BulkApi2","2026-01-05T10:09:00.000Z","00D000000000001","005000000000001","750000000000001","INSERT",\
"Contact","JobComplete","5000","12","900","3","d7DEq/ANa7nNZZVD"
"""
BATCHES = """\
EVENT_TYPE,TIMESTAMP,ORGANIZATION_ID,USER_ID,JOB_ID,BATCH_ID,OPERATION_TYPE,ENTITY_TYPE,ROWS_PROCESSED,\
NUMBER_FAILURES,RUN_TIME
BulkApi,20260105100000.000,00D000000000001,005000000000001,750000000000002,751000000000001,update,\
Account,200,1,1500
BulkApi,20260105100100.250,00D000000000001,005000000000001,750000000000002,751000000000002,update,\
Account,100,,500
"""


def text_of(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


def loaded(org: bulknb.Org) -> None:
    org.load(pd.DataFrame({"LastName": ["Hopper", None]}), "Contact", "insert").wait()
    org.create_job("insert", "Account").upload("Name\nAcme\n").close().wait()


@pytest.mark.parametrize(
    ("which", "objects"),
    [
        ({"object": "contact"}, {"Contact"}),
        ({"operation": "INSERT", "state": "jobcomplete"}, {"Contact", "Account"}),
        ({"state": "Open"}, set()),
        ({"last": "1d"}, {"Account"}),
        ({"last": "3d"}, {"Contact", "Account"}),
        ({"org": "127.0.0.1"}, {"Contact", "Account"}),
        ({"org": "acme.my.salesforce.com"}, set()),
    ],
)
def test_the_frame_is_of_the_jobs_that_are_asked_for(sandbox, org, which, objects):
    org.load(pd.DataFrame({"LastName": ["Hopper"]}), "Contact", "insert").wait()
    sandbox.clock.advance(2 * 86_400)
    org.create_job("insert", "Account").upload("Name\nAcme\n").close().wait()

    assert set(org.history.frame(**which)["object"]) == objects
    assert set(org.history.snapshots(**which)["object"]) == objects
    assert set(org.history.states(**which)["object"]) == objects


def test_jobs_of_a_user_are_found_by_id_and_by_name(org):
    loaded(org)
    jobs = org.jobs().frame
    id, name = jobs["created_by_id"].iloc[0], jobs["user"].iloc[0]

    assert len(org.history.frame(user=name)) == len(org.history.frame(user=id)) == len(jobs)
    assert len(History().frame(user=id[:15])) == len(jobs)
    assert org.history.frame(user="Nobody").empty


def test_the_history_of_all_orgs_says_whose_each_job_is(org):
    loaded(org)
    History(URL).add(INGEST)

    found = History().frame()

    assert set(found["org"]) == {org.url, URL}
    assert set(History(URL).frame()["id"]) == set(found.loc[found["org"] == URL, "id"])
    assert len(History().frame(org="acme.my.salesforce.com")) == 1
    assert "org" not in org.history.frame()
    assert set(History().states()["org"]) == {org.url, URL}


def test_an_empty_history_has_the_columns_of_a_full_one_and_makes_no_file(org, ledger):
    assert_frame_equal(org.history.frame(), bulknb.jobs_frame([]))
    assert org.history.states().empty
    assert not ledger.exists()


def test_record_asks_for_a_finished_job_once_in_the_life_of_a_ledger(sandbox, org):
    loaded(org)
    open_job = org.create_job("insert", "Account")
    History(org.url)._ledger.path.unlink()

    def record() -> tuple[pd.DataFrame, list[str]]:
        before = len(sandbox.requests)
        new = sandbox.connect(in_process=True).history.record()
        asked = [path.rpartition("/")[2] for _, path, _ in sandbox.requests[before:]]
        return new, sorted(id for id in asked if id.startswith("750"))

    first, asked = record()
    assert sorted(first["id"]) == asked
    assert len(asked) == 3
    assert first.loc[first["done"], "total_processing_time_ms"].notna().all()

    second, asked = record()
    assert second.empty
    assert asked == [open_job.id]

    open_job.upload("Name\nAcme\n").close().wait()
    third, _ = record()
    assert set(third["id"]) <= {open_job.id}
    assert len(org.history.frame()) == 3


def test_only_an_org_can_be_recorded():
    with pytest.raises(InputError, match=r"org\.history"):
        History().record()


def test_job_infos_are_taken_in_whatever_form_they_are(tmp_path):
    frame = bulknb.jobs_frame([INGEST.read_text(), CLASSIC.read_text()])
    sources = {
        "json": INGEST.read_text(),
        "xml": CLASSIC.read_bytes(),
        "dict": json.loads(INGEST.read_text()),
        "info": bulknb.JobInfo.from_xml(CLASSIC.read_bytes()),
        "paths": [INGEST, str(CLASSIC)],
        "frame": frame,
        "csv": text_of(frame),
        "lines": frame.to_json(orient="records", lines=True, date_format="iso"),
        "array": frame.to_json(orient="records", date_format="iso"),
    }
    frame.to_parquet(tmp_path / "jobs.parquet")
    sources["parquet"] = tmp_path / "jobs.parquet"

    for name, source in sources.items():
        past = History(URL, path=tmp_path / f"{name}.sqlite")

        new = past.add(source)

        expected = frame[frame["id"].isin(new["id"])]
        assert len(new) >= 1, name
        assert_frame_equal(
            past.frame().sort_values("id", ignore_index=True),
            expected.sort_values("id", ignore_index=True),
        )
        assert past.add(source).empty, name
        assert len(past.snapshots()) == len(new), name


@pytest.mark.parametrize(
    "source",
    [
        *("no job", "nofile.json", "a,b\n1,2\n", "state\nOpen\n", "", b"id\n\xff"),
        *("{}", "[1]", "{,}\n{,}", [{"name": 1}], {"state": "Open"}, 7),
        EVENTS.replace("10:02:05", "noon"),
        EVENTS.replace("5000", "many"),
        BATCHES.replace("TIMESTAMP", "WHEN"),
    ],
)
def test_what_is_no_job_is_refused(source, ledger):
    with pytest.raises(InputError):
        History().add(source)
    assert not ledger.exists()


def test_a_field_that_cannot_be_is_named():
    with pytest.raises(UnexpectedAnswerError, match="numberRecordsProcessed"):
        History().add({"id": "750000000000001AAA", "numberRecordsProcessed": "many"})


def test_events_of_a_job_of_2_0_are_its_states(ledger):
    past = History()

    [job] = past.add(EVENTS).to_dict("records")

    assert (job["id"], job["object"], job["operation"], job["job_type"], job["state"]) == (
        *("750000000000001AAA", "Contact", "insert", "V2Ingest", "JobComplete"),
    )
    assert (job["number_records_processed"], job["number_records_failed"]) == (5000, 12)
    assert job["created_by_id"] == "005000000000001AAA"
    assert job["created_date"] == pd.Timestamp("2026-01-05T10:00Z")
    assert job["duration_ms"] == 9 * 60 * 1000
    assert pd.isna(job["apex_processing_time_ms"])
    assert pd.isna(job["total_processing_time_ms"])
    assert job["org"] == "00D000000000001EAA"
    waited = past.states().set_index("state")["duration"]["UploadComplete"]
    assert waited == pd.Timedelta(minutes=2)
    assert b"d7DEq" not in ledger.read_bytes()


def test_events_of_the_batches_of_a_1_0_job_are_added_up():
    [job] = History().add(BATCHES).to_dict("records")

    assert (job["job_type"], job["operation"], job["object"]) == ("Classic", "update", "Account")
    assert (job["number_records_processed"], job["number_records_failed"]) == (300, 1)
    assert job["total_processing_time_ms"] == 2000
    assert pd.isna(job["state"])
    assert pd.isna(job["created_date"])


def test_events_and_records_of_a_job_are_one_job():
    past = History("00D000000000001")
    past.add(EVENTS)
    past.add(
        {
            "id": "750000000000001AAA",
            "state": "JobComplete",
            "apexProcessingTime": 5,
            "createdDate": "2026-01-05T10:00:00Z",
            "systemModstamp": "2026-01-05T10:09:00Z",
            "jobType": "V2Ingest",
        }
    )

    [job] = past.frame().to_dict("records")

    assert (job["apex_processing_time_ms"], job["number_records_processed"]) == (5, 5000)


def test_events_of_another_org_are_refused_and_so_are_other_events():
    with pytest.raises(InputError, match="00D000000000001EAA"):
        History("00D000000000002").add(EVENTS)
    with pytest.raises(InputError, match="login"):
        History().add(EVENTS.replace("BulkApi2", "Login"))
    assert History().frame().empty


def test_what_is_exported_is_all_there_where_it_is_imported(org, tmp_path):
    loaded(org)
    org.create_job("query", query="SELECT Id FROM Account").wait()
    History(URL).add([INGEST, CLASSIC])
    here, there = History(), History(path=tmp_path / "other.sqlite")

    path = here.export(tmp_path / "jobs.parquet")
    new = there.add(path)

    assert set(new["id"]) == set(here.frame()["id"])
    for read in ("frame", "snapshots", "states"):
        by = ["org", "id", *({"snapshots": ["seen"], "states": ["began"]}.get(read, []))]
        mine, theirs = (
            getattr(past, read)().sort_values(by, kind="stable", ignore_index=True)
            for past in (here, there)
        )
        assert_frame_equal(mine, theirs)
    assert there.add(path).empty
    assert len(pd.read_parquet(path)) == len(here.frame())


def test_an_export_is_of_the_jobs_that_are_asked_for(org, tmp_path):
    loaded(org)
    there = History(path=tmp_path / "other.sqlite")

    there.add(str(org.history.export(tmp_path / "jobs.parquet", object="Account")))

    assert set(there.frame()["object"]) == {"Account"}


def test_another_parquet_file_is_refused(tmp_path):
    pd.DataFrame({"snapshots": [1]}).to_parquet(tmp_path / "other.parquet")

    with pytest.raises(InputError, match=r"other\.parquet"):
        History().add(tmp_path / "other.parquet")


def test_a_check_tells_the_time_to_expect_from_the_past_of_such_loads(sandbox, org):
    frame = pd.DataFrame({"LastName": ["Hopper", "Lovelace"]})
    assert org.check(frame, "Contact", "insert").seconds is None

    org.load(frame, "Contact", "insert").wait()
    sandbox.clock.advance(30 * 86_400)  # by now Salesforce has forgotten it

    assert org.check(frame, "contact", "insert").seconds > 0
    assert org.check(frame, "Contact", "update").seconds is None


def run(*words: str):
    return CliRunner().invoke(main, ["history", *words])


@pytest.fixture
def served(monkeypatch):
    with Sandbox(clock=ManualClock()) as sandbox:
        sandbox.start()
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)
        yield sandbox


def test_the_commands_record_show_export_and_import(served, tmp_path, monkeypatch):
    job = served.connect().create_job("insert", "Account").upload("Name\nAcme\n").close().wait()
    monkeypatch.setenv("BULKNB_LEDGER", str(tmp_path / "cron.sqlite"))
    assert run("show").output.startswith("No such job was seen")

    assert run("record").output == "1 job new or changed\n"
    assert run("record", "--last", "1d").output == "0 jobs new or changed\n"
    [line] = run("show", "--object", "account", "--json").output.splitlines()
    assert json.loads(line)["id"] == job.id
    assert job.id in run("show").output
    assert run("show", "--state", "Failed").output.startswith("No such job")

    file = str(tmp_path / "jobs.parquet")
    assert run("export", file).output == f"Written: {file}\n"
    monkeypatch.setenv("BULKNB_LEDGER", str(tmp_path / "other.sqlite"))
    assert run("import", file).output == "1 job new or changed\n"
    assert run("import", file).output == "0 jobs new or changed\n"


def test_a_command_that_goes_wrong_says_why(tmp_path):
    (tmp_path / "text.txt").write_text("no job")

    for words in (["import", str(tmp_path / "text.txt")], ["show", "--last", "soon"]):
        done = run(*words)
        assert done.exit_code == 1
        assert done.output.startswith("Error: ")


def test_what_was_seen_of_jobs_explains_a_load_a_job_and_jobs(org):
    rows = pd.DataFrame({"LastName": ["Hopper"] * 20})
    loads = [org.load(rows, "Contact", "insert").wait() for _ in range(4)]

    last = loads[-1]
    for said in (last, last.jobs[0], org.jobs()[:1]):
        found = {finding.kind: finding for finding in said.explain()}
        assert found["past"].numbers["jobs"] == 3
        assert found["queue"].numbers["jobs"] == 1
    assert "past" not in {finding.kind for finding in last.explain(past=[])}


def test_the_trend_of_a_kind_of_job_is_found_and_drawn(org):
    rows = pd.DataFrame({"LastName": ["Hopper"] * 20})
    for _ in range(3):
        org.load(rows, "Contact", "insert").wait()

    found = org.history.trend("Contact", "insert")

    assert len(found.frame) == len(found.history) == 3
    assert "insert Contact" in str(found)
    ax = found.plot(ax=Figure().subplots())
    assert "insert Contact" in ax.get_legend().get_title().get_text()
