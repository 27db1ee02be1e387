"""Splits JSON without parsing its values: each value keeps the server's bytes.

A number that is read into a float and written again may change (`0.12345678901234567890`, `1e400`), and a text that is
not Unicode cannot be written at all. Values that are sent back to the server are therefore copied from its answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeVar

from carecloud_async._base.codec.answers import data
from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.runtime.secret_text import SecretBytes

__all__ = ["NULL", "RawJson", "elements", "exact", "members", "raw_data"]

T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"
_NUMBER_STARTS = frozenset(b"-0123456789")
#: A number with a larger exponent than this stays a number: no field of the API is such a text.
_MOST_DIGITS = 40


class RawJson(SecretBytes):
    """One JSON value as the server wrote it; the encoder copies it. Its `repr` shows stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "RawJson('***')"

    @property
    def is_object(self) -> bool:
        """Whether it is an object."""
        return self.startswith(b"{")

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.startswith(b"[")

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self[0] in _NUMBER_STARTS and self != b"-Infinity"

    def as_text(self) -> RawJson:
        """Return a number as text with all its digits, as models read it; one with a huge exponent stays a number."""
        if self.removeprefix(b"-").isdigit():
            return RawJson(b'"%b"' % self)
        try:
            number = Decimal(self.decode())
        except ArithmeticError:  # an exponent of twenty digits
            return self
        if abs(number.adjusted()) > _MOST_DIGITS:
            return self
        digits = str(int(number)) if number == int(number) else format(number, "f")
        return RawJson(b'"%b"' % digits.encode())


NULL: Final = RawJson(b"null")


def raw_data(body: bytes) -> RawJson:
    """Return the object under `data`.

    Args:
        body: the whole body of an answer.

    Raises:
        Malformed: the body is no JSON object, or has no object under `data`.
    """
    if not isinstance(data(body), dict):  # which also distinguishes the kinds of broken bodies
        raise Malformed("data is not an object")
    return members(RawJson(body.removeprefix(_BOM).strip()))["data"]


def members(raw: RawJson) -> dict[str, RawJson]:
    """Split an object into its members; if a name occurs twice, the last one counts.

    Raises:
        Malformed: it is no JSON object.
    """
    return _cut(raw, _members)


def elements(raw: RawJson) -> list[RawJson]:
    """Split a list into its elements.

    Raises:
        Malformed: it is no JSON list.
    """
    return _cut(raw, lambda scanner: [scanner.value() for _ in scanner.entries("[", "]")])


def exact(raw: bytes) -> Any:
    """Read a value for exact comparison: equal only if both mean the same, to the last digit.

    Args:
        raw: JSON, with numbers of any precision.
    """
    text = raw.decode("utf-8", "surrogateescape")
    return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number, strict=False)


def _number(digits: str) -> tuple[Any]:
    # A tuple, which no other value becomes: as a plain number, 1 would be equal to true.
    try:
        return (Decimal(digits),)
    except ArithmeticError:
        return (digits,)


#: Skips values: the cheapest way to read them.
_SKIPPING: Final = json.JSONDecoder(strict=False, parse_int=len, parse_float=len, parse_constant=len)


class _Scanner:
    """Scans JSON text; bytes that are not UTF-8 are kept."""

    def __init__(self, raw: bytes) -> None:
        self._text = raw.decode("utf-8", "surrogateescape")
        self._at = 0

    def next(self) -> str:
        """Skip blanks and return the character after them; empty at the end."""
        text = self._text
        while text[self._at : self._at + 1] in {" ", "\t", "\r", "\n"}:
            self._at += 1
        return text[self._at : self._at + 1]

    def take(self, mark: str) -> None:
        """Skip a punctuation mark and the blanks around it."""
        if self.next() != mark:
            raise ValueError
        self._at += 1
        self.next()

    def entries(self, opening: str, closing: str) -> Iterator[None]:
        """Stop at each entry between two brackets; the caller skips it."""
        self.take(opening)
        if self.next() != closing:
            yield
            while self.next() != closing:
                self.take(",")
                yield
        self.take(closing)

    def name(self) -> str:
        """Skip the name of a member and its colon."""
        if self.next() != '"':
            raise ValueError
        name, self._at = _SKIPPING.raw_decode(self._text, self._at)
        self.take(":")
        return str(name)

    def value(self) -> RawJson:
        """Skip a value and return it."""
        start = self._at
        _, self._at = _SKIPPING.raw_decode(self._text, start)
        return RawJson(self._text[start : self._at].encode("utf-8", "surrogateescape"))


def _members(scanner: _Scanner) -> dict[str, RawJson]:
    return {scanner.name(): scanner.value() for _ in scanner.entries("{", "}")}


def _cut(raw: RawJson, cut: Callable[[_Scanner], T]) -> T:
    scanner = _Scanner(raw)
    try:
        found = cut(scanner)
        if not scanner.next():
            return found
        reason = "the body is not JSON"
    except RecursionError:
        reason = "the body is nested too deeply"
    except ValueError:
        reason = "the body is not JSON"
    raise Malformed(reason)  # raised outside the except block: the error's context would keep the whole text
