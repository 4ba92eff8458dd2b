"""The report: one file that says what became of a load, proves it, and gives nothing away."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from months import month
from nbclient import NotebookClient

import bulknb
from bulknb import Load, report
from bulknb.cli import main
from bulknb.errors import InputError, StillRunningError
from bulknb.report._masks import message, shape
from bulknb.sandbox import ManualClock, Sandbox

#: What a report has outside itself: nothing.
OUTSIDE = re.compile(
    r"<script|\bon\w+=|(?:src|href)=\"(?!#)|url\((?!#)|@import|<(?:link|iframe|img)"
)
NOTEBOOK = Path(__file__).parents[1] / "notebooks/post_load_report.ipynb"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    """The page by the strict reading of the HTML standard: any parse error raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def tables(page: ElementTree.Element) -> dict[str, list[list[str]]]:
    """The cells of each table by its caption, head and foot included."""
    return {
        words(table.find("caption")): [[words(cell) for cell in row] for row in table.iter("tr")]
        for table in page.iter("table")
    }


def outcome(page: ElementTree.Element) -> str:
    return words(page.find(".//p[@class='outcome']"))


PEOPLE = pd.DataFrame(
    {
        "LastName": ["Lovelace", None, "Hopper", "Dijkstra"],
        "Email": ["ada@example.com", "nobody@example.com", "grace-at-home", "e@example.com"],
    }
)


@pytest.fixture
def load(org) -> Load:
    return org.load(PEOPLE, "Contact", "insert").wait()


@pytest.fixture(scope="module")
def text() -> str:
    """A report on a load of which two of four rows failed."""
    with Sandbox(clock=ManualClock(), seed=7) as sandbox:
        org = sandbox.connect(in_process=True)
        return report.html(org.load(PEOPLE, "Contact", "insert").wait())


@pytest.fixture(scope="module")
def page(text) -> ElementTree.Element:
    return parsed(text)


def test_the_outcome_is_one_sentence(page):
    assert outcome(page) == "2 of 4 rows are in the org; 2 failed."


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Doe"], "The row is in the org."),
        (["Doe", "Roe"], "All 2 rows are in the org."),
        (["Doe", None], "1 of 2 rows are in the org; 1 failed."),
    ],
)
def test_the_outcome_speaks_of_one_row_as_of_many(org, names, told):
    load = org.load(pd.DataFrame({"LastName": names}), "Contact", "insert").wait()

    assert outcome(parsed(report.html(load))) == told


def test_the_counts_of_a_load_add_up_beside_the_servers_own(page):
    (head, row) = tables(page)["Rows by outcome, and Salesforce's own counters"]
    assert dict(zip(head, row, strict=True)) == {
        "Load": "insert Contact",
        "Sent": "4",
        "Success": "2",
        "Failed": "2",
        "Unprocessed": "0",
        "Not sent": "0",
        "Unknown": "0",
        "Salesforce: processed": "4",
        "Salesforce: failed": "2",
    }
    assert "4 rows = 2 success + 2 failed + 0 unprocessed + 0 not sent + 0 unknown." in words(page)
    assert "own counters agree: 4 rows processed, 2 of them failed." in words(page)


def test_several_loads_are_one_report_with_a_sum(org, load):
    other = org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert").wait()

    page = parsed(report.html([load, other]))

    assert outcome(page) == "3 of 5 rows are in the org; 2 failed."
    rows = tables(page)["Rows by outcome, and Salesforce's own counters"]
    assert [row[:4] for row in rows[1:]] == [
        ["insert Contact", "4", "2", "2"],
        ["insert Account", "1", "1", "0"],
        ["Together", "5", "3", "2"],
    ]


def test_rows_that_a_retry_brought_in_are_no_contradiction(load):
    load.retry(PEOPLE.assign(LastName="Doe", Email="d@example.com").iloc[[1, 2]]).wait()

    page = words(parsed(report.html(load)))

    assert "All 4 rows are in the org." in page
    assert "own counters of the jobs below are others: 4 rows processed, 2 of them failed." in page


def test_an_aborted_load_says_what_was_not_done(org):
    load = org.load(pd.DataFrame({"LastName": ["a", "b"]}), "Contact", "insert", rows_per_chunk=1)
    load.abort().wait()

    page = parsed(report.html(load))

    counts = load.counts
    assert counts["success"] < counts["sent"] == 2
    assert f"{counts['success']} of 2 rows are in the org;" in outcome(page)


def test_a_load_that_goes_on_has_no_report_yet(org):
    load = Load(org._wire, PEOPLE, "Contact", "insert")

    with pytest.raises(StillRunningError, match=r"wait\(\)"):
        report.html(load)
    assert "2 of 4 rows" in report.html(load.start().wait())


