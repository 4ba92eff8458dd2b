"""PK chunking: one query over an object as many, each over a range of its Ids.

Source: "PK Chunking Header" (Bulk API guide).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from bulknb.sandbox import ids, syntax
from bulknb.sandbox.schema import Field, ObjectType
from bulknb.sandbox.store import Store

HEADER = "Sforce-Enable-PKChunking"
OPTIONS = frozenset({"chunkSize", "startRow", "parent"})
DEFAULT_SIZE = 100_000
MAX_SIZE = 250_000
# Each chunk is a batch, and a day allows no more batches.
MAX_CHUNKS = 15_000
NO_ID = "0" * 15


@dataclass(frozen=True)
class Chunking:
    """How a job's queries are cut.

    Attributes
    ----------
    size : int
        How many Ids a chunk spans; deleted records and WHERE leave it with fewer rows.
    start : str
        The Id at which the first chunk begins, empty for the first one there is.
    parent : str
        The object whose Ids are cut, instead of those of the queried one; empty for none.
    """

    size: int = DEFAULT_SIZE
    start: str = ""
    parent: str = ""

    @classmethod
    def read(cls, header: str) -> "Chunking | None":
        """Return what a header asks for, such as ``chunkSize=50000; startRow=001…``.

        Raises
        ------
        ValueError
            If it makes no sense.
        """
        words = [word.strip() for word in header.split(";") if word.strip()]
        if not words or words[0].lower() == "false":
            return None
        options: dict[str, str] = {}
        for word in words:
            name, _, value = word.partition("=")
            if name in OPTIONS:
                options[name] = value
            elif word.lower() != "true":
                raise ValueError(f"unknown option {word}")
        size = options.get("chunkSize", str(DEFAULT_SIZE))
        if not (size.isdecimal() and 1 <= int(size) <= MAX_SIZE):
            raise ValueError(f"chunkSize is not from 1 to {MAX_SIZE}")
        start = options.get("startRow", "")
        if start and ids.normal(start) is None:
            raise ValueError(f"startRow is no Id: {start}")
        return cls(int(size), start and start[:15], options.get("parent", ""))

    def field(self, kind: ObjectType) -> Field | None:
        """Return the field of the queried object that chunks are ranges of; None if it has none.

        A parent has to be one that each record has, else records would be in no chunk.
        """
        if not self.parent:
            return kind.field("Id")
        name = self.parent.lower()
        for field in kind.all_fields:
            if field.required and (field.reference_to or "").lower() == name:
                return field
        return None


def split(
    text: str,
    kind: ObjectType,
    chunking: Chunking,
    objects: Mapping[str, ObjectType],
    store: Store,
) -> list[str]:
    """Return the queries that give, all together, the records of a good query over an object.

    Raises
    ------
    ValueError
        If it cannot be cut. The texts are ours.
    """
    field = chunking.field(kind)
    if field is None:
        raise ValueError(f"PK chunking: {kind.name} has no parent {chunking.parent}")
    tree = syntax.read(text)
    if tree.order or tree.limit is not None:
        raise ValueError("PK chunking: no clause but WHERE is supported")
    end = tree.object.end_pos or len(text)
    # What follows the object is WHERE, since there is nothing else.
    condition = text[end:].strip()[len("WHERE") :].strip()
    given = f"({condition}) AND " if condition else ""
    cut = objects[chunking.parent.lower()] if chunking.parent else kind
    return [
        f"{text[:end]} WHERE {given}{field.name} >= '{first}' AND {field.name} < '{stop}'"
        for first, stop in _ranges(store.id_range(cut), chunking)
    ]


def _ranges(ends: tuple[str, str] | None, chunking: Chunking) -> list[tuple[str, str]]:
    """Return the ranges from Id to Id, the second one not included; one even if it is empty."""
    first, last = ends or (NO_ID, NO_ID)
    first = max(first[:15], chunking.start)
    if ends is None or first > last:
        return [(first, first)]
    stop = ids.number(last) + 1
    starts = range(ids.number(first), stop, chunking.size)
    if len(starts) > MAX_CHUNKS:
        raise ValueError(f"PK chunking: more than {MAX_CHUNKS} chunks")
    bounds = [ids.make(last[:3], number)[:15] for number in (*starts, stop)]
    return list(pairwise(bounds))
