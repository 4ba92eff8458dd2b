"""A Salesforce org on your own machine: it speaks the Bulk API, on loopback only.

`start` gives a running server, `serve` runs one until it is interrupted. `Sandbox` is the same
without a server, for tests that call the WSGI application in their own process. What goes wrong
is planned with `Fault`, by request or by job.
"""

import atexit
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from bulknb.sandbox.app import create_app
from bulknb.sandbox.chaos import Chaos
from bulknb.sandbox.clock import AcceleratedClock, Clock, ManualClock, RealClock
from bulknb.sandbox.credentials import Credentials
from bulknb.sandbox.engine import DAILY_BATCHES
from bulknb.sandbox.faults import Fault, FaultPlan
from bulknb.sandbox.org import DAILY_REQUESTS, Org
from bulknb.sandbox.schema import Field, ObjectType, Record, ValidationRule
from bulknb.sandbox.server import HOST, Server
from bulknb.sandbox.ticker import Ticker

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed.wsgi import WSGIApplication

__all__ = [
    "AcceleratedClock",
    "Credentials",
    "Fault",
    "FaultPlan",
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
    token : str, optional
        The first session id of its own user; by default a random one.
    credentials : Credentials, optional
        What a sign-in by OAuth has to bring; by default any will do.
    faults : FaultPlan or iterable of Fault, optional
        What goes wrong.
    daily_batches, daily_requests : int
        How many of them any 24 hours allow.
    session_seconds : float, optional
        How long a session lives after its last use; by default for ever.
    production : bool
        Whether the org says of itself that it is a production org; its name is then Acme.

    Attributes
    ----------
    url : str
        Where it answers; before `start`, the address for requests in process.
    faults : FaultPlan
        What goes wrong, and what went wrong so far.
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
        token: str | None = None,
        credentials: Credentials | None = None,
        faults: FaultPlan | Iterable[Fault] = (),
        daily_batches: int = DAILY_BATCHES,
        daily_requests: int = DAILY_REQUESTS,
        session_seconds: float | None = None,
        production: bool = False,
    ) -> None:
        if clock is not None and speed != 1.0:
            raise ValueError("Give a clock or a speed, not both.")
        self.clock: Clock = clock or (RealClock() if speed == 1.0 else AcceleratedClock(speed))
        self.faults = faults if isinstance(faults, FaultPlan) else FaultPlan(faults, seed=seed)
        self._org = Org(
            self.clock,
            seed=seed,
            path=path,
            objects=objects or (),
            credentials=credentials or Credentials(),
            faults=self.faults,
            daily_batches=daily_batches,
            daily_requests=daily_requests,
            session_seconds=session_seconds,
            production=production,
        )
        self._org.token_for(self._org.default_user.username, token=token)
        self.app: WSGIApplication = Chaos(create_app(self._org), self.faults, self.clock)
        self.url = f"http://{HOST}"
        self._kept = path != ":memory:"
        self._ledger: Path | None = None
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

    @property
    def token(self) -> str:
        """The session id of its own user, who may do everything.

        A new one if the session has expired.
        """
        return self._org.token

    def add_user(
        self, username: str, *, manage_data_integrations: bool = False, hard_delete: bool = False
    ) -> str:
        """Add a user, or give one that there is these permissions, and return the Id.

        Parameters
        ----------
        username : str
            In the form of an e-mail address.
        manage_data_integrations : bool
            Whether the user may abort jobs of others.
        hard_delete : bool
            Whether the user may erase records for good ("Bulk API Hard Delete").
        """
        user = self._org.add_user(
            username, manage_data_integrations=manage_data_integrations, hard_delete=hard_delete
        )
        return user.id

    def token_for(self, username: str) -> str:
        """Return the session id of a user, of a new session if the last one has expired."""
        return self._org.token_for(username)

    def expire_sessions(self) -> None:
        """End all sessions: no token given out so far is good any more."""
        self._org.expire_sessions()

    def connect(self, *, in_process: bool = False, username: str | None = None) -> Any:
        """Return a `bulknb.Org` that is signed in here.

        Without a data file the sandbox is gone with this process: what is seen of its jobs and
        loads goes with it, and not into the user's ledger, unless ``BULKNB_LEDGER`` names one.

        Parameters
        ----------
        in_process : bool
            Whether to call the application directly, without a server or a port.
        username : str, optional
            Who signs in; by default the sandbox's own user.
        """
        import bulknb

        return bulknb.connect(
            instance_url=f"http://{HOST}" if in_process else self.url,
            access_token=self.token_for(username) if username else self.token,
            api_version="62.0",
            clock=self.clock,
            transport=self.app if in_process else None,
            ledger=self._own_ledger(),
        )

    def _own_ledger(self) -> Path | None:
        """Return the file for what nobody can ask for later; None: the user's own ledger."""
        if self._kept or os.environ.get("BULKNB_LEDGER"):
            return None
        if self._ledger is None:
            folder = Path(tempfile.mkdtemp(prefix="bulknb-sandbox-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._ledger = folder / "ledger.sqlite"
        return self._ledger

    @overload
    def create_object(self, kind: ObjectType) -> None: ...

    @overload
    def create_object(
        self,
        kind: str,
        frame: "pd.DataFrame",
        *,
        external_id: str | None = None,
        load: bool = False,
    ) -> None: ...

    def create_object(
        self,
        kind: ObjectType | str,
        frame: "pd.DataFrame | None" = None,
        *,
        external_id: str | None = None,
        load: bool = False,
    ) -> None:
        """Add an object to the org, as declared or with the columns of a frame as its fields.

        Parameters
        ----------
        kind : ObjectType or str
            The object, or the API name of one that gets its fields from the frame.
        frame : DataFrame, optional
            What records look like: a column's name and dtype make a field.
        external_id : str, optional
            The column by which an upsert may name a record; its values are unique.
        load : bool
            Whether to save the frame's rows as records.

        Raises
        ------
        ValueError
            A column cannot be a field, or a row cannot be a record.
        """
        if isinstance(kind, ObjectType):
            self._org.create_object(kind)
            return
        if frame is None:
            raise ValueError(f"{kind}: give an ObjectType, or a name and a frame.")
        from bulknb.sandbox import infer

        created = self._org.create_object(infer.object_type(kind, frame, external_id=external_id))
        if load:
            infer.save_rows(self._org, created, frame)

    def set_trigger(self, name: str, *, apex_ms_per_row: float) -> None:
        """Deploy triggers of another duration on an object, or with 0 take them away.

        Parameters
        ----------
        name : str
            The object.
        apex_ms_per_row : float
            Milliseconds that its triggers take for each record; a batch at work stays as it is.

        Raises
        ------
        ValueError
            The org has no such object.
        """
        self._org.set_trigger(name, apex_ms_per_row)

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
    **more: Any,
) -> Sandbox:
    """Return a sandbox that is up and answers on 127.0.0.1; see `Sandbox`."""
    sandbox = Sandbox(
        clock=clock, speed=speed, seed=seed, path=path, objects=objects, demo=demo, **more
    )
    return sandbox.start(port=port)


def serve(
    *,
    speed: float = 1.0,
    seed: int = 0,
    port: int = 0,
    path: str = ":memory:",
    demo: bool = False,
    token: str | None = None,
    announce: Callable[[Sandbox], object] | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM comes; call it from the main thread.

    Parameters
    ----------
    speed, seed, path, demo, token
        See `Sandbox`.
    port : int
        The port on 127.0.0.1; by default a free one.
    announce : callable, optional
        Called with the `Sandbox` as soon as it answers.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start(speed=speed, seed=seed, port=port, path=path, demo=demo, token=token) as sandbox:
        if announce is not None:
            announce(sandbox)
        stop.wait()