def test_failures_are_told_by_reason_with_what_to_do(page):
    rows = tables(page)["Failed rows by reason, each with the first of its rows"]

    assert rows[1:] == [
        [
            "REQUIRED_FIELD_MISSING Contact: LastName",
            "1",
            "Required fields are missing: [LastName] LastName: xxx",
            "Fill in the fields that are named.",
        ],
        [
            "INVALID_EMAIL_ADDRESS Contact: Email",
            "1",
            "Email: invalid email address: xxxxx-xx-xxxx Email: xxxxx-xx-xxxx",
            "Correct the e-mail address.",
        ],
    ]


def test_rows_are_shown_only_if_it_is_asked_for(load):
    masked, shown = report.html(load), report.html(load, rows=True)

    assert "grace-at-home" not in masked
    assert "Row 2: Email: invalid email address: grace-at-home" in shown
    assert not any(cell in masked for cell in PEOPLE.stack().dropna())


def test_rows_of_a_file_are_masked_too(org, tmp_path):
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    load = org.load(tmp_path / "people.csv", "Contact", "insert").wait()

    text = report.html(load)

    assert "grace-at-home" not in text
    assert "Xxxxx: xxxxxxx xxxxx xxxxxxx: xxxxx-xx-xxxx" in text


@pytest.mark.parametrize(
    ("said", "cells", "left"),
    [
        ("A delay above 48 minutes is long.", ["x"], "A delay above 99 minutes is long."),
        ("Email: not an address: unknown", ["unknown"], "Email: not an address: xxxxxxx"),
        ("too large: secretv (max=7)", ["Secretvalue"], "too large: xxxxxxx (max=9)"),
        ("duplicate value: 001xx01 of Acme Inc", [1], "duplicate value: 999xx99 of Xxxx Xxx"),
        ("no such value 'lower case'", [1], "no such value 'xxxxx xxxx'"),
        ("the record of müller@example.com", [1], "the record of xxxxxx@xxxxxxx.xxx"),
        ("UNABLE_TO_LOCK_ROW on Ext__c", [1], "UNABLE_TO_LOCK_ROW on Ext__c"),
        ("read-only field LastName", [1], "read-only field LastName"),
        ("plain words", None, "xxxxx xxxxx"),
    ],
)
def test_a_message_keeps_its_words_and_loses_those_of_the_row(said, cells, left):
    assert message(said, cells, ["LastName", "Email"]) == left


def test_the_shape_of_a_value_stays():
    assert shape("Ada-99 @x.org Ж½") == "Xxx-99 @x.xxx X9"
    assert shape("Ada-07") == "Xxx-99"


@pytest.mark.parametrize("name", ["v2/ingest-jobcomplete.json", "v1/job-closed-documented.xml"])
def test_the_text_of_a_record_is_enough(samples, name):
    page = parsed(report.html((samples / name).read_text(encoding="utf-8")))

    assert outcome(page).startswith("The job is complete; ")
    assert len(tables(page)["Jobs as Salesforce reports them"]) == 2


def test_a_report_on_jobs_tells_those_that_failed_were_aborted_or_go_on(sandbox, org):
    done = org.load(pd.DataFrame({"Name": ["a", "b", None]}), "Account", "insert").wait().jobs
    aborted = org.create_job("insert", "Account").abort()
    unfinished = org.create_job("insert", "Account")
    query = org.create_job("query", query="SELECT Id FROM Account").wait()
    failed = org.create_job("insert", "Account").upload(b"Nonsense\nx\n").close().wait()

    page = parsed(report.html(bulknb.Jobs([*done, aborted, unfinished, query, failed])))

    assert outcome(page) == (
        "2 of 5 jobs are complete; 2 of 3 rows are in the org, 1 failed; queries read 2 rows; "
        "1 Aborted, 1 Failed and 1 not done."
    )
    assert "InvalidBatch : Field name not found" in words(page)


def test_who_when_and_where_stand_at_the_top(org, load):
    page = parsed(report.html(org.jobs()))

    facts = {
        words(fact.find("dt")): words(fact.find("dd"))
        for fact in page.iter("div")
        if fact.find("dt") is not None
    }
    assert facts.pop("First created").startswith(
        f"{load.jobs[0].info.created_date:%Y-%m-%d %H:%M} UTC"
    )
    assert facts.pop("Last change").endswith("UTC")
    assert facts == {
        "Org": "127.0.0.1",
        "Created by": "Integration User",
        "Jobs": "1",
        "API": "V2Ingest, version 62.0",
    }
    assert f"Written by bulknb {bulknb.__version__}" in words(page)


def test_a_production_org_is_called_by_its_name():
    with Sandbox(clock=ManualClock(), production=True) as sandbox:
        org = sandbox.connect(in_process=True)
        org.create_job("insert", "Account")
        assert "Acme (127.0.0.1)" in report.html(org.jobs())


