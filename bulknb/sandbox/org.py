"""The org behind the server: its objects, its data, its engine, its clock, its users."""

import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from sqlite3 import Row
from typing import Any

from bulknb.sandbox import ids, values
from bulknb.sandbox.clock import Clock
from bulknb.sandbox.credentials import Credentials
from bulknb.sandbox.denied import DeniedError
from bulknb.sandbox.engine import DAILY_BATCHES, DAY, Engine
from bulknb.sandbox.faults import FaultPlan
from bulknb.sandbox.schema import ObjectType, Record
from bulknb.sandbox.standard import STANDARD_OBJECTS
from bulknb.sandbox.store import Store
from bulknb.sandbox.users import Sessions, User

DAILY_REQUESTS = 100_000
_INTEGRATION_USER = "integration@example.com"
_SOMEBODY_ELSE = ("somebody.else@example.com", "Somebody", "Else")


class Org:
    """All that the resources of the API work on.

    Parameters
    ----------
    clock : Clock
        Where the org's time comes from.
    seed : int
        What variation of times and the order of lists depend on.
    path : str
        The SQLite file, or ``:memory:``.
    objects : iterable of ObjectType
        Objects besides the standard ones.
    credentials : Credentials
        What a sign-in has to bring.
    faults : FaultPlan, optional
        What befalls its jobs.
    daily_batches, daily_requests : int
        How many of them any 24 hours allow.
    session_seconds : float, optional
        How long a session lives after its last use; by default for ever.
    production : bool
        Whether it says that it is a production org.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int,
        path: str,
        objects: Iterable[ObjectType] = (),
        credentials: Credentials,
        faults: FaultPlan | None = None,
        daily_batches: int = DAILY_BATCHES,
        daily_requests: int = DAILY_REQUESTS,
        session_seconds: float | None = None,
        production: bool = False,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.credentials = credentials
        self.daily_requests = daily_requests
        # Whatever touches store or engine holds this.
        self.lock = threading.RLock()
        self.store = Store(path)
        self.objects: dict[str, ObjectType] = {}
        self.faults = faults or FaultPlan()
        self.engine = Engine(
            self.store, self.objects, seed, faults=self.faults, daily_batches=daily_batches
        )
        self.requests: deque[tuple[str, str, int]] = deque(maxlen=DAILY_REQUESTS)
        self._request_times: deque[float] = deque()
        for kind in (*STANDARD_OBJECTS, *objects):
            self.create_object(kind)
        self.sessions = Sessions(session_seconds)
        self.users: dict[str, User] = {}
        self.create_user(_INTEGRATION_USER, "Integration", "User")
        self.default_user = self._running_user = self.add_user(
            _INTEGRATION_USER, manage_data_integrations=True, hard_delete=True
        )
        self._describe_itself(production=production)

    def create_object(self, kind: ObjectType) -> ObjectType:
        """Add an object, and give it a key prefix if it has none."""
        with self.lock:
            if kind.name.lower() in self.objects:
                raise ValueError(f"The org has an object {kind.name} already.")
            if kind.key_prefix is None:
                kind = replace(kind, key_prefix=self._free_prefix())
            for field in kind.all_fields:
                parent = field.reference_to
                if parent and parent.lower() not in {*self.objects, kind.name.lower()}:
                    raise ValueError(f"{kind.name}.{field.name}: there is no object {parent}.")
            self.objects[kind.name.lower()] = kind
            self.store.create_table(kind)
            return kind

    def set_trigger(self, name: str, apex_ms_per_row: float) -> None:
        """Give an object's triggers another duration, for batches that start from now on."""
        with self.lock:
            kind = self.objects.get(name.lower())
            if kind is None:
                raise ValueError(f"The org has no object {name}.")
            self.objects[name.lower()] = replace(kind, apex_ms_per_row=apex_ms_per_row)

    def _free_prefix(self) -> str:
        taken = {kind.key_prefix for kind in self.objects.values()}
        candidates = (f"a{number:02}" for number in range(100))
        return next(prefix for prefix in candidates if prefix not in taken)

    def create_user(self, username: str, first_name: str, last_name: str) -> str:
        """Add a user, unless there is one of that name, and return its Id."""
        kind = self.objects["user"]
        with self.lock, self.store.transaction():
            if found := self.store.find(kind, "Username", [username]):
                return str(found[0]["Id"])
            (key,) = self.store.new_ids(str(kind.key_prefix))
            user = self._new_record(kind, key, key) | {
                "Username": username,
                "FirstName": first_name,
                "LastName": last_name,
                "Name": f"{first_name} {last_name}".strip(),
                "Email": username,
            }
            self.store.save(kind, [user])
            return key

    def add_user(
        self, username: str, *, manage_data_integrations: bool = False, hard_delete: bool = False
    ) -> User:
        """Add a user who may sign in, or give one that there is other permissions."""
        name = username.partition("@")[0].replace(".", " ").title()
        first_name, _, last_name = name.rpartition(" ")
        key = self.create_user(username, first_name, last_name)
        self.users[username] = User(key, username, manage_data_integrations, hard_delete)
        return self.users[username]

    # Who is asking

    @contextmanager
    def signed_out_after(self) -> Iterator[None]:
        """Forget who signed in when a request is over; they run one at a time."""
        try:
            yield
        finally:
            self._running_user = self.default_user

    def _describe_itself(self, *, production: bool) -> None:
        """Keep the one record of Organization."""
        edition = "Enterprise Edition" if production else "Developer Edition"
        kind = self.objects["organization"]
        key = ids.to_18(ids.ORGANIZATION_ID)
        with self.store.transaction():
            if not self.store.find(kind, "Id", [key]):
                record = self._new_record(kind, key, self.user_id) | {
                    "Name": "Acme" if production else "Sandbox",
                    "InstanceName": "LOCAL",
                    "IsSandbox": not production,
                    "OrganizationType": edition,
                }
                self.store.save(kind, [record])

    def show_permissions(self) -> None:
        """Make the one record of UserPermissionAccess that of the user who asks."""
        kind = self.objects["userpermissionaccess"]
        user = self._running_user
        record = self._new_record(kind, f"{kind.key_prefix}{'0' * 15}", user.id) | {
            "PermissionsApiEnabled": True,
            "PermissionsBulkApiHardDelete": user.hard_delete,
            "PermissionsManageDataIntegrations": user.manage_data_integrations,
        }
        with self.store.transaction():
            self.store.save(kind, [record])

    def _new_record(self, kind: ObjectType, key: str, user: str) -> Record:
        """Return a record that a user makes now, without values of its own."""
        now = values.stamp(self.clock.time())
        stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), now)
        return kind.blank() | {"Id": key, "OwnerId": user, "CreatedById": user} | stamps

    def is_token(self, text: str) -> bool:
        """Return whether a text is the session id of somebody."""
        return self.sessions.username(text, self.clock.time()) is not None

    def sign_in(self, token: str) -> bool:
        """Let what follows be done by the user whose token it is; false if it is nobody's."""
        username = self.sessions.username(token, self.clock.time())
        if username is not None:
            self._running_user = self.users[username]
        return username is not None

    @property
    def token(self) -> str:
        """The session id of the default user; a new one if the last one has expired."""
        return self.token_for(self.default_user.username)

    def token_for(self, username: str, *, token: str | None = None) -> str:
        """Return the session id of a user; with `token`, that one."""
        if username not in self.users:
            raise KeyError(f"The org has no user {username} who may sign in.")
        with self.lock:
            return self.sessions.token_for(username, self.clock.time(), token=token)

    def expire_sessions(self) -> None:
        """End all sessions."""
        with self.lock:
            self.sessions.expire()

    @property
    def user_id(self) -> str:
        """The Id of the user who asks."""
        return self._running_user.id

    def require_creator(self, job: Row) -> None:
        """Refuse what only the creator of a job may do."""
        if job["created_by"] != self.user_id:
            raise DeniedError("InvalidUser", "The job was created by another user")  # ours

    def require_creator_or_manager(self, job: Row) -> None:
        """Refuse what takes the creator of a job or the permission to manage all."""
        if not self._running_user.manage_data_integrations:
            self.require_creator(job)

    def user(self) -> Record:
        """Return the record of the user whose session it is."""
        return self.store.find(self.objects["user"], "Id", [self.user_id])[0]

    def kind(self, name: object) -> ObjectType | None:
        """Return the object of that name, in any letter case."""
        return self.objects.get(str(name).lower())

    def records(self, name: str) -> list[Record]:
        """Return the records of an object that are not deleted, oldest first."""
        kind = self.kind(name)
        if kind is None:
            raise KeyError(f"The org has no object {name}.")
        with self.lock:
            self.catch_up()
            found = self.store.records(kind)
        checkboxes = [field.name for field in kind.all_fields if field.type == "boolean"]
        for record in found:
            record.update({name: bool(record[name]) for name in checkboxes})
        return found

    def catch_up(self) -> None:
        """Let happen all that is due by now."""
        with self.lock:
            self.engine.run_until(self.clock.time())

    def note_request(self, method: str, path: str, status: int) -> None:
        """Remember a request that was answered; one beyond those of the day does not count."""
        if self.requests_left:
            self._request_times.append(self.clock.time())
        self.requests.append((method, path, status))

    @property
    def request_count(self) -> int:
        """How many requests the last 24 hours had."""
        oldest = self.clock.time() - DAY
        while self._request_times and self._request_times[0] <= oldest:
            self._request_times.popleft()
        return len(self._request_times)

    @property
    def requests_left(self) -> int:
        """How many more requests the day allows."""
        return max(0, self.daily_requests - self.request_count)

    def new_job(
        self,
        type_: str,
        version: str,
        *,
        user: str | None = None,
        at: float | None = None,
        **values: Any,
    ) -> Row:
        """Make a job, by default of the running user and now, and return it."""
        now = self.clock.time() if at is None else at
        if values.get("operation") == "hardDelete" and not (user or self._running_user.hard_delete):
            raise DeniedError(
                "FeatureNotEnabled",
                "hardDelete operation requires special user profile permission, please contact"
                " your system administrator",
            )
        with self.store.transaction():
            (key,) = self.store.new_ids(ids.JOB)
            if user is None:
                self.faults.count_job(key)
                if self.faults.of_job("other_user", key):
                    user = self.create_user(*_SOMEBODY_ELSE)
            self.store.insert(
                "job",
                id=key,
                type=type_,
                place=self._place(key),
                api_version=version,
                created_by=user or self.user_id,
                created=now,
                modified=now,
                **values,
            )
        return self.store.get_job(key)

    def _place(self, key: str) -> int:
        """Return where a job stands in lists: anywhere, but always in the same place."""
        digest = hashlib.blake2b(f"{self.seed} {key}".encode(), digest_size=7).digest()
        return 1 + int.from_bytes(digest)
