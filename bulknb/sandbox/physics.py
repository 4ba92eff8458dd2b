"""How long things take: the wait in the queue, a transaction, a query, a locked record.

All is varied by a few percent, always the same for the same seed.
"""

import hashlib

from bulknb.sandbox.schema import ObjectType

QUEUE_SECONDS = (1.0, 3.0)
QUEUE_SECONDS_PER_JOB = 0.5
QUERY_MS = 400
QUERY_MS_PER_ROW = 0.01
TRANSACTION_MS = 20
# Reading a batch, and each row of it, and writing what became of them.
SERIALIZATION_MS = 60
SERIALIZATION_MS_PER_ROW = 0.15
# How long a transaction stands back from a parent record that another one holds; ours.
LOCK_SECONDS = 1.0


class Physics:
    """What things cost.

    Parameters
    ----------
    seed : int
        What the variation depends on.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def queue_seconds(self, key: str, jobs: int) -> float:
        """Return how long a job or batch waits in the queue: longer if other jobs are at work."""
        shortest, longest = QUEUE_SECONDS
        others = QUEUE_SECONDS_PER_JOB * jobs
        return shortest + others + (longest - shortest) * self._noise(key, "queue")

    def reading_seconds(self, batch: str, rows: int) -> float:
        """Return how long reading a batch takes, before its first transaction."""
        reading = SERIALIZATION_MS + SERIALIZATION_MS_PER_ROW * rows
        return reading * self._vary(batch, "read") / 1000

    def transaction_ms(
        self, kind: ObjectType, batch: str, first: int, rows: int
    ) -> tuple[int, int]:
        """Return the active and the Apex milliseconds of the transaction from a row on."""
        api = (TRANSACTION_MS + kind.api_ms_per_row * rows) * self._vary(batch, "api", first)
        apex = round(kind.apex_ms_per_row * rows * self._vary(batch, "apex", first))
        return round(api) + apex, apex

    def query_ms(self, key: str, rows: int) -> int:
        """Return how long a query takes, in milliseconds."""
        return round((QUERY_MS + QUERY_MS_PER_ROW * rows) * self._vary(key, "query"))

    def lock_seconds(self, batch: str, retries: int) -> float:
        """Return how long a batch waits before it tries once more to lock its parents."""
        return LOCK_SECONDS * self._vary(batch, "lock", retries)

    def _vary(self, *key: object) -> float:
        """Return a factor from 0.9 to 1.1."""
        return 0.9 + 0.2 * self._noise(*key)

    def _noise(self, *key: object) -> float:
        """Return a number from 0 to 1 that depends on the seed and the key alone."""
        text = repr((self._seed, *key)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64