def test_a_report_is_written_when_the_session_has_ended(load, sandbox):
    sandbox.expire_sessions()

    page = parsed(report.html(load))

    assert "127.0.0.1" in words(page.find(".//dl"))
    assert load.jobs[0].info.created_by_id in words(page.find(".//dl"))


def test_a_report_needs_nothing_from_outside(text):
    assert OUTSIDE.findall(text) == []
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    "told",
    ["<script>", " onload=", 'src="x"', 'href="http:', "url(http", "@import", "<link", "<img"],
)
def test_the_search_for_the_outside_finds_it(told):
    assert OUTSIDE.findall(told)


def test_pictures_are_described_and_ids_are_unique(page):
    ids = [element.get("id") for element in page.iter() if element.get("id")]

    assert len(ids) == len(set(ids))
    pictures = [*page.iter(f"{SVG}svg")]
    assert pictures
    for picture in pictures:
        assert picture.get("role") == "img"
        title, description = (id for id in picture.get("aria-labelledby").split())
        assert words(picture.find(f".//*[@id='{title}']"))
        assert words(picture.find(f".//*[@id='{description}']"))
        assert "fill: #e69f00" in {path.get("style") for path in picture.iter(f"{SVG}path")}
        for clip in re.findall(r"url\(#([^)]+)\)", ElementTree.tostring(picture, "unicode")):
            assert clip in ids


ENDED = {"state": "JobComplete", "totalProcessingTime": 1_000}


@pytest.mark.parametrize(
    ("sample", "news", "told"),
    [
        ("ingest-jobcomplete", {}, "% of 4.1 s processing time on Opportunity is the API"),
        ("query-created", ENDED, "1 job took 1 s of processing time; its parts are not reported."),
        ("ingest-inprogress", {}, "The processing time of the jobs is not reported, or not final"),
    ],
)
def test_the_picture_of_times_tells_its_numbers_in_words(samples, sample, news, told):
    raw = json.loads((samples / f"v2/{sample}.json").read_text(encoding="utf-8"))
    page = parsed(report.html(raw | news))
    assert told in words(page.find(".//*[@id='processing-times-desc']"))


def test_tables_have_captions_and_heads_and_headings_have_an_order(page):
    assert [it.tag for it in page.iter() if it.tag in ("h1", "h2", "h3")][:2] == ["h1", "h2"]
    for table in page.iter("table"):
        head, *body = table.iter("tr")
        assert table.find("caption") is not None
        assert {cell.get("scope") for cell in head} == {"col"}
        assert all(row[0].get("scope") == "row" for row in body)
        assert all(len(row) == len(head) for row in body)


NASTY = "<b>x</b>&\"'$\\frac{1}{2}$ \x01\x00\ufffe{{ 7 * 7 }}</style></svg>]]>"


def test_foreign_text_is_text_and_nothing_else(samples, org):
    raw = json.loads((samples / "v2/ingest-failed.json").read_text(encoding="utf-8"))
    nasty = raw | dict.fromkeys(("object", "operation", "errorMessage", "createdById"), NASTY)
    frame = pd.DataFrame({"LastName": ["a"], "Email": [NASTY.replace("\x00", "")]})
    load = org.load(frame, "Contact", "insert").wait()

    for what in (nasty, load):
        page = parsed(report.html(what, rows=True, title=f"{NASTY}\ud800"))
        assert next(page.iter("b"), None) is None
        assert "$\\frac{1}{2}$" in words(page.find(".//h1"))
        assert "{{ 7 * 7 }}" in words(page.find(".//main"))


def test_thousands_of_jobs_are_summed_up(samples):
    raw = json.loads((samples / "v2/ingest-jobcomplete.json").read_text(encoding="utf-8"))
    jobs = [
        raw | {"id": f"750xx{n:010}AAA", "totalProcessingTime": 10_000 + n} for n in range(5_000)
    ]

    text = report.html(jobs)

    assert len(text) < 200_000
    rows = tables(parsed(text))["Jobs as Salesforce reports them"]
    assert len(rows) == 51
    assert rows[1][0] == "750xx0000004999AAA"
    assert "Of 5,000 jobs, these are the 50 slowest." in text


def test_a_month_with_a_new_trigger_is_told_with_its_day_part_and_size():
    seeded = month()
    before = seeded.history["created_date"] < seeded.trigger_at
    for what, past in (
        (seeded.history, None),
        (seeded.history[~before], seeded.history[before]),
    ):
        page = parsed(report.html(what, past=past))
        told = (
            f"Apex of upsert Visit__c went from 1.1 to 3.7 ms a row on {seeded.trigger_at:%Y-%m-%d}"
        )
        assert told in words(page)
        assert told in words(page.find(".//*[@id='trend-desc']"))


