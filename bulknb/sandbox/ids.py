"""Salesforce record ids: 15 characters that tell letter case apart, or 18 that need not.

Source: "ID Field Type" in the Object Reference. The last three characters say which of the
first fifteen are capitals, five at a time.
"""

from collections.abc import Iterator
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase, digits

_DIGITS = digits + ascii_uppercase + ascii_lowercase
_CHECK = ascii_uppercase + "012345"

# Key prefixes of what the Bulk API itself makes.
JOB = "750"
BATCH = "751"
RESULT = "752"
CURSOR = "01g"
SPEC = "0Aj"

ORGANIZATION_ID = "00Dxx0000000001"


@lru_cache(maxsize=65_536)
def _check(five: str) -> str:
    return _CHECK[sum(1 << place for place, letter in enumerate(five) if letter.isupper())]


def to_18(fifteen: str) -> str:
    """Return the 18-character form of a 15-character id."""
    return fifteen + _check(fifteen[:5]) + _check(fifteen[5:10]) + _check(fifteen[10:])


def normal(text: str) -> str | None:
    """Return the 18-character form of what may be an id of 15 or 18; None if it is none."""
    if len(text) not in (15, 18) or not (text.isascii() and text.isalnum()):
        return None
    full = to_18(text[:15])
    return full if len(text) == 15 or full == text else None


def make(prefix: str, number: int) -> str:
    """Return the id of the record with that running number (18 characters).

    >>> make("750", 1)
    '750xx0000000001AAA'
    """
    return next(run(prefix, range(number, number + 1)))


def run(prefix: str, numbers: range) -> Iterator[str]:
    """Yield the ids of the records with these running numbers, one after the other."""
    size = len(_PAIRS)
    for high in range(numbers.start // size, -(-numbers.stop // size)):
        head, checks, capitals = _head(prefix, high)
        first, last = max(numbers.start - high * size, 0), min(numbers.stop - high * size, size)
        for pair, more in zip(_PAIRS[first:last], _PAIR_CAPITALS[first:last], strict=True):
            yield head + pair + checks + _CHECK[capitals + more]


def number(key: str) -> int:
    """Return the running number of an id that `make` made.

    >>> number("750xx0000000010AAA")
    62
    """
    value = 0
    for letter in key[5:15]:
        value = value * len(_DIGITS) + _DIGITS.index(letter)
    return value


# The last two characters of an id change from record to record, the others hardly ever.
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_PAIR_CAPITALS = [pair[0].isupper() << 3 | pair[1].isupper() << 4 for pair in _PAIRS]


@lru_cache(maxsize=1024)
def _head(prefix: str, number: int) -> tuple[str, str, int]:
    """Return the first 13 characters, and what they add to the last three.

    These are two whole characters and, for the third one, the number of the capitals so far.
    """
    letters = []
    while number:
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    head = prefix + "xx" + "".join(reversed(letters)).rjust(8, "0")
    return head, _check(head[:5]) + _check(head[5:10]), _CHECK.index(_check(head[10:]))
