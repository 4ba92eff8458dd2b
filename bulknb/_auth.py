"""An access token, held so that it shows nowhere by accident.

The text lives in a closure: no repr, ``vars()``, copy or pickle of anything that holds a `Secret`
can show it, and a traceback that prints local variables prints ``Secret(***)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from .errors import InputError


class Secret:
    """A text that is handed out only by calling it."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        if not text or not text.isprintable() or " " in text:
            raise InputError("The access token is empty or has spaces or line breaks in it")
        self._reveal: Callable[[], str] = lambda: text

    def __call__(self) -> str:
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An access token is not copied or pickled: call connect() again")
