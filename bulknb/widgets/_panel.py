"""What the live panels have in common: how they are drawn, asked, and frozen at the end."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets

from .._card import Card
from .._html import NO_MATH
from .._watch import Watch
from ..errors import BulkError
from ._live import (
    Aid,
    Bundle,
    Drawing,
    answer_while_busy,
    close_tree,
    close_when_left,
    in_notebook,
    open_tree,
    publish,
    view_bundle,
)

__all__ = ["Ask", "LivePanel", "button", "stays"]

log = logging.getLogger("bulknb.widgets")

#: A label cuts long text; the server's words are to be read in full. Jupyter's own ring around the
#: button that has the focus is too faint. When the kernel has gone, Jupyter marks each widget that
#: it had drawn: no button stays that nobody answers, and one line says why.
_STYLE = """<style>
.jupyter-widgets.bulknb-words { white-space: normal; height: auto; line-height: 1.5 }
.bulknb-live .jupyter-button:focus-visible
{ outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px }
.jupyter-widgets.bulknb-gone { display: none }
.jupyter-widgets.bulknb-gone.jupyter-widgets-disconnected { display: block }
.jupyter-widgets.bulknb-verbs.jupyter-widgets-disconnected { display: none }
.bulknb-live.jupyter-widgets-disconnected::before,
.bulknb-live .jupyter-widgets-disconnected:not(.bulknb-gone)::before { display: none }
</style>"""
_GONE = "The kernel has gone, and this is how things were: run the cell again to see how they are."
#: Below the text of the card, beside its coloured edge; as high with buttons as without.
_BELOW = {
    "margin": "4px 0 0 12px",
    "flex_flow": "row wrap",
    "align_items": "center",
    "min_height": "36px",
}
#: So often at most, but for a new state: each time the notebook counts as changed.
_SAVE_SECONDS = 60.0
_NO_VERBS: Mapping[str, ipywidgets.Button] = {}


@dataclass
class Ask:
    """An act that is confirmed, inline, before it is done: its button, what it does, its words."""

    button: ipywidgets.Button
    act: Callable[[], object]
    confirm: str
    keep: str = "Keep running"
    style: str = "danger"
    question: str = ""


class LivePanel(ABC):
    """A card that stays live, with a button to abort what it shows.

    Drawn as widgets while its subject goes on; then a static card takes their place, which stays in
    the saved notebook. Clicks are only handed on: what they ask for runs on the watch's thread.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(
        self,
        noun: str,
        of: str,
        abort: Callable[[], object],
        *,
        verbs: Mapping[str, ipywidgets.Button] = _NO_VERBS,
        watch: Watch,
    ) -> None:
        self._of = of
        self._watch = watch
        # Clicks come on a subshell's thread or the main one, news on other threads.
        self._lock = threading.RLock()
        self._drawings: list[Drawing] = []
        self._displayed_at = watch.clock.monotonic()
        self._saved = ("", 0.0)
        self._viewed = False
        self._frozen = False
        self._asking: Ask | None = None
        self._pending = ""
        self._refusal = ""
        self.card = ipywidgets.HTML()
        self.aid = Aid()
        self.abort_button = button("Abort", f"Abort {of}; asks once more", "abort")
        self.message = _words(flex="1 1 20em", margin="0 0 0 8px")
        self.question = _words(margin="0 8px 0 2px")
        self.confirm_button = button(f"Abort {noun}", "Do it now", "confirm")
        self.keep_button = button("Keep running", "Leave it as it is (Esc)", "keep")
        self._abort = Ask(self.abort_button, abort, f"Abort {noun}")
        gone = _words(_GONE, margin="0 0 0 14px")
        gone.add_class("bulknb-gone")
        asked = {"confirm": self.confirm_button, "keep": self.keep_button}
        verbs = {**verbs, "abort": self.abort_button}
        self._buttons = verbs | asked
        self.verbs = ipywidgets.HBox([*verbs.values(), self.message], layout=_BELOW)
        self.confirmation = ipywidgets.HBox([self.question, *asked.values()], layout=_BELOW)
        self.controls = ipywidgets.VBox([self.verbs, self.confirmation, gone, self.aid])
        self.controls.add_class("bulknb-panel")
        self.box = ipywidgets.VBox([self.card, self.controls])
        #: The controls alone, for what can still be done when the card is frozen.
        self.rest = ipywidgets.VBox([self.controls])
        self._on(self.abort_button, partial(self._ask, self._abort))
        self._on(self.keep_button, self._keep)
        self._on(self.confirm_button, self._confirm)
        for row in (self.verbs, self.confirmation):
            row.add_class("bulknb-verbs")
        for root in (self.box, self.rest):
            root.add_class("bulknb-live")
            # Of a frozen panel what is left closes by itself.
            close_when_left(root, self.close, unless=lambda: self._frozen)
            root.observe(self._views_changed, "_view_count")
            answer_while_busy(root)

    # What a panel is of

    @property
    @abstractmethod
    def _ended(self) -> bool:
        """Whether its subject has come to its end."""

    @abstractmethod
    def _card(self) -> Card:
        """Return what is known by now."""

    @abstractmethod
    def _repaint(self) -> None:
        """Paint what is known by now."""

    @abstractmethod
    def _follow(self) -> None:
        """Begin, or go on, to be told of news."""

    @abstractmethod
    def _unfollow(self) -> None:
        """Be told no more."""

    @property
    def _offers(self) -> bool:
        """Whether something can be done though its subject has ended."""
        return False

    # How it is drawn

    def show(self) -> None:
        """Draw the panel in the output of this cell: again, if it was drawn before."""
        with self._lock:
            if not in_notebook() or (self._ended and not self._offers):
                publish(self._static(), raw=True)
            else:
                for root in (self.box, self.rest):
                    open_tree(root)
                self._drawings.append(Drawing(self.box, self._static()))
                self._saved = ("", 0.0)  # the first look tells more
                self._displayed_at = self._watch.clock.monotonic()
            if self._ended:
                self._freeze()
        if not self._frozen:
            self._follow()

    def _ipython_display_(self) -> None:
        self.show()

    def __repr__(self) -> str:
        return self._card().text()

    def _repr_html_(self) -> str:
        return self._card().html()

    def close(self) -> None:
        """Take the panel off the screen; what it shows goes on."""
        self._unfollow()
        close_tree(self.box)
        close_tree(self.rest)

    def _paint(self, card: Card, words: str, *, state: str | None = None) -> None:
        """Paint a card, some words beside the buttons, and what is being asked."""
        self.card.value = card.html() + _STYLE
        self.message.value = self._pending or words
        if self._asking and self._asking.button.disabled and not self._pending:
            self._asking = None  # it ended meanwhile
        asking = None if self._pending else self._asking
        self.confirm_button.disabled = not asking
        if asking:
            self.question.value = asking.question
            self.confirm_button.description = asking.confirm
            self.confirm_button.button_style = asking.style
            self.keep_button.description = asking.keep
        self.verbs.layout.display = "none" if asking else None
        self.confirmation.layout.display = None if asking else "none"
        self.aid.names = {f"bulknb-{kind}": self._name(kind) for kind in self._buttons}
        state = f"{self._of}: {card.state if state is None else state}"
        said = (state, self._pending or words, asking.question if asking else "")
        self.aid.status = ". ".join(filter(None, said))
        self._save(state)

    def _name(self, kind: str) -> str:
        """Return a button's name for those who do not see what it stands below."""
        text = self._buttons[kind].description
        return f"{text} {self._of}" if kind in ("close", "abort") else f"{text}: {self._of}"

    def _save(self, state: str) -> None:
        """Have a new state in the notebook when it is saved, and now and then new numbers."""
        now = self._watch.clock.monotonic()
        before, at = self._saved
        if not self._frozen and (state != before or now - at >= _SAVE_SECONDS):
            self._saved = (state, now)
            for drawing in self._drawings:
                drawing.save(self._static())

    def _freeze(self) -> None:
        """Put the static twin in the live panel's place: saved notebooks show it everywhere."""
        self._frozen = True
        after = {"text/plain": "", **view_bundle(self.rest)} if self._offers else {}
        for drawing in self._drawings:
            drawing.freeze(self._static(), after)
        # Where they have been drawn they stay until their last view has gone: Voila does not take
        # display updates and goes on showing them.
        if not self._drawings and not self._viewed:
            self.close()

    def _static(self) -> Bundle:
        card = self._card()
        return {"text/plain": card.text(), "text/html": card.html()}

    def _views_changed(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._viewed = True
            if not self._frozen:
                self._follow()
        elif not self._frozen:
            self._unfollow()
        elif change["owner"] is self.rest or not self._offers:
            self.close()

    # What clicks do

    def _on(self, clicked: ipywidgets.Button, act: Callable[[], object]) -> None:
        """Have a button do something; ipywidgets would only log what goes wrong."""

        def safely(_: ipywidgets.Button) -> None:
            try:
                act()
            except Exception as error:
                log.exception("A button of %s broke", type(self).__name__)
                self.message.value = _broke(error)

        clicked.on_click(safely)

    def _ask(self, ask: Ask) -> None:
        with self._lock:
            self._asking = ask
            self._repaint()
        # The keyboard goes on where the eye is; Enter pressed twice must not abort.
        self.keep_button.focus()

    def _keep(self) -> None:
        with self._lock:
            asked, self._asking = self._asking, None
            self._repaint()
        if asked:
            asked.button.focus()

    def _confirm(self) -> None:
        with self._lock:
            if self._asking:  # else it is the second click of a double click
                verb = self._asking.button.description
                self._hand_on(verb, self._asking.act, self.confirm_button)

    def _hand_on(self, verb: str, act: Callable[[], object], clicked: ipywidgets.Button) -> None:
        """Only hand it on: all clicks of a kernel share one thread, and the network is slow."""
        with self._lock:
            if clicked.disabled:  # the second click of a double click
                return
            self._pending = f"{verb}: asking the server …"
            self._asking = None
            self._repaint()
        self.aid.focus()  # no button has it while none can be clicked
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
            refusal = _broke(error)
        with self._lock:
            self._pending, self._refusal = "", refusal
            self._repaint()
            if self._asking:
                self.keep_button.focus()
            if self._frozen:
                self._freeze()  # the saved card says it too
        self._follow()  # to be told of what the act has changed


def button(text: str, tooltip: str, kind: str) -> ipywidgets.Button:
    """Return a button as wide as its text; `kind` is the verb that it stands for."""
    layout = {"width": "auto", "min_width": "5em"}
    made = ipywidgets.Button(description=text, tooltip=tooltip, layout=layout)
    made.add_class(f"bulknb-{kind}")
    return made


def stays(written: int) -> str:
    """Return the end of the question before an abort: what it does not undo."""
    rows = {0: "Rows", 1: "1 row"}.get(written, f"{written:,} rows")
    return f"{rows} already written {'stays' if written == 1 else 'stay'} written."


def _words(text: str = "", **layout: str) -> ipywidgets.Label:
    words = ipywidgets.Label(text, layout=layout)
    for name in ("bulknb-words", *NO_MATH.split()):
        words.add_class(name)
    return words


def _broke(error: Exception) -> str:
    return f"bulknb itself broke ({type(error).__name__}); its log says where"
