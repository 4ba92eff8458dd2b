"""How rows get into the org and what became of them comes back, for each of the two APIs."""

from __future__ import annotations

from .base import Sender
from .classic import ClassicSender
from .ingest import IngestSender
from .part import Part

__all__ = ["SENDERS", "Part", "Sender"]

SENDERS: dict[str, type[Sender]] = {"1.0": ClassicSender, "2.0": IngestSender}
