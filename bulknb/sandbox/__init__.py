"""A Salesforce org on your own machine: it speaks the Bulk API, on loopback only.

`start` gives a running server, `serve` runs one until it is interrupted. `Sandbox` is the same
without a server, for tests that call the WSGI application in their own process.
"""

import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bulknb.sandbox.app import create_app
from bulknb.sandbox.clock import AcceleratedClock, Clock, ManualClock, RealClock
from bulknb.sandbox.org import Org
from bulknb.sandbox.schema import Field, ObjectType, Record, ValidationRule
from bulknb.sandbox.server import HOST, Server
from bulknb.sandbox.ticker import Ticker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = [
    "AcceleratedClock",
    "Field",
    "ManualClock",
    "ObjectType",
    "RealClock",
    "Sandbox",
    "ValidationRule",
    "serve",
    "start",
]


class Sandbox:
    """An org to learn, to show and to test with.

    Parameters
    ----------
    clock : Clock, optional
        Where its time comes from; by default the real clock, times `speed`.
    speed : float
        How much faster than real its time runs; may not be given together with `clock`.
    seed : int
        What the variation of times and the order of lists depend on. The same seed, a
        `ManualClock` and the same requests give the same ids and dates.
    path : str
        The SQLite file that holds its data; by default they are kept in memory.
    objects : iterable of ObjectType, optional
        Objects besides the standard ones.
    demo : bool
        Whether to add the demonstration org: airlines, airports, planes and flights, and a week
        of jobs.

    Attributes
    ----------
    url : str
        Where it answers; before `start`, the address for requests in process.
    token : str
        The session id that its requests need.
    app : WSGI application
        The API itself, usable without a server.
    clock : Clock
        Its time.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        speed: float = 1.0,
        seed: int = 0,
        path: str = ":memory:",
        objects: Iterable[ObjectType] | None = None,
        demo: bool = False,
    ) -> None:
        if clock is not None and speed != 1.0:
            raise ValueError("Give a clock or a speed, not both.")
        self.clock: Clock = clock or (RealClock() if speed == 1.0 else AcceleratedClock(speed))
        self._org = Org(self.clock, seed=seed, path=path, objects=objects or ())
        self.app: WSGIApplication = create_app(self._org)
        self.token = self._org.token
        self.url = f"http://{HOST}"
        self._server: Server | None = None
        self._ticker: Ticker | None = None
        if isinstance(self.clock, ManualClock):
            self.clock.subscribe(self._org.catch_up)
        if demo:
            from bulknb.sandbox.demo import create_demo_org

            create_demo_org(self._org)

    def __repr__(self) -> str:
        """Return where it answers, without the token."""
        return f"<bulknb sandbox at {self.url}>"

    def start(self, *, port: int = 0) -> Self:
        """Start the server on 127.0.0.1, on a free port unless one is given."""
        self._server = Server(self.app, port)
        self.url = f"http://{HOST}:{self._server.port}"
        if not isinstance(self.clock, ManualClock):
            self._ticker = Ticker(self._org)
        return self

    def close(self) -> None:
        """Stop the server and close the file."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._ticker is not None:
            self._ticker.close()
            self._ticker = None
        if isinstance(self.clock, ManualClock):
            self.clock.unsubscribe(self._org.catch_up)
        self._org.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self, *, in_process: bool = False) -> Any:
        """Return a `bulknb.Org` that is signed in here.

        Parameters
        ----------
        in_process : bool
            Whether to call the application directly, without a server or a port.
        """
        import bulknb

        return bulknb.connect(
            instance_url=f"http://{HOST}" if in_process else self.url,
            access_token=self.token,
            api_version="62.0",
            clock=self.clock,
            transport=self.app if in_process else None,
        )

    def create_object(self, kind: ObjectType) -> None:
        """Add an object to the org."""
        self._org.create_object(kind)

    @property
    def requests(self) -> tuple[tuple[str, str, int], ...]:
        """The requests answered so far: (method, path, status), oldest first."""
        return tuple(self._org.requests)

    def records(self, name: str) -> list[Record]:
        """Return what the org holds: the records of an object, without deleted ones.

        Dates and datetimes are ISO text, as in CSV.
        """
        return self._org.records(name)


def start(
    *,
    speed: float = 1.0,
    seed: int = 0,
    clock: Clock | None = None,
    port: int = 0,
    path: str = ":memory:",
    objects: Iterable[ObjectType] | None = None,
    demo: bool = False,
) -> Sandbox:
    """Return a sandbox that is up and answers on 127.0.0.1; see `Sandbox`."""
    sandbox = Sandbox(clock=clock, speed=speed, seed=seed, path=path, objects=objects, demo=demo)
    return sandbox.start(port=port)


def serve(
    *,
    speed: float = 1.0,
    seed: int = 0,
    port: int = 0,
    path: str = ":memory:",
    demo: bool = False,
    announce: Callable[[Sandbox], object] | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM comes; call it from the main thread.

    Parameters
    ----------
    speed, seed, path, demo
        See `Sandbox`.
    port : int
        The port on 127.0.0.1; by default a free one.
    announce : callable, optional
        Called with the `Sandbox` as soon as it answers.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start(speed=speed, seed=seed, port=port, path=path, demo=demo) as sandbox:
        if announce is not None:
            announce(sandbox)
        stop.wait()
