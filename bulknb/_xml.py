"""XML of Bulk API 1.0 -> plain dicts, by a strict reader.

The documents are small and flat: a root, its children, and in lists one level more. A document
type is refused, and with it every entity trick; so are great size and depth.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from .errors import UnexpectedAnswerError

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"

_MAX_BYTES = 10_000_000
_MAX_DEPTH = 16

#: An element is its text, or a dict of its children; a child that repeats becomes a list.
Element = str | dict[str, Any]


def read_xml(document: str | bytes) -> tuple[str, Element]:
    """Return the root's name and content.

    Raises
    ------
    UnexpectedAnswerError
        The document is not well-formed, has a DOCTYPE, or is deeper or larger than any
        document of the Bulk API.
    """
    data = document.encode() if isinstance(document, str) else document
    if len(data) > _MAX_BYTES:
        raise UnexpectedAnswerError(f"An XML answer of {len(data):,} bytes was refused")
    reader = _Reader()
    failure = None
    try:
        # Fed in one piece: expat before 2.6 takes quadratic time on pieces of a long token.
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        failure = f"An answer that should be XML is not: {expat.ErrorString(error.code)}"
    if failure:
        raise UnexpectedAnswerError(failure)
    return reader.root


class _Reader:
    """Collects elements; each open element is (name, children, text pieces)."""

    def __init__(self) -> None:
        self.root: tuple[str, Element] = ("", "")
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse_doctype(self, *_: object) -> None:
        raise UnexpectedAnswerError("An XML answer with a DOCTYPE was refused")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise UnexpectedAnswerError("An XML answer that is nested too deeply was refused")
        self._open.append((name.rpartition(" ")[2], {}, []))

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1][2].append(text)

    def _end(self, _name: str) -> None:
        name, children, pieces = self._open.pop()
        content: Element = children or "".join(pieces)
        if not self._open:
            self.root = (name, content)
            return
        siblings = self._open[-1][1]
        if name not in siblings:
            siblings[name] = content
        elif isinstance(siblings[name], list):
            siblings[name].append(content)
        else:
            siblings[name] = [siblings[name], content]


def write_xml(root: str, children: dict[str, str]) -> bytes:
    """Return a request document: one root, flat children in the given order."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<{root}",
        f'   xmlns="{NAMESPACE}">',
        *(f" <{name}>{escape(text)}</{name}>" for name, text in children.items()),
        f"</{root}>",
    ]
    return "\n".join(lines).encode()
