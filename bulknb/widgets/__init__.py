"""Live panels and the board of jobs, for notebooks."""

from .board import JobBoard
from .load_panel import LoadPanel
from .panel import JobPanel, QueryPanel

__all__ = ["JobBoard", "JobPanel", "LoadPanel", "QueryPanel"]
