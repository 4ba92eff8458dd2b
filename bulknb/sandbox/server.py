"""The web server of a sandbox: waitress on loopback, in a thread of its own."""

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import waitress
from waitress import wasyncore
from waitress.channel import ClientDisconnected

from bulknb.sandbox.web import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"


class Server:
    """A server that listens from the start and answers until closed."""

    def __init__(self, application: "WSGIApplication", port: int) -> None:
        # It warns whenever a request has to wait for a thread, which here is no news.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._sockets: dict[int, Any] = {}
        self._server = waitress.create_server(
            _cutting(application),
            map=self._sockets,
            host=HOST,
            port=port,
            threads=8,
            ident=None,
            max_request_body_size=MAX_BODY_BYTES,
        )
        self.port = int(self._server.effective_port)
        self._closing = False
        self._sockets_open = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bulknb-sandbox-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let requests at work end, close all connections and wait for the thread to end."""
        self._server.task_dispatcher.shutdown()
        with self._sockets_open:  # or the trigger might be pulled when it is closed
            self._closing = True
            self._server.pull_trigger()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            wasyncore.loop(timeout=1, map=self._sockets, use_poll=True, count=1)
        with self._sockets_open:
            wasyncore.close_all(self._sockets)


def _cutting(application: "WSGIApplication") -> "WSGIApplication":
    """Return the application with its ConnectionResetError made true.

    Of all that an application may raise, waitress takes only its own exception for a connection
    that is gone: it closes the socket then and sends nothing, no status 500 either.
    """

    def served(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except ConnectionResetError:
            raise ClientDisconnected from None

    return served
