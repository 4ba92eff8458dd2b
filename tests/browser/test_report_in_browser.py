"""A report in a browser without network: nothing is asked for, axe-core is content, it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

import bulknb
from bulknb.sandbox import ManualClock, Sandbox

pytestmark = pytest.mark.browser

#: More than a page of jobs.
JOBS = 40


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report on two loads, one of them in many jobs and with rows that failed."""
    with Sandbox(clock=ManualClock(), seed=7) as sandbox:
        org = sandbox.connect(in_process=True)
        names = [None if row % 10 == 0 else f"Doe {row}" for row in range(2 * JOBS)]
        people = pd.DataFrame({"LastName": names})
        loads = [
            org.load(people, "Contact", "insert", rows_per_chunk=2).wait(),
            org.load(pd.DataFrame({"Name": ["Acme"]}), "Account", "insert").wait(),
        ]
        return bulknb.report.write(loads, tmp_path_factory.mktemp("report") / "june.html")


@pytest.fixture(params=["light", "dark"])
def page(browser, report, request):
    """The report, opened from disk; any other request and any word on the console is an error."""
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 1100, "height": 900}
    )
    asked, said = [], []

    def route(route):
        if route.request.url == report.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    context.set_offline(True)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert (asked, said) == ([], [])


def test_it_reads_without_a_network(page):
    assert page.locator("h1").inner_text().startswith("Load report: ")
    assert page.locator(".outcome").inner_text() == "73 of 81 rows are in the org; 8 failed."
    drawn = page.locator("svg path").evaluate_all("all => all.map(it => it.style.fill)")
    assert "rgb(230, 159, 0)" in drawn
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_follows_the_colours_of_the_reader(page, request):
    dark = request.node.callspec.params["page"] == "dark"
    paper, ink, plate = (
        page.locator(where).first.evaluate(f"it => getComputedStyle(it).{what}")
        for where, what in (
            ("html", "backgroundColor"),
            ("h2", "color"),
            ("svg", "backgroundColor"),
        )
    )
    assert (brightness(paper) < brightness(ink)) is dark
    assert brightness(plate) == 255


def test_axe_finds_no_violation(page):
    found = Axe().run(page).response

    assert len(found["passes"]) > 20
    assert [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found["violations"]] == []


def test_a_narrow_screen_scrolls_tables_not_the_page(page):
    page.set_viewport_size({"width": 380, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".dense").evaluate("it => it.scrollWidth > it.clientWidth")


def test_it_prints_dark_on_white_within_the_page(page):
    page.emulate_media(media="print")

    assert page.locator("html").evaluate("it => getComputedStyle(it).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    page.set_viewport_size({"width": 680, "height": 962})  # A4 less its margins, at 96 dots an inch
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    display = page.locator("thead").first.evaluate("it => getComputedStyle(it).display")
    assert display == "table-header-group"  # so that each page begins with it


def test_its_pages_are_a4_and_numbered(page):
    pdf = page.pdf(prefer_css_page_size=True)

    sheets = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert len(sheets) > 2
    assert {(round(float(width)), round(float(height))) for width, height in sheets} == {(595, 842)}


def brightness(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