def test_a_load_is_compared_with_what_the_ledger_knows_of_its_kind(org):
    people = pd.DataFrame({"LastName": [f"Doe {n}" for n in range(200)]})
    for _ in range(4):
        load = org.load(people, "Contact", "insert").wait()

    said = words(parsed(report.html(load)))

    assert "Compared with before insert Contact took" in said
    assert "the median of 3 earlier jobs is" in said
    assert "Waited " in said


def test_what_is_not_known_of_the_past_is_said(page):
    assert "Whether insert Contact always took so long is unknown" in words(page)


def test_a_load_of_which_nothing_was_sent_has_a_report(sandbox, org):
    load = Load(org._wire, PEOPLE, "Contact", "insert")
    sandbox.expire_sessions()
    with pytest.raises(bulknb.BulkError):
        load.start().wait()

    page = parsed(report.html(load))

    assert outcome(page) == "0 of 4 rows are in the org; 4 were not sent."
    assert "The jobs" not in words(page)


def test_the_same_load_gives_the_same_report(load):
    assert report.html(load) == report.html(load)


def test_the_report_of_fifty_thousand_rows_is_small(org):
    names = [None if row % 50 else f"Doe {row}" for row in range(50_000)]
    load = org.load(pd.DataFrame({"LastName": names}), "Contact", "insert", chunk_bytes=100_000)

    text = report.html(load.wait())

    assert "49,000 failed" in text
    assert len(text.encode()) < 100_000


def test_what_is_no_job_is_refused(load):
    for what in ([], "", {"Name": "Acme"}, [load, load.jobs[0]]):
        with pytest.raises(InputError):
            report.html(what)


def test_loads_and_jobs_write_their_reports_themselves(org, load, tmp_path):
    for each, name in ((load, "load.html"), (org.jobs(), "jobs.html")):
        path = each.report(tmp_path / name, title="The June load")
        assert path == tmp_path / name
        assert words(parsed(path.read_text(encoding="utf-8")).find(".//h1")) == "The June load"


def test_the_notebook_loads_the_file_that_its_parameters_name(tmp_path):
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    at = next(
        n for n, it in enumerate(notebook.cells) if "parameters" in it.metadata.get("tags", ())
    )
    given = nbformat.v4.new_code_cell('file, output, title = "people.csv", "out/june.html", "June"')
    notebook.cells.insert(at + 1, given)

    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()

    page = parsed((tmp_path / "out/june.html").read_text(encoding="utf-8"))
    assert words(page.find(".//h1")) == "June"
    assert outcome(page) == "2 of 4 rows are in the org; 2 failed."


def test_the_command_reports_on_saved_jobs_without_an_org(samples, load, tmp_path, monkeypatch):
    monkeypatch.delenv("BULKNB_INSTANCE_URL", raising=False)
    saved = load.history
    saved.to_csv(tmp_path / "saved.csv", index=False)
    saved.to_parquet(tmp_path / "saved.parquet")
    (tmp_path / "saved.jsonl").write_text(
        2 * saved.to_json(orient="records", lines=True, date_format="iso")
    )
    bulknb.History().export(tmp_path / "saved.export.parquet")
    files = [str(path) for path in tmp_path.glob("saved.*")]
    files += [
        str(samples / "v2/ingest-jobcomplete.json"),
        str(samples / "v1/job-closed-no-batches.xml"),
    ]
    output = tmp_path / "june.html"

    result = CliRunner().invoke(main, ["report", *files, "-o", str(output), "--title", "June"])

    assert result.output == f"Wrote {output}\n"
    page = parsed(output.read_text(encoding="utf-8"))
    assert words(page.find(".//h1")) == "June"
    assert len(tables(page)["Jobs as Salesforce reports them"]) == 1 + 3


def test_the_command_reports_on_jobs_of_the_org(tmp_path, monkeypatch):
    with bulknb.sandbox.start() as sandbox:
        monkeypatch.setenv("BULKNB_INSTANCE_URL", sandbox.url)
        monkeypatch.setenv("BULKNB_ACCESS_TOKEN", sandbox.token)
        org = sandbox.connect()
        jobs = [org.create_job("insert", name) for name in ("Account", "Contact")]
        for arguments in ([jobs[1].id], ["--object", "Contact", "--last", "30d"]):
            output = tmp_path / "june.html"
            result = CliRunner().invoke(main, ["report", *arguments, "-o", str(output)])
            assert result.exit_code == 0, result.output
            rows = tables(parsed(output.read_text(encoding="utf-8")))
            assert [row[0] for row in rows["Jobs as Salesforce reports them"][1:]] == [jobs[1].id]


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "Name\nx\n"), ("a.json", "[1"), ("a.parquet", "x")]
)
def test_the_command_says_which_file_holds_no_jobs(name, content, tmp_path):
    (tmp_path / name).write_text(content)

    result = CliRunner().invoke(main, ["report", str(tmp_path / name)])

    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "Traceback" not in result.output
