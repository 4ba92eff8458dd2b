"""The one place where foreign text becomes HTML, escaped.

All of it follows Jupyter's theme by its own variables, so that they read well in light
and in dark, and stays plain lists and tables where styles are taken away (GitHub, untrusted
notebooks).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jinja2 import Environment

Tone = Literal["", "busy", "good", "warn", "bad"]
Colour: TypeAlias = Literal["good", "bad", "apex", "api", "rest"]
Mark: TypeAlias = Literal["past", "now", "ahead", "end", "bad"]

#: Classes: what the server says between dollars is no formula, which Jupyter would typeset.
NO_MATH = "mathjax_ignore tex2jax_ignore"

_JINJA = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_JINJA.globals["no_math"] = NO_MATH

_CARD = _JINJA.from_string(
    """\
<table class="bulknb-card {{ no_math }}" style="{{ table }}; {{ edge }}">
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
<div class="bulknb-card {{ no_math }}" style="{{ box }}; {{ edge }}">
<div style="{{ caption }}">{{ title }} <span style="{{ faint }}">\
{% for part in subtitle %}{{ " · " if not loop.first }}\
<span style="white-space: nowrap">{{ part }}</span>{% endfor %}</span></div>
{% if steps %}
<ol style="{{ ol }}" aria-label="State">
{% for step in steps %}
<li style="{{ li }}{% if step.present %}; font-weight: 600{% endif %}"\
{% if step.present %} aria-current="step"{% endif %}>\
{% if not loop.first %}<span style="{{ faint }}" aria-hidden="true">→ </span>{% endif %}\
<span aria-hidden="true" style="color: {{ colours[marks[step.mark][1]] }}">\
{{ marks[step.mark][0] }}</span> \
<span{% if step.mark == "ahead" %} style="{{ faint }}"{% endif %}>{{ step.name }}</span>\
{% if step.note %} <span style="{{ faint }}">{{ step.note }}</span>{% endif %}</li>
{% endfor %}
</ol>
{% endif %}
{% for bar in bars %}
<div style="{{ line }}">
<span role="img" aria-label="{{ bar.label }}" title="{{ bar.label }}"\
 style="{{ track }}{% if not bar.parts %}; border-style: dashed{% endif %}">\
{% for part in bar.parts if part.share %}
<span title="{{ part.title }}" style="{{ fill }}; width: {{ "%.2f" | format(100 * part.share) }}%; \
background: {{ colours[part.colour] }}"></span>\
{% endfor %}
</span> <span style="{{ faint }}">\
{% for part in bar.parts if part.legend %}{{ " · " if not loop.first }}\
<span style="white-space: nowrap"><span style="{{ key }}; \
background: {{ colours[part.colour] }}"></span> {{ part.legend }}</span>\
{% else %}{{ bar.label }}{% endfor %}</span></div>
{% endfor %}
{% if rows %}
<dl style="{{ dl }}">
{% for name, cell in rows %}
<div style="{{ pair }}"><dt style="{{ head }}">{{ name }}</dt>\
<dd style="{{ cell_style }}"{% if cell.title %} title="{{ cell.title }}"{% endif %}>\
{{ cell.text }}</dd></div>
{% endfor %}
</dl>
{% endif %}
{% for note in notes %}
<div style="{{ remark }}">{{ note }}</div>
{% endfor %}
</div>"""
)

_TABLE = _JINJA.from_string(
    """\
<div style="overflow-x: auto"><table class="bulknb-card {{ no_math }}" style="{{ table }}">
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
{% if it.tone is not none %}; border-left: 4px solid {{ colours[it.tone] }}{% endif %}\
{% if wrap and it.text | length > 24 %}; {{ long }}{% endif %}"\
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
    "head": f"text-align: left; vertical-align: top; padding: 0.15em 1.5em 0.15em 0.5em; {_FAINT}",
    "cell": "text-align: left; vertical-align: top; padding: 0.15em 0.5em; white-space: pre-wrap",
}

_TABLE_STYLES = _STYLES | {
    "head": f"text-align: left; padding: 0.15em 0.5em; white-space: nowrap; {_FAINT}",
    "cell": f"{_STYLES['cell']}; white-space: nowrap",
}

_WRAPPED = {
    "table": f"{_STYLES['table']}; margin-left: 0; line-height: 1.4",
    "caption": f"{_CAPTION}; padding: 0.2em 14px; white-space: nowrap",
    "cell": f"{_TABLE_STYLES['cell']}; line-height: 1.4",
    "long": "white-space: pre-wrap; min-width: 18em",
}

