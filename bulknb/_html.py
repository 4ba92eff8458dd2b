"""The one place where foreign text becomes HTML, escaped.

Both kinds of table follow Jupyter's theme by its own variables, so that they read well in light
and in dark, and stay plain tables where styles are taken away (GitHub, untrusted notebooks).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from jinja2 import Environment

Tone = Literal["", "busy", "good", "warn", "bad"]

_JINJA = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)

_CARD = _JINJA.from_string(
    """\
<table class="bulknb-card" style="{{ table }}; {{ edge }}">
<caption style="{{ caption }}; {{ edge }}">{{ title }}</caption>
{% for name, value in rows %}
<tr style="{{ row }}">
<th scope="row" style="{{ head }}">{{ name }}</th><td style="{{ cell }}">{{ value }}</td>
</tr>
{% endfor %}
</table>"""
)

_STRIP = _JINJA.from_string(
    """\
<div style="overflow-x: auto"><table class="bulknb-card" style="{{ table }}; {{ edge }}">
<caption style="{{ caption }}; {{ edge }}">
{{ title }} <span style="{{ faint }}">{{ subtitle }}</span>
</caption>
<tr style="{{ row }}">
{% for name, value in rows %}
<th scope="col" style="{{ head }}; min-width: {{ 8 if loop.first else 5 }}em">{{ name }}</th>
{% endfor %}
<td style="{{ filler }}"></td>
</tr>
<tr style="{{ row }}">
{% for name, value in rows %}
<td style="{{ cell }}">{{ value }}</td>
{% endfor %}
<td></td>
</tr>
{% for note in notes %}
<tr style="{{ row }}">
<td colspan="{{ rows | length + 1 }}" style="{{ remark }}">{{ note }}</td>
</tr>
{% endfor %}
</table></div>"""
)

_TABLE = _JINJA.from_string(
    """\
<div style="overflow-x: auto"><table class="bulknb-card" style="{{ table }}">
<caption style="{{ caption }}">{{ title }}</caption>
<tr style="{{ row }}">
{% for name, right in columns %}
<th scope="col" style="{{ head }}{% if right %}; text-align: right{% endif %}">{{ name }}</th>
{% endfor %}
</tr>
{% for cells in rows %}
<tr style="{{ row }}">
{% for it in cells %}
<td style="{{ cell }}{% if columns[loop.index0][1] %}; text-align: right{% endif %}\
{% if it.tone %}; border-left: 4px solid {{ colours[it.tone] }}{% endif %}"\
{% if it.title %} title="{{ it.title }}"{% endif %}>{{ it.text }}</td>
{% endfor %}
</tr>
{% endfor %}
</table></div>"""
)

_FAINT = "color: var(--jp-ui-font-color2, inherit); font-weight: normal"
_CAPTION = "text-align: left; font-weight: 600; caption-side: top; color: inherit"
_ROW = "background: none"  # Jupyter stripes tables

_STYLES = {
    "table": "border-collapse: collapse; margin: 0.3em 0; font-variant-numeric: tabular-nums",
    "caption": f"{_CAPTION}; padding: 0.2em 0.5em; white-space: nowrap",
    "row": _ROW,
    "head": f"text-align: left; padding: 0.15em 1.5em 0.15em 0.5em; {_FAINT}",
    "cell": "text-align: left; padding: 0.15em 0.5em; white-space: pre-wrap",
}

_TABLE_STYLES = _STYLES | {
    "head": f"{_STYLES['head']}; white-space: nowrap",
    "cell": f"{_STYLES['cell']}; white-space: nowrap",
}

# Jupyter stripes and centres tables and pads its widgets' lines: each style here answers to one of
# these, so that a live panel and its static twin look the same. The columns' least widths leave
# room for the usual texts: a tick of the clock moves no column.
_PADDING = "padding: 0 10px; text-align: left; line-height: 1.6"
_STRIP_STYLES = {
    "table": "border-collapse: collapse; margin: 0; font-variant-numeric: tabular-nums; "
    "font-size: var(--jp-ui-font-size1, 13px); color: inherit",
    "caption": f"{_CAPTION}; {_PADDING}; padding-bottom: 4px; white-space: nowrap",
    "faint": f"{_FAINT}; padding-left: 0.5em",
    "row": _ROW,
    "head": f"{_PADDING}; {_FAINT}; font-size: 0.9em",
    "cell": f"{_PADDING}; font-weight: 600; white-space: nowrap",
    "filler": "width: 100%",  # takes what a long note would else give to the columns
    "remark": f"{_PADDING}; padding-top: 4px; white-space: pre-wrap",
}

_COLOURS: dict[Tone, str] = {
    "": "var(--jp-border-color1, #bdbdbd)",
    "busy": "var(--jp-info-color1, #0097a7)",
    "good": "var(--jp-success-color1, #388e3c)",
    "warn": "var(--jp-warn-color1, #f57c00)",
    "bad": "var(--jp-error-color1, #d32f2f)",
}


@dataclass(frozen=True)
class Cell:
    """A value in a table: its text, what is shown over it, and the colour of its edge."""

    text: str
    title: str = ""
    tone: Tone = ""


def table(title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a captioned table, its columns (name, whether right-aligned); all is escaped."""
    return _TABLE.render(
        title=title, columns=columns, rows=list(rows), colours=_COLOURS, **_TABLE_STYLES
    )


def card(title: str, rows: Iterable[tuple[str, object]], *, tone: Tone = "") -> str:
    """Return a captioned table of names and values, a line each; everything is escaped.

    `tone` colours its edge; it repeats what a value says in words.
    """
    return _CARD.render(title=title, rows=list(rows), edge=_edge(tone), **_STYLES)


def strip(
    title: str,
    subtitle: str,
    rows: Iterable[tuple[str, object]],
    *,
    tone: Tone = "",
    notes: Iterable[str] = (),
) -> str:
    """Return a captioned table with the names above the values; everything is escaped.

    `tone` colours its edge; it repeats what a value says in words. `notes` are lines below.
    """
    return _STRIP.render(
        title=title,
        subtitle=subtitle,
        rows=list(rows),
        notes=[note for note in notes if note],
        edge=_edge(tone),
        **_STRIP_STYLES,
    )


def _edge(tone: Tone) -> str:
    return f"border-left: 4px solid {_COLOURS[tone]}"
