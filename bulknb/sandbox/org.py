"""The org behind the server: its objects, its data, its engine, its clock, its user."""

import hashlib
import secrets
import string
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from sqlite3 import Row
from typing import Any

from bulknb.sandbox import ids, values
from bulknb.sandbox.clock import Clock
from bulknb.sandbox.engine import Engine
from bulknb.sandbox.schema import ObjectType, Record
from bulknb.sandbox.standard import STANDARD_OBJECTS
from bulknb.sandbox.store import Store

DAILY_REQUESTS = 100_000
_TOKEN_LETTERS = string.ascii_letters + string.digits + "_."


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
    """

    def __init__(
        self, clock: Clock, *, seed: int, path: str, objects: Iterable[ObjectType] = ()
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.token = _new_token()
        # Whatever touches store or engine holds this.
        self.lock = threading.RLock()
        self.store = Store(path)
        self.objects: dict[str, ObjectType] = {}
        self.engine = Engine(self.store, self.objects, seed)
        self.requests: deque[tuple[str, str, int]] = deque(maxlen=DAILY_REQUESTS)
        self.request_count = 0
        for kind in (*STANDARD_OBJECTS, *objects):
            self.create_object(kind)
        self.user_id = self.create_user("integration@example.com", "Integration", "User")

    def create_object(self, kind: ObjectType) -> ObjectType:
        """Add an object, and give it a key prefix if it has none."""
        with self.lock:
            if kind.key_prefix is None:
                kind = replace(kind, key_prefix=self._free_prefix())
            for field in kind.all_fields:
                parent = field.reference_to
                if parent and parent.lower() not in {*self.objects, kind.name.lower()}:
                    raise ValueError(f"{kind.name}.{field.name}: there is no object {parent}.")
            self.objects[kind.name.lower()] = kind
            self.store.create_table(kind)
            return kind

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
            now = values.stamp(self.clock.time())
            user = kind.blank() | {
                "Id": key,
                "OwnerId": key,
                "CreatedById": key,
                "CreatedDate": now,
                "LastModifiedDate": now,
                "SystemModstamp": now,
                "Username": username,
                "FirstName": first_name,
                "LastName": last_name,
                "Name": f"{first_name} {last_name}",
                "Email": username,
            }
            self.store.save(kind, [user])
            return key

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
        """Remember a request that was answered."""
        self.request_count += 1
        self.requests.append((method, path, status))

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
        with self.store.transaction():
            (key,) = self.store.new_ids(ids.JOB)
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


def _new_token() -> str:
    """Return a session id; its first part is the org's Id, as the Salesforce CLI expects."""
    secret = "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(64))
    return f"{ids.ORGANIZATION_ID}!{secret}"
