"""What the live panels have in common: how they are drawn, asked, and frozen at the end."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ipywidgets

from .._watch import Watch
from ..errors import BulkError
from ._live import (
    answer_while_busy,
    close_tree,
    close_when_left,
    in_notebook,
    open_tree,
    publish,
    view_bundle,
)

__all__ = ["LivePanel", "button", "stays"]

log = logging.getLogger("bulknb.widgets")

#: A label cuts long text; the server's words are to be read in full.
_WRAP = """<style>
.jupyter-widgets.bulknb-message {
  white-space: normal; height: auto; line-height: 1.5; padding-top: 4px
}
</style>"""
#: Below the text of the table, beside its coloured edge.
_BELOW = {"margin": "4px 0 0 10px", "flex_flow": "row wrap"}


class LivePanel(ABC):
    """A table that stays live, with a button to abort what it shows.

    Drawn as widgets while its subject goes on; then a static table takes their place, which stays
    in the saved notebook. Clicks are only handed on: what they ask for runs on the watch's thread.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(
        self,
        noun: str,
        abort: Callable[[], object],
        *,
        verbs: Sequence[ipywidgets.Button] = (),
        rows: int | None = None,
        watch: Watch,
    ) -> None:
        self.rows = rows
        self._watch = watch
        # Clicks come on a subshell's thread or the main one, news on other threads.
        self._lock = threading.RLock()
        self._handles: list[Any] = []
        self._displayed_at = watch.clock.monotonic()
        self._viewed = False
        self._asking = False
        self._frozen = False
        self._pending = ""
        self._refusal = ""
        self.card = ipywidgets.HTML()
        self.abort_button = button("Abort", f"Abort the {noun}; asks once more")
        self.progress = ipywidgets.IntProgress(
            max=rows or 1,
            layout={"width": "16em", "display": None if rows else "none"},
            style={"description_width": "3em"},
        )
        self.message = ipywidgets.Label(layout={"flex": "1 1 20em", "margin": "0 0 0 8px"})
        self.message.add_class("bulknb-message")
        self.question = ipywidgets.Label()
        self.confirm_button = button(f"Abort {noun}", f"Abort the {noun} now", style="danger")
        self.keep_button = button("Keep running", f"Leave the {noun} as it is")
        self.verbs = ipywidgets.HBox(
            [*verbs, self.abort_button, self.progress, self.message], layout=_BELOW
        )
        self.confirmation = ipywidgets.HBox(
            [self.question, self.confirm_button, self.keep_button], layout=_BELOW
        )
        self.box = ipywidgets.VBox([self.card, self.verbs, self.confirmation])
        self.abort_button.on_click(partial(self._ask, True))
        self.keep_button.on_click(partial(self._ask, False))
        self.confirm_button.on_click(partial(self._clicked, "Abort", abort))
        close_when_left(self.box)
        self.box.observe(self._views_changed, "_view_count")
        answer_while_busy(self.box)

    # What a panel is of

    @property
    @abstractmethod
    def _ended(self) -> bool:
        """Whether its subject has come to its end."""

    @abstractmethod
    def _repaint(self) -> None:
        """Paint what is known by now."""

    @abstractmethod
    def _follow(self) -> None:
        """Begin, or go on, to be told of news."""

    @abstractmethod
    def _unfollow(self) -> None:
        """Be told no more."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """Return the static twin."""

    # How it is drawn

    def _paint(
        self, table: str, words: str, *, can_abort: bool, question: str, processed: int | None
    ) -> None:
        self.card.value = table + _WRAP
        self.message.value = self._pending or words
        self.abort_button.disabled = bool(self._pending) or not can_abort
        self.question.value = question
        asking = self._asking and not self.abort_button.disabled
        self.confirm_button.disabled = not asking
        self.verbs.layout.display = "none" if asking else None
        self.confirmation.layout.display = None if asking else "none"
        if self.rows:
            self.progress.value = min(processed or 0, self.rows)
            self.progress.description = f"{self.progress.value / self.rows:.0%}"

    def _ipython_display_(self) -> None:
        with self._lock:
            if self._ended:
                self._freeze()
            if self._frozen or not in_notebook():
                publish(self._static(), raw=True)
                return
            open_tree(self.box)
            bundle = {**self._static(), **view_bundle(self.box)}
            handle = publish(bundle, raw=True, display_id=True)
            self._handles.append(handle)
            self._displayed_at = self._watch.clock.monotonic()
        self._follow()

    def close(self) -> None:
        """Take the panel off the screen; what it shows goes on."""
        self._unfollow()
        close_tree(self.box)

    def _freeze(self) -> None:
        """Put the static twin in the live panel's place: saved notebooks show it everywhere."""
        self._frozen = True
        for handle in self._handles:
            handle.update(self._static(), raw=True)
        # Where they have been drawn they stay until their last view has gone: Voila does not take
        # display updates and goes on showing them.
        if not self._handles and not self._viewed:
            close_tree(self.box)

    def _static(self) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _views_changed(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._viewed = True
            if not self._frozen:
                self._follow()
        elif self._frozen:
            close_tree(self.box)
        else:
            self._unfollow()

    # What clicks do

    def _ask(self, asking: bool, _: ipywidgets.Button) -> None:
        with self._lock:
            self._asking = asking
            self._repaint()
        # The keyboard goes on where the eye is; Enter pressed twice must not abort.
        (self.keep_button if asking else self.abort_button).focus()

    def _clicked(self, verb: str, act: Callable[[], object], clicked: ipywidgets.Button) -> None:
        """Only hand it on: all clicks of a kernel share one thread, and the network is slow."""
        with self._lock:
            if clicked.disabled:  # the second click of a double click
                return
            self._pending = f"{verb}: asking the server …"
            self._asking = False
            self._repaint()
        self._watch.submit(partial(self._act, act))

    def _act(self, act: Callable[[], object]) -> None:
        """Run a verb, on the watch's thread, and say what came of it."""
        refusal = ""
        try:
            act()
        except BulkError as error:
            refusal = str(error)
        except Exception as error:
            log.exception("A button of %s broke", type(self).__name__)
            refusal = f"bulknb itself broke ({type(error).__name__}); its log says where"
        with self._lock:
            self._pending, self._refusal = "", refusal
            self._repaint()
        self._follow()  # to be told of what the act has changed


def button(text: str, tooltip: str, style: str = "") -> ipywidgets.Button:
    """Return a button as wide as its text."""
    layout = {"width": "auto", "min_width": "5em"}
    return ipywidgets.Button(description=text, tooltip=tooltip, button_style=style, layout=layout)


def stays(written: int) -> str:
    """Return the end of the question before an abort: what it does not undo."""
    rows = {0: "rows", 1: "1 row"}.get(written, f"{written:,} rows")
    return f"{rows} already written {'stays' if written == 1 else 'stay'} written."