# Jupyter pads its widgets' lines and sets lists apart: each style here answers to one of these, so
# that a live card and its static twin look the same. The least widths and heights leave room for
# the usual texts: a tick of the clock moves nothing.
_PADDING = "padding: 0 10px; text-align: left; line-height: 1.6"
_STRIP_STYLES = {
    "box": "margin: 0; font-variant-numeric: tabular-nums; "
    "font-size: var(--jp-ui-font-size1, 13px); color: inherit",
    "caption": f"{_PADDING}; font-weight: 600; padding-bottom: 2px",
    "faint": _FAINT,
    "ol": f"{_PADDING}; list-style: none; margin: 0; display: flex; flex-wrap: wrap; gap: 0 6px",
    "li": "margin: 0; padding: 0; white-space: nowrap",
    "line": f"{_PADDING}; display: flex; flex-wrap: wrap; align-items: center; gap: 0 10px",
    "track": "display: flex; box-sizing: border-box; flex: 0 1 22em; min-width: 10em; "
    "height: 10px; border: 1px solid var(--jp-border-color1, #bdbdbd); border-radius: 2px; "
    "overflow: hidden",
    "fill": "display: block; box-sizing: border-box; min-width: 3px; "
    "border-right: 1px solid var(--jp-layout-color1, #fff)",
    "key": "display: inline-block; box-sizing: border-box; width: 0.7em; height: 0.7em; "
    "border: 1px solid var(--jp-border-color1, #bdbdbd)",
    "dl": f"{_PADDING}; margin: 2px 0 0 0; display: flex; flex-wrap: wrap; gap: 2px 20px",
    "pair": "min-width: 5.5em",
    "head": f"{_FAINT}; font-size: 0.9em; margin: 0; padding: 0; float: none; white-space: nowrap",
    "cell_style": "font-weight: 600; margin: 0; padding: 0; float: none; white-space: nowrap",
    "remark": f"{_PADDING}; padding-top: 2px; white-space: pre-wrap; overflow-wrap: anywhere",
}

_COLOURS: dict[Tone, str] = {
    "": "var(--jp-border-color1, #bdbdbd)",
    "busy": "var(--jp-info-color1, #0097a7)",
    "good": "var(--jp-success-color1, #388e3c)",
    "warn": "var(--jp-warn-color1, #f57c00)",
    "bad": "var(--jp-error-color1, #d32f2f)",
}
# The colours of `plots`, which people who see red and green alike can tell apart.
_PART_COLOURS = {"apex": "#0072B2", "api": "#E69F00", "rest": "#F0E442"}

#: What is drawn before a step, beside its colour.
_MARKS: dict[Mark, tuple[str, Tone]] = {
    "past": ("✓", "good"),
    "now": ("●", "busy"),
    "ahead": ("○", ""),
    "end": ("✓", "good"),
    "bad": ("✕", "bad"),
}


@dataclass(frozen=True)
class Step:
    """A state on the way of a job, how it stands to the present one, and a note."""

    name: str
    mark: Mark
    note: str = ""

    @property
    def present(self) -> bool:
        """Whether it is the one that the job is at, or ended with."""
        return self.mark in ("now", "end", "bad")


@dataclass(frozen=True)
class Part:
    """A part of a bar: its share of the whole, what is shown over it, and in the legend."""

    share: float
    colour: Colour
    title: str
    legend: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of parts and the words for it; without parts it is drawn as pending."""

    label: str
    parts: Sequence[Part] = ()


@dataclass(frozen=True)
class Cell:
    """A value in a table: its text, what is shown over it, and the colour of its edge, if any."""

    text: str
    title: str = ""
    tone: Tone | None = None


def page(template: str, **values: object) -> str:
    """Return a page made from a template; what it does not mark as safe itself is escaped."""
    return _JINJA.from_string(template).render(values)


def table(
    title: str,
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[Cell]],
    *,
    wrap: bool = False,
) -> str:
    """Return a captioned table, its columns (name, whether right-aligned); all is escaped.

    With `wrap` long texts take several lines.
    """
    styles = _TABLE_STYLES | (_WRAPPED if wrap else {})
    return _TABLE.render(
        title=title, columns=columns, rows=list(rows), wrap=wrap, colours=_COLOURS, **styles
    )


def card(title: str, rows: Iterable[tuple[str, object]], *, tone: Tone = "") -> str:
    """Return a captioned table of names and values, a line each; everything is escaped.

    `tone` colours its edge; it repeats what a value says in words.
    """
    return _CARD.render(title=title, rows=list(rows), edge=_edge(tone), **_STYLES)


def strip(
    title: str,
    subtitle: Sequence[str],
    rows: Iterable[tuple[str, str | Cell]],
    *,
    tone: Tone = "",
    steps: Sequence[Step] = (),
    bars: Sequence[Bar] = (),
    notes: Iterable[str] = (),
) -> str:
    """Return a captioned list with the names above the values; everything is escaped.

    `tone` colours its edge; it repeats what a value says in words. `steps` and `bars` stand above
    the values, `notes` are lines below.
    """
    return _STRIP.render(
        title=title,
        subtitle=subtitle,
        rows=[(name, it if isinstance(it, Cell) else Cell(it)) for name, it in rows],
        steps=steps,
        bars=bars,
        notes=[note for note in notes if note],
        marks=_MARKS,
        colours=_COLOURS | _PART_COLOURS,
        edge=_edge(tone),
        **_STRIP_STYLES,
    )


def _edge(tone: Tone) -> str:
    return f"border-left: 4px solid {_COLOURS[tone]}"
