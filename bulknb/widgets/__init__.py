"""Live panels and the board of jobs, for notebooks."""

from .board import JobBoard
from .panel import JobPanel, LoadPanel

__all__ = ["JobBoard", "JobPanel", "LoadPanel"]
