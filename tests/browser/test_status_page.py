"""The sandbox's own page: it follows what the org does, in a browser that runs no script."""

import pandas as pd
import pytest
from playwright.sync_api import expect

import bulknb

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_jobs_without_a_script_or_a_complaint(browser, scheme):
    with bulknb.sandbox.start(speed=100) as sandbox:
        context = browser.new_context(color_scheme=scheme, java_script_enabled=False)
        page = context.new_page()
        complaints, asked = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(sandbox.url)
        expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
        frame = pd.DataFrame({"Name": ["Acme"]})
        sandbox.connect().load(frame, "Account", "insert").wait(30)
        expect(page.get_by_role("cell", name="JobComplete")).to_be_visible()
        context.close()
    assert complaints == []
    assert set(asked) == {f"{sandbox.url}/"}
