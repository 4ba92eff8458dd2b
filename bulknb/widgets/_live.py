"""What a live view needs of Jupyter, beside its widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
from IPython.core.getipython import get_ipython
from IPython.display import display

__all__ = [
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

#: Roots that were on a page and are on none any more.
_left: set[ipywidgets.DOMWidget] = set()


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code; else nobody could click."""
    return hasattr(get_ipython(), "kernel")


def view_bundle(root: ipywidgets.DOMWidget) -> dict[str, Any]:
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


def close_when_left(root: ipywidgets.DOMWidget) -> None:
    """Close `root` some time after its last view has gone; `open_tree` brings it back.

    Front ends count their views of a model that has a count: 0 again means that the output was
    cleared or its cell run anew. It may also mean that the cell is being moved, and the view comes
    back: so it is closed only when one more is made, as by the cell that runs anew.
    """
    while _left:
        close_tree(_left.pop())

    def counted(change: dict[str, Any]) -> None:
        (_left.discard if change["new"] else _left.add)(root)

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


def _tree(root: ipywidgets.DOMWidget) -> Iterator[ipywidgets.DOMWidget]:
    yield root
    for child in getattr(root, "children", ()):
        yield from _tree(child)
