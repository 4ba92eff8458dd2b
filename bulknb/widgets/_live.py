"""What a live view needs of Jupyter, beside its widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display

__all__ = [
    "Aid",
    "Drawing",
    "answer_while_busy",
    "close_tree",
    "close_when_left",
    "in_notebook",
    "open_tree",
    "publish",
    "view_bundle",
]

#: IPython's function, which has no types.
publish: Callable[..., Any] = display

#: Roots that were on a page and are on none any more, and what closes each.
_left: dict[ipywidgets.DOMWidget, Callable[[], object]] = {}
#: Of a widget whose kernel has gone JupyterLab shows an error alone, even if HTML goes with it.
_DEAD = ".jp-OutputArea-child:has(> .jupyter-widgets):not(:has(> .jupyter-widgets > *))"
#: So the widget's card follows it, out of sight, and takes the error's place.
_SPARE = f"""<div class="bulknb-spare" hidden>%s</div>
<style>
{_DEAD}:has(+ * .bulknb-spare) {{ display: none }}
{_DEAD} + * .bulknb-spare {{ display: block }}
</style>"""
#: What can still be done follows a frozen card, until its kernel has gone.
_LIVES_AFTER = f"""<style>
.jp-OutputArea-child:has(.bulknb-card) + {_DEAD} {{ display: none }}
</style>"""

Bundle = dict[str, Any]


class Aid(anywidget.AnyWidget):
    """What a panel needs of the page: a voice for news, its keys, and names for its buttons."""

    _esm = Path(__file__).parent / "panel.js"

    status = traitlets.Unicode().tag(sync=True)
    #: Class of a button -> its name for those who do not see it.
    names: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)

    def __repr__(self) -> str:
        return self.status


class Drawing:
    """A live view in a cell's output, followed by a spare for when its kernel has gone.

    Parameters
    ----------
    root : DOMWidget
        The live view.
    static : dict
        What is shown where there are no widgets, by MIME type.
    """

    def __init__(self, root: ipywidgets.DOMWidget, static: Bundle) -> None:
        self._frozen: list[Bundle | None] = [None, None]
        self._live = publish({**static, **view_bundle(root)}, raw=True, display_id=True)
        self._spare = publish(_spare(static), raw=True, display_id=True)

    def save(self, static: Bundle) -> None:
        """Have this in the notebook when it is saved."""
        self._spare.update(_spare(static), raw=True)

    def freeze(self, static: Bundle, after: Bundle) -> None:
        """Put the static twin in the live view's place: saved notebooks show it everywhere.

        `after` follows it: what can still be done.
        """
        style = _LIVES_AFTER if after else ""
        bundles = [{**static, "text/html": static["text/html"] + style}, after]
        # In this order: no button is there twice, not even for a moment.
        for handle, bundle, before in zip(
            (self._live, self._spare), bundles, self._frozen, strict=True
        ):
            if bundle != before:  # a view that is sent again is drawn again
                handle.update(bundle, raw=True)
        self._frozen = [*bundles]


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code; else nobody could click."""
    return hasattr(get_ipython(), "kernel")


def view_bundle(root: ipywidgets.DOMWidget) -> Bundle:
    """Return the part of a MIME bundle that makes a front end draw this widget."""
    bundle = root._repr_mimebundle_() or {}
    return {kind: data for kind, data in bundle.items() if "widget-view" in kind}


def answer_while_busy(root: ipywidgets.DOMWidget) -> None:
    """Let clicks below `root` be answered while a cell runs.

    Front ends send clicks over a subshell of the kernel, which is free while a cell runs. ipykernel
    7.4 overrules them: it answers on the shell that last published on the widget's comm, which for
    a widget made in a cell is the busy one. Without its ``_reply_subshell_for`` on the comm it
    follows the front end, as 7.1 to 7.3 did. The name is private: where it does not exist,
    nothing is done, and a browser test clicks Abort during a running cell.
    """
    for widget in _tree(root):
        if hasattr(widget.comm, "_reply_subshell_for"):
            widget.comm._reply_subshell_for = None


def close_when_left(
    root: ipywidgets.DOMWidget,
    close: Callable[[], object] | None = None,
    *,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """Close `root` some time after its last view has gone; `open_tree` brings it back.

    Front ends count their views of a model that has a count: 0 again means that the output was
    cleared or its cell run anew. It may also mean that the cell is being moved, and the view comes
    back: so it is closed only when one more is made, as by the cell that runs anew.
    """
    while _left:
        _left.popitem()[1]()

    def counted(change: dict[str, Any]) -> None:
        if change["new"] or unless():
            _left.pop(root, None)
        else:
            _left[root] = close or partial(close_tree, root)

    root._view_count = 0
    root.observe(counted, "_view_count")


def open_tree(root: ipywidgets.DOMWidget) -> None:
    """Make a widget that may have been closed, and all below it, ready to be drawn."""
    if root.comm is not None:
        return
    for widget in reversed([each for member in _tree(root) for each in (member, *_parts(member))]):
        widget.__dict__.pop("_repr_mimebundle_", None)  # closing has hidden the method
        widget.open()
    answer_while_busy(root)


def close_tree(root: ipywidgets.DOMWidget) -> None:
    """Close a widget with all below it: ipywidgets keeps what is not closed for ever."""
    for widget in _tree(root):
        for part in (*_parts(widget), widget):
            part.close()


def _parts(widget: ipywidgets.DOMWidget) -> tuple[ipywidgets.Widget, ...]:
    """Return the models that a widget has besides its own."""
    return (widget.layout, widget.style) if widget.has_trait("style") else (widget.layout,)


def _spare(static: Mapping[str, str]) -> Bundle:
    return {"text/plain": "", "text/html": _SPARE.replace("%s", static["text/html"], 1)}


def _tree(root: ipywidgets.DOMWidget) -> Iterator[ipywidgets.DOMWidget]:
    yield root
    for child in getattr(root, "children", ()):
        yield from _tree(child)
