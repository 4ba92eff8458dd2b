"""Live views of jobs and loads, made of core ipywidgets; each has a text and a static HTML twin."""

from .panel import JobPanel, LoadPanel

__all__ = ["JobPanel", "LoadPanel"]
