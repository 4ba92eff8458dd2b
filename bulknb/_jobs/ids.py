"""Ids of Salesforce: 15 characters where case matters, or 18 where the last three tell the case.

Source: Object Reference, "ID Field Type".
"""

from __future__ import annotations

from string import ascii_uppercase

from ..errors import InputError

_CHECKSUMS = ascii_uppercase + "012345"


def checked(id: str, prefix: str, noun: str) -> str:
    """Return an id of 15 or 18 characters if it is well-formed.

    Raises
    ------
    InputError
        It is no such id, or its letters have lost their case.
    """
    fits = id.isascii() and id.isalnum() and id.startswith(prefix) and len(id) in (15, 18)
    if not fits:
        raise InputError(f"A {noun} id has 15 or 18 characters and begins with {prefix}")
    if len(id) == 18 and id[15:] != _checksum(id[:15]):
        raise InputError(
            f"The {noun} id {id} has lost the case of a letter, or was mistyped: its last three "
            "characters do not fit the others. Copy it anew"
        )
    return id


def full(id: str) -> str:
    """Return the form of 18 characters of an id, if it is one of 15."""
    return id + _checksum(id) if len(id) == 15 and id.isascii() and id.isalnum() else id


def _checksum(fifteen: str) -> str:
    """Return the three characters that say which of the fifteen are capitals, five at a time."""
    fives = (fifteen[:5], fifteen[5:10], fifteen[10:])
    return "".join(
        _CHECKSUMS[sum(1 << place for place, letter in enumerate(five) if letter.isupper())]
        for five in fives
    )
