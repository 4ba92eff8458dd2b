"""A Jupyter server of its own, and how to drive its front ends with Playwright.

Nothing of the user's Jupyter is read or written: every folder it knows lies in a temporary one.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nbformat
import requests
from jupyter_client.blocking import BlockingKernelClient
from playwright.sync_api import Locator, Page

WAIT_SECONDS = 60
STOP_SECONDS = 10
POLL_SECONDS = 0.1

FOLDERS = {
    "HOME": "",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "MPLCONFIGDIR": "cache",
    "XDG_CACHE_HOME": "cache",
}

SETTINGS = {
    # On its first start Lab asks whether to fetch news.
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # By default cells off the screen are not in the page, and a locator does not find them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}

# It returns nothing: what the command returns is too much to be handed to the test.
OPEN = """async (path) => {
    await window.jupyterapp.commands.execute("docmanager:open", {path});
}"""

# The indicator says "idle" before a kernel is connected, when running a cell does nothing at all:
# the session's own promises are to be waited for.
CONNECTED = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session?.kernel;
    await kernel?.info;
    return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""

START_CELL = """(index) => {
    const app = window.jupyterapp;
    app.shell.currentWidget.content.activeCellIndex = index;
    app.commands.execute("notebook:run-cell");
}"""

RUN_CELL = """async ([index, timeout]) => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    await Promise.race([
        app.commands.execute("notebook:run-cell"),
        new Promise((_, fail) => setTimeout(fail, timeout, "the cell runs too long")),
    ]);
    const outputs = notebook.widgets[index].model.outputs.toJSON();
    return outputs.filter((output) => output.output_type === "error");
}"""

MOVE_UP = """(index) => {
    const app = window.jupyterapp;
    app.shell.currentWidget.content.activeCellIndex = index;
    return app.commands.execute("notebook:move-cell-up");
}"""

CLEAR = """() => window.jupyterapp.commands.execute("notebook:clear-all-cell-outputs")"""

CLOSE = """async () => {
    const app = window.jupyterapp;
    for (const widget of app.shell.widgets("main")) await widget.context?.save();  // else Lab asks
    await app.commands.execute("application:close-all");
}"""

RESTART = """() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"""

SAVE = """() => window.jupyterapp.commands.execute("docmanager:save")"""


class JupyterServer:
    """JupyterLab on loopback; started by ``with``."""

    def __init__(self, home: Path) -> None:
        self.root = home / "notebooks"
        self._home = home
        self._token = secrets.token_hex(16)
        self._url = f"http://127.0.0.1:{_free_port()}"
        self._log = home / "server.log"

    def __enter__(self) -> "JupyterServer":
        self.root.mkdir()
        for folder in set(FOLDERS.values()):
            (self._home / folder).mkdir(exist_ok=True)
        for plugin, values in SETTINGS.items():
            file = self._home / "settings" / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        folders = {name: str(self._home / folder) for name, folder in FOLDERS.items()}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                env={**os.environ, **folders},
                cwd=self.root,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_kernels()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: only our children
            self._process.wait()

    def api(self, path: str, method: str = "GET") -> requests.Response:
        """Ask the server's REST API."""
        headers = {"Authorization": f"token {self._token}"}
        return requests.request(method, f"{self._url}/api/{path}", headers=headers, timeout=20)

    def add_kernel(self, name: str, folder: Path) -> None:
        """Add a kernel that takes packages of `folder` in place of the installed ones."""
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": name,
            "language": "python",
            "env": {"PYTHONPATH": os.pathsep.join(paths)},
        }
        file = self._home / FOLDERS["JUPYTER_DATA_DIR"] / "kernels" / name / "kernel.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(spec))

    def interrupt(self) -> None:
        """Interrupt the cell that runs."""
        (session,) = self.api("sessions").json()
        self.api(f"kernels/{session['kernel']['id']}/interrupt", "POST")

    def stop_kernels(self) -> None:
        """End all kernels, so that the next notebook gets a fresh one."""
        for session in self.api("sessions").json():
            self.api(f"sessions/{session['id']}", "DELETE")

    def open_lab(self, page: Page) -> None:
        """Open JupyterLab in a page."""
        page.goto(f"{self._url}/lab?token={self._token}&reset", wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate("() => window.jupyterapp.restored")

    def open_notebook7(self, page: Page, file: Path) -> None:
        """Open a notebook of the server's root as Jupyter Notebook 7 shows it."""
        path = file.relative_to(self.root).as_posix()
        page.goto(f"{self._url}/notebooks/{path}?token={self._token}")
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.context")

    @contextlib.contextmanager
    def kernel_client(self):
        """Talk to the one running kernel past the browser."""
        (session,) = self.api("sessions").json()
        runtime = self._home / FOLDERS["JUPYTER_RUNTIME_DIR"]
        (file,) = runtime.rglob(f"kernel-{session['kernel']['id']}.json")
        client = BlockingKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels(hb=False)  # its thread may begin when the context has gone
        try:
            yield client
        finally:
            client.stop_channels()
            client.context.destroy()

    def _command(self) -> list[str]:
        options = [
            "--no-browser",
            "--expose-app-in-browser",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self._url.rpartition(':')[2]}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self._token}",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        if os.geteuid() == 0:
            options.append("--allow-root")
        return [sys.executable, "-m", "jupyterlab", *options]

    def _wait_until_up(self) -> None:
        try:
            wait_until(self._answers)
        except TimeoutError:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text()}") from None

    def _answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return self.api("status").ok
        return False


