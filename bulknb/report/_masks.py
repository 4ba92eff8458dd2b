"""Row content -> its shape, so that an example can be handed on without what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_QUOTED = r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)"
_WORD = re.compile(rf"{_QUOTED}|\w[\w@.+-]*\w|\w")
_CODE = re.compile(r"[A-Z]+(_[A-Z]+)+|\w+__[a-z]{1,4}")
#: Shorter words are a value of the row only if they are it; longer ones also if they begin one.
_TELLING = 4
#: Capital words of Salesforce's own messages.
_PLAIN = frozenset({"apex", "api", "field", "id", "salesforce", "soql"})


def shape(value: object) -> str:
    """Return the value with each letter as x or X and each digit as 9."""
    return "".join(map(_mask, str(value)))


def message(said: str, cells: Iterable[object] | None, names: Iterable[str] = ()) -> str:
    """Return an error message whose words that may be row content are masked.

    What stays are plain words in lower case, its first word, codes, and words of `names`; never a
    word of the row. Where the row is not at hand (`cells` is None), nothing stays.

    Parameters
    ----------
    said : str
        The message.
    cells : iterable or None
        The values of the row.
    names : iterable of str
        The fields that it is about, and others that may be named.
    """
    if cells is None:
        return shape(said)
    values = {word for cell in cells for word in _words(str(cell))}
    known = _PLAIN.union(*((name.casefold(), *_words(name), *_camel(name)) for name in names))

    def held(word: str) -> bool:
        began = len(word) >= _TELLING and any(value.startswith(word) for value in values)
        return began or word in values

    def masked(found: re.Match[str]) -> str:
        word = found[0]
        plain = word.replace("-", "").isalpha() and (word.islower() or found.start() == 0)
        stays = plain or _CODE.fullmatch(word) or word.casefold() in known
        return word if stays and not any(map(held, _words(word))) else shape(word)

    return _WORD.sub(masked, said)


def _mask(character: str) -> str:
    if character.isnumeric():
        return "9"
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return character


def _words(said: str) -> list[str]:
    return re.findall(r"\w+", said.casefold())


def _camel(name: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
