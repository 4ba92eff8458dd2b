"""What a query is to do, checked and decided before anything is sent, and kept on disk as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from . import _selection
from ._jobs import PkChunking, check_api, pk_chunking_header
from ._query_slices import Slices, demand_only_where, sliced
from ._query_types import column_types
from ._wire import Wire
from .errors import InputError

__all__ = ["Part", "Plan", "plan"]

Api = Literal["1.0", "2.0"]

_FORMAT = 1
_FILE = "query.json"


@dataclass(frozen=True)
class Part:
    """One job of a query: its SOQL, and its id once it is made."""

    soql: str
    job: str | None = None


@dataclass(frozen=True)
class Plan:
    """A query that passed."""

    soql: str
    object: str
    operation: str
    api: Api
    page_rows: int | None
    #: Lower-cased column -> type in the describe; None gives texts.
    types: Mapping[str, str] | None
    #: The value of the header Sforce-Enable-PKChunking, "" for none.
    chunking: str
    parts: tuple[Part, ...]

    def begin(self, folder: Path) -> None:
        """Keep the plan in a folder of its own.

        Raises
        ------
        InputError
            The folder holds a query already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _FILE).exists():
            raise InputError(
                f"{folder} holds a query: org.resume_query() goes on with it; "
                "a new one needs another folder"
            )
        self.save(folder)

    def with_job(self, number: int, id: str) -> Plan:
        """Return the plan with the id of a part's job."""
        parts = list(self.parts)
        parts[number] = dataclasses.replace(parts[number], job=id)
        return dataclasses.replace(self, parts=tuple(parts))

    def save(self, folder: Path) -> None:
        """Write the plan into a folder, whole or not at all."""
        said = {"format": _FORMAT, **dataclasses.asdict(self)}
        unfinished = folder / f"{_FILE}.part"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(said, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the plan that a folder holds.

        Raises
        ------
        InputError
            It holds none, or one of a later bulknb.
        """
        try:
            said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            if said.pop("format") == _FORMAT:
                parts = tuple(Part(**part) for part in said.pop("parts"))
                return cls(**said, parts=parts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass
        raise InputError(f"{folder} holds no query: org.query(..., folder=...) makes one")


def plan(
    wire: Wire,
    soql: str,
    *,
    api: Api = "2.0",
    all_rows: bool = False,
    types: bool = True,
    page_rows: int | None = None,
    pk_chunking: PkChunking = False,
    slices: Slices | None = None,
) -> Plan:
    """Check a query and return what is to be done.

    Raises
    ------
    InputError
        It is none that the Bulk API answers; says what to do instead.
    """
    if page_rows is not None and page_rows < 1:
        raise InputError("page_rows is 1 or more")
    check_api(api)
    chunking = pk_chunking_header(pk_chunking, api)
    selection = _selection.read(soql)
    if chunking:
        demand_only_where(selection, "pk_chunking=")
    known = column_types(wire, selection) if types else None
    operation = "queryAll" if all_rows else "query"
    texts = [soql] if slices is None else sliced(wire, selection, slices)
    parts = tuple(Part(text) for text in texts)
    return Plan(soql, selection.object, operation, api, page_rows, known, chunking, parts)
