"""Pictures of panel, board and app as people see them: light, dark and narrow.

python tests/browser/shots.py [folder]
"""

import os
import sys
import tempfile
from pathlib import Path

from conftest import FLAGS, find_chromium, secluded, start_playwright
from lab import JupyterServer, LabNotebook, board_app
from playwright.sync_api import Browser, Page, expect

SETUP = """
import bulknb, pandas as pd
sandbox = bulknb.sandbox.start(demo=True, speed=2)
org = sandbox.connect()
people = pd.DataFrame({"LastName": [f"Person {n}" for n in range(40_000)]})
load = org.load(people, "Contact", "insert", rows_per_chunk=10_000)
job = org.create_job("insert", "Account").upload(b"Name\\nAcme\\n")
"""
QUERY = 'org.query("SELECT Id, LastName FROM Contact")'
THEME = """(theme) => window.jupyterapp.commands.execute("apputils:change-theme", {theme})"""
NARROW = {"width": 480, "height": 900}
WIDE = {"width": 1280, "height": 900}


def show_board(board: object) -> None:
    """Bring a board to where it asks before an abort."""
    rows = board.locator(".body .row:visible")
    expect(rows.first).to_be_visible()
    rows.nth(1).click()
    rows.nth(2).click(modifiers=["Shift"])
    board.get_by_role("button", name="Abort", exact=True).click()


def shoot_lab(browser: Browser, folder: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        JupyterServer(Path(home)) as server,
        secluded(browser) as context,
    ):
        page = context.new_page()
        server.open_lab(page)
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        notebook = LabNotebook(server, page, [SETUP, "job", "load", QUERY, "org.board()"])
        for theme in ("Light", "Dark"):
            page.evaluate(THEME, f"JupyterLab {theme}")
            for cell in range(5):
                notebook.run(cell)
            show_board(notebook.output(4))
            for name, size in (("wide", WIDE), ("narrow", NARROW)):
                page.set_viewport_size(size)
                for cell, what in enumerate(("job", "load", "query", "board"), 1):
                    path = folder / f"lab-{what}-{theme.lower()}-{name}.png"
                    notebook.output(cell).screenshot(path=path)
            page.set_viewport_size(WIDE)


def shoot_app(page: Page, folder: Path, url: str, theme: str) -> None:
    page.goto(f"{url}&theme={theme}")
    expect(page.locator(".body .row").filter(has_text="InProgress").first).to_be_visible()
    page.locator(".body .row:visible").first.click()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".widget-html").first).to_be_visible()
    for name, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(size)
        page.locator("#rendered_cells").screenshot(path=folder / f"app-{theme}-{name}.png")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "shots")
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=60_000)
    ledger = tempfile.TemporaryDirectory()
    os.environ["BULKNB_LEDGER"] = str(Path(ledger.name) / "ledger.sqlite")
    playwright = start_playwright()
    browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=FLAGS)
    shoot_lab(browser, folder)
    with board_app("--demo") as url, secluded(browser) as context:
        for theme in ("light", "dark"):
            shoot_app(context.new_page(), folder, url, theme)
    browser.close()
    playwright.stop()
    ledger.cleanup()
    sys.stdout.write(f"{len(list(folder.glob('*.png')))} pictures in {folder}\n")


if __name__ == "__main__":
    main()
