"""The thread that keeps an org at work when nobody asks it anything."""

import threading

from bulknb.sandbox.org import Org

# Longest pause, in real seconds: a new job is noticed after that at the latest.
_PAUSE = 0.05


class Ticker:
    """Calls the engine again and again until closed."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bulknb-sandbox-clock", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self._org.catch_up()

    def close(self) -> None:
        """Stop and wait for the thread to end."""
        self._stop.set()
        self._thread.join()
