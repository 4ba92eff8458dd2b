"""What a job, a load or a query shows of itself: one value, drawn as HTML and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ._html import Bar, Cell, Mark, Step, Tone, strip, table

__all__ = ["Card", "Reasons", "as_of", "moment", "stepper"]

#: A fact's name and value, with what is shown over it.
Fact = tuple[str, Cell]


@dataclass(frozen=True)
class Reasons:
    """A table below a card: its title, its columns and whether they hold numbers, its rows."""

    title: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Card:
    """A title, how far it is, numbers, and what deserves a look.

    `tone` colours its edge; it repeats what the steps say in words.
    """

    title: str
    subtitle: Sequence[str] = ()
    steps: Sequence[Step] = ()
    bars: Sequence[Bar] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    reasons: Reasons | None = None
    tone: Tone = ""

    def html(self) -> str:
        """Return the card as HTML; everything is escaped."""
        head = strip(
            self.title,
            [*filter(None, self.subtitle)],
            self.facts,
            tone=self.tone,
            steps=self.steps,
            bars=self.bars,
            notes=self.notes,
        )
        if self.reasons is None:
            return head
        below = table(self.reasons.title, self.reasons.columns, self.reasons.rows, wrap=True)
        return head + below

    def text(self) -> str:
        """Return the same as text, a fact a line."""
        facts = [*self._state(), *((name, cell.text) for name, cell in self.facts)]
        width = max((len(name) for name, _ in facts), default=0)
        lines = [" · ".join(filter(None, [self.title, *self.subtitle]))]
        lines += [f"  {name:{width}}  {value}" for name, value in facts]
        lines += [f"  {note}" for note in self.notes if note]
        if self.reasons:
            lines.append(f"  {self.reasons.title}:")
            lines += [
                "    " + " · ".join(cell.text for cell in row if cell.text)
                for row in self.reasons.rows
            ]
        return "\n".join(lines)

    @property
    def state(self) -> str:
        """The name of the present step, "" if it is not known."""
        return next((step.name for step in self.steps if step.present), "")

    def _state(self) -> list[tuple[str, str]]:
        return [
            ("State", f"{step.name} ({step.note})" if step.note else step.name)
            for step in self.steps
            if step.present
        ]


def stepper(
    path: Sequence[str], at: str, notes: dict[str, str], *, bad: bool = False, ended: bool = False
) -> list[Step]:
    """Return the steps of a path, of which one is the present, with a note to some of them."""
    if at not in path:
        return []
    here = path.index(at)
    now: Mark = "bad" if bad else "end" if ended else "now"
    marks: list[Mark] = [
        "past" if place < here else now if place == here else "ahead" for place in range(len(path))
    ]
    return [Step(name, mark, notes.get(name, "")) for name, mark in zip(path, marks, strict=True)]


def moment(when: datetime) -> str:
    """Return an exact moment, as it is shown on hover."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def as_of(seconds: float | None) -> str:
    """Return since when a card is as it is, given seconds since the epoch; "" for None."""
    return "" if seconds is None else f"as of {moment(datetime.fromtimestamp(seconds, UTC))}"
