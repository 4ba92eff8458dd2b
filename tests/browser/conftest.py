import contextlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lab import JupyterServer, LabNotebook
from playwright.sync_api import Playwright, expect, sync_playwright

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
NO_CHROMIUM = (
    "no Chromium: apt-get install chromium, or install Chrome, or `playwright install chromium`, "
    "or name one in the environment variable CHROMIUM"
)
NO_DRIVER = "playwright does not start: on Debian it needs apt-get install libatomic1"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
TIMEOUT_MS = 30_000
FLAGS = ["--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


def start_playwright() -> Playwright:
    try:
        return sync_playwright().start()
    except Exception as error:  # it raises no narrower one
        raise LookupError(f"{NO_DRIVER} ({error})") from None


def find_chromium(playwright: Playwright) -> str:
    """Return the path of a Chromium."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    installed = [path for name in NAMES if (path := shutil.which(name))]
    for path in (*installed, MACOS_CHROME, playwright.chromium.executable_path):
        if Path(path).exists():
            return path
    raise LookupError(NO_CHROMIUM)


def pytest_collection_modifyitems(items):
    """Skip these tests, all in one line, where there is no browser; in CI they fail instead."""
    ours = [item for item in items if item.get_closest_marker("browser")]
    if not ours or os.environ.get("CI") == "true":
        return
    try:
        playwright = start_playwright()
        find_chromium(playwright)
        playwright.stop()
    except LookupError as missing:
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=str(missing)))


@pytest.fixture(scope="session")
def browser():
    expect.set_options(timeout=TIMEOUT_MS)
    playwright = start_playwright()
    browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=FLAGS)
    yield browser
    browser.close()
    playwright.stop()


@pytest.fixture(scope="session")
def jupyter(browser, tmp_path_factory):
    with JupyterServer(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="session")
def oldest_kernel(jupyter, page, request):
    """The name of a kernel that runs the oldest ipykernel promised, and all else as the newest."""
    requirements = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]["lab"]
    (oldest,) = (line for line in requirements if line.startswith("ipykernel"))
    pin = oldest.replace(">=", "==") + ".0"
    folder = request.config.cache.mkdir(pin.replace("==", "-"))
    if not (folder / "ipykernel").exists():
        install = ["pip", "install", "--quiet", "--no-deps", "--target", str(folder), pin]
        subprocess.run([sys.executable, "-m", *install], check=True)
    jupyter.add_kernel("oldest", folder)
    page.evaluate("() => window.jupyterapp.serviceManager.kernelspecs.refreshSpecs()")
    return "oldest"


@contextlib.contextmanager
def secluded(browser, **options):
    """A fresh profile; it fails if its pages ask anybody but this machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(TIMEOUT_MS)
    asked_outside = []

    def route(route):
        url = urlsplit(route.request.url)
        if url.hostname == "127.0.0.1" or url.scheme in ("data", "blob"):
            route.continue_()
        else:
            asked_outside.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    yield context
    context.close()
    assert asked_outside == []


@pytest.fixture(scope="session")
def page(browser, jupyter):
    """JupyterLab in a fresh profile."""
    with secluded(browser) as context:
        page = context.new_page()
        jupyter.open_lab(page)
        yield page


@pytest.fixture
def new_page(browser):
    """An empty page in a fresh profile, for other front ends."""
    with secluded(browser) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def open_notebook(jupyter, page):
    """Open notebooks of these cells; they are closed after the module's last test."""
    opened = []

    def open_notebook(*cells, **options):
        opened.append(LabNotebook(jupyter, page, cells, **options))
        return opened[-1]

    yield open_notebook
    for notebook in opened[-1:]:
        notebook.close()
