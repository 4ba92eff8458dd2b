"""XML as Bulk API 1.0 reads and writes it.

The layout of answers (line breaks, one space of indentation per level, no last line end) is
the one of recorded bodies.
"""

import re
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"

# Characters that XML cannot hold, not even escaped.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

# Nested (name, value) pairs; a value is text, a number, or the element's children.
Tree = Iterable[tuple[str, object]]


class XmlError(ValueError):
    """A request body that is not XML, or that carries a document type."""


def read(body: bytes) -> Element:
    """Return the root of a document, its names without namespaces.

    A document type declaration is refused, since entities can make a small body huge.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, attributes: Mapping[str, str]) -> None:
        builder.start(_local(name), {"nil": attributes[_NIL]} if _NIL in attributes else {})

    def refuse(*_: object) -> None:
        raise XmlError("A document type declaration is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: builder.end(_local(name))
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body.strip(), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise XmlError(str(error)) from None
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def document(root: str, children: Tree) -> str:
    """Return a whole answer."""
    head = f'<?xml version="1.0" encoding="UTF-8"?><{root}\n   xmlns="{NAMESPACE}"'
    inner = _write(children, 1)
    return f"{head}>{inner}\n</{root}>" if inner else f"{head} />"


def _write(children: Tree, depth: int) -> str:
    indent = "\n" + " " * depth
    parts = []
    for name, value in children:
        if isinstance(value, (list, tuple)):
            inner = _write(value, depth + 1)
            parts.append(f"{indent}<{name}>{inner}{indent}</{name}>")
        else:
            parts.append(f"{indent}<{name}>{text(value)}</{name}>")
    return "".join(parts)


def text(value: object) -> str:
    """Return a value as XML writes it, escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)))
