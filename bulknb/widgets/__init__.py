"""Live views of a job, made of core ipywidgets; each has a text and a static HTML twin."""

from .panel import JobPanel

__all__ = ["JobPanel"]
