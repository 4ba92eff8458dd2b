"""A figure -> an SVG element that can stand in a page, next to others, and be read aloud."""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree
from xml.parsers import expat

import matplotlib as mpl
from matplotlib.figure import Figure

from ._parts import Picture

_REFERENCE = re.compile(r"#([\w.-]+)")
_FONTS = re.compile(r"font-family: [^;]*; ?")
#: What neither HTML nor XML can hold.
_CONTROLS = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]"
)


def picture(figure: Figure, name: str, *, title: str, description: str) -> Picture:
    """Return a figure as an SVG element. Its texts stay texts, in the typeface of the page.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Begins each id in it: for each picture of a page another one.
    title, description : str
        What it is, and what it shows, for those who do not see it.
    """
    root = _parsed(clean(_drawn(figure)))
    _leave_out(root, ("metadata", "style"))  # a style would count for the whole page
    _name_ids(root, name)
    for attribute in ("width", "height"):
        del root.attrib[attribute]
    labels = {"title": title, "desc": description}
    root.attrib |= {"role": "img", "aria-labelledby": " ".join(f"{name}-{tag}" for tag in labels)}
    for at, (tag, said) in enumerate(labels.items()):
        label = ElementTree.Element(tag, id=f"{name}-{tag}")
        label.text = clean(said)
        root.insert(at, label)
    return Picture(ElementTree.tostring(root, encoding="unicode"), title)


def clean(text: str) -> str:
    """Return the text with what no page can hold replaced."""
    return _CONTROLS.sub("\ufffd", text)


def _drawn(figure: Figure) -> str:
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # Its own typeface is only measured with: a browser finds one that has the character.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _parsed(document: str) -> ElementTree.Element:
    """Read the document with prefixes as they stand: HTML knows those of SVG, and no namespaces."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(document, True)
    return builder.close()


def _leave_out(root: ElementTree.Element, tags: tuple[str, ...]) -> None:
    for parent in root.iter():
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _name_ids(root: ElementTree.Element, name: str) -> None:
    """Keep the ids that something refers to, numbered: matplotlib's own are random."""
    ids = {element.attrib.pop("id", ""): element for element in root.iter()}
    names: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        if found[1] not in ids:
            return found[0]  # a colour
        return f"#{names.setdefault(found[1], f'{name}-{len(names)}')}"

    for element in root.iter():
        for attribute, value in element.attrib.items():
            element.set(attribute, _REFERENCE.sub(renamed, _FONTS.sub("", value)))
    for id, known in names.items():
        ids[id].set("id", known)
