"""The web server of a sandbox: waitress on loopback, in a thread of its own."""

import logging
import threading
from typing import TYPE_CHECKING, Any

import waitress
from waitress import wasyncore

from bulknb.sandbox.web import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"


class Server:
    """A server that listens from the start and answers until closed."""

    def __init__(self, application: "WSGIApplication", port: int) -> None:
        # It warns whenever a request has to wait for a thread, which here is no news.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._sockets: dict[int, Any] = {}
        self._server = waitress.create_server(
            application,
            map=self._sockets,
            host=HOST,
            port=port,
            threads=8,
            ident=None,
            max_request_body_size=MAX_BODY_BYTES,
        )
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(
            target=self._server.run, name="bulknb-sandbox-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Close all connections and wait for the thread to end."""
        # The loop ends when it has no sockets left; they are its own to close.
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._sockets))
        self._thread.join()
        self._server.task_dispatcher.shutdown()
