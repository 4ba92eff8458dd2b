"""The live panel of a load: how far it is, what became of the rows, and those to send again."""

from __future__ import annotations

from functools import partial

import ipywidgets

from .._card import Card, as_of
from .._jobs.confirm import production_name
from .._load import Load
from .._load_card import card, counted, retryable
from .._pace import Meter
from .._watch import Watch, shared_watch
from ._live import answer_while_busy
from ._panel import Ask, LivePanel, button, stays

__all__ = ["LoadPanel"]


class LoadPanel(LivePanel):
    """A load, live, with buttons to close it if it is held and to abort it, or to send rows again.

    Left as the last expression of a cell it is drawn, and follows the load without blocking the
    kernel and without a request of its own; then a static card of what became of the rows takes
    its place. Where rows may pass as they are, such as after a lock, **Retry** sends them again,
    and the panel follows them. `show` draws it again.

    Parameters
    ----------
    load : Load
        The load to show.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(self, load: Load, *, watch: Watch | None = None) -> None:
        self.load = load
        #: The load of the rows that are being sent again.
        self._again: Load | None = None
        self._meter = Meter()
        self._clock = load._wire.clock
        self._seen_at = self._clock.time()
        self._shown = self._card_of(load)
        self.retry_button = button("Retry", "Send rows again; asks once more", "retry")
        self.close_button = button("Close", "Have what is uploaded processed", "close")
        self._retry = Ask(self.retry_button, self._send_again, "", "Not now", "primary")
        self.again_card = ipywidgets.HTML()
        super().__init__(
            "load",
            f"load of {load.object}",
            self._abort_now,
            verbs={"close": self.close_button, "retry": self.retry_button},
            watch=watch or shared_watch(),
        )
        self.controls.children = [self.again_card, *self.controls.children]
        answer_while_busy(self.controls)
        close = partial(self._hand_on, "Close", load.close, self.close_button)
        self._on(self.close_button, close)
        prepare = partial(self._hand_on, "Retry", self._prepare, self.retry_button)
        self._on(self.retry_button, prepare)
        self._repaint()

    @property
    def _ended(self) -> bool:
        return self.load.done

    @property
    def _offers(self) -> bool:
        return self.load.done and bool(self._again or retryable(self.load))

    def _card(self) -> Card:
        return self._card_of(self.load, self._refusal)

    def _card_of(self, load: Load, note: str = "") -> Card:
        return card(load, meter=self._meter, seen=as_of(self._seen_at), note=note)

    def _repaint(self) -> None:
        with self._lock:
            again, ended = self._again, self.load.done
            if again is None:
                self._shown = self._card()
            rows = retryable(self.load) if ended and not again else 0
            self._set(self.close_button, shown=self.load.held)
            self._set(self.retry_button, shown=bool(rows))
            self._set(self.abort_button, shown=bool(again) or not ended)
            self.retry_button.description = self._retry.confirm = f"Retry {counted(rows)}"
            now = again or self.load
            written = now.progress.processed - now.progress.failed
            what_stays = "Nothing was written yet." if now.held else stays(written)
            self._abort.question = f"Abort this load? {what_stays}"
            under_way = again and self._card_of(again)
            self.again_card.value = under_way.html() if under_way else ""
            state = f"sent again, {under_way.state}" if under_way else self._shown.state
            self._paint(self._shown, self._refusal, state=state)

    def _set(self, verb: ipywidgets.Button, *, shown: bool) -> None:
        verb.layout.display = None if shown else "none"
        verb.disabled = bool(self._pending) or not shown

    def _follow(self) -> None:
        self.load.listen(self._told)

    def _unfollow(self) -> None:
        self.load.unlisten(self._told)
        if self._again:
            self._again.unlisten(self._told)

    def _told(self, load: Load) -> None:
        """Paint what a load says, be it this one or that of the rows that are sent again."""
        with self._lock:
            self._seen_at = self._clock.time()
            self._meter.add(self._clock.monotonic(), load.progress.processed)
            if load is self._again and load.done:
                self._again, self._refusal = None, str(load.error or "")
            self._repaint()
            if self.load.done and not self._again:
                self._freeze()

    # What clicks do

    def _abort_now(self) -> None:
        (self._again or self.load)._abort()

    def _prepare(self) -> None:
        """Ask whether to send rows again, and say so if it is into a production org."""
        org = production_name(self.load._wire)
        where = f", to the production org {org}" if org else ""
        with self._lock:
            self._retry.question = f"Send {counted(retryable(self.load))} again{where}?"
            self._asking = self._retry

    def _send_again(self) -> None:
        """Send the rows, and follow them here."""
        again = self.load.retry("transient")
        if again is self.load:  # a look showed that all are there
            return
        with self._lock:
            self._again, self._meter = again, Meter()
        again.listen(self._told)