class LabNotebook:
    """A notebook in a folder of its own, opened in JupyterLab or Notebook 7, its kernel ready."""

    def __init__(
        self,
        server: JupyterServer,
        page: Page,
        cells: Sequence[str],
        *,
        kernel: str = "python3",
        notebook7: bool = False,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=server.root))
        self._page = page
        self._server = server
        self._file = self.folder / "notebook.ipynb"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},  # else Lab asks
        )
        nbformat.write(notebook, self._file)
        self._notebook7 = notebook7
        self._open()

    def _open(self) -> None:
        if self._notebook7:
            self._server.open_notebook7(self._page, self._file)
        else:
            self._page.evaluate(OPEN, self._file.relative_to(self._server.root).as_posix())
        wait_until(lambda: self._page.evaluate(CONNECTED))

    def close(self) -> None:
        """Close the notebook and end its kernel, and with it all others."""
        self._page.evaluate(CLOSE)
        self._server.stop_kernels()

    def reopen_without_kernel(self) -> None:
        """Save the notebook, end its kernel, and open it again with a new one."""
        self.close()
        self._open()

    def restart_kernel(self) -> None:
        """Restart the kernel, as the menu does."""
        self._page.evaluate(RESTART)
        wait_until(lambda: self._page.evaluate(CONNECTED))

    def run(self, index: int) -> None:
        """Run a cell to its end; it must not raise."""
        errors = self._page.evaluate(RUN_CELL, [index, 1000 * WAIT_SECONDS])
        assert errors == []

    def start(self, index: int) -> None:
        """Start a cell and return while it may still run."""
        self._page.evaluate(START_CELL, index)

    def running(self, index: int) -> Locator:
        """Return the prompt of a cell if it says that the cell runs."""
        return self._cell(index).get_by_text("[*]:", exact=True)

    def output(self, index: int) -> Locator:
        """Return what a cell has put out."""
        return self._cell(index).locator(".jp-Cell-outputArea")

    def _cell(self, index: int) -> Locator:
        return self._page.locator(".jp-CodeCell").nth(index)

    def move_up(self, index: int) -> None:
        """Change the places of a cell and of the one above it."""
        self._page.evaluate(MOVE_UP, index)

    def evaluate(self, expression: str) -> str:
        """Return the repr of an expression in the kernel; waits for a running cell."""
        with self._server.kernel_client() as kernel:
            reply = kernel.execute(
                "", silent=True, user_expressions={"it": expression}, reply=True, timeout=30
            )
        result = reply["content"]["user_expressions"]["it"]
        assert result["status"] == "ok", result
        return result["data"]["text/plain"]

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true in the kernel."""
        wait_until(lambda: self.evaluate(f"bool({condition})") == "True")

    def clear_outputs(self) -> None:
        """Clear the outputs of all cells."""
        self._page.evaluate(CLEAR)

    def saved_outputs(self, index: int) -> list[dict]:
        """Save the notebook and return a cell's outputs as they are in the file."""
        self._page.evaluate(SAVE)
        return nbformat.read(self._file, as_version=4).cells[index].outputs


@contextlib.contextmanager
def board_app(*options: str, **environment: str) -> Iterator[str]:
    """Run ``bulknb board``; gives the address of its page. Ctrl-C ends it, without an error."""
    with subprocess.Popen(
        [sys.executable, "-m", "bulknb", "board", "--no-browser", *options],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again until a condition holds that nobody announces."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(POLL_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
