"""Made-up values in the shape of real ones: the same value gives the same one, and none is one of the project."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Set
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Protocol

_TOKEN: Final = re.compile(r"[^\W_]+")
_ADDRESS: Final = re.compile(r"[^\s@<>\"',;()]+@[^\s@<>\"',;()]+")
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+", re.IGNORECASE)
_NUMBER_OF_A_PERSON: Final = re.compile(r"\+?[\d(][\d ()./-]{7,}\d")
_DATE: Final = re.compile(r"(\d{1,4})-(\d\d)-(\d\d)(?:([ T])(\d\d):(\d\d)(?::(\d\d))?(\D.*)?)?", re.ASCII | re.DOTALL)
_HEX: Final = re.compile(r"(?=.*[0-9])[0-9a-f]{8,}")

_VOWELS, _CONSONANTS, _LETTERS = "aeiouy", "bcdfghjklmnpqrstvwxz", "abcdefghijklmnopqrstuvwxyz"
_ACCENTED: Final = dict(zip("acdeinorstuyz", "áčďéíňóřšťúýž", strict=True))
#: In place of letters that have no case, one for each letter.
_CASELESS: Final = "一丁七万丈三上下不与丑专且世丘丙业丛东丝丢两严丧个中"

#: Characters of a made-up text at most; longer ones are cut.
_LONGEST: Final = 500
#: A text of more words is made up as a whole: word by word it could be read like a cipher.
_FEW_WORDS: Final = 4
#: Parts of this many letters, or digits, must not be those of a value that was recorded.
_PART, _DIGITS = 4, 6
_LONGEST_PART: Final = 16
_TRIES: Final = 2000


class Texts(Protocol):
    """What is done to the values that must not be recorded as they are."""

    def text(self, value: str) -> str:
        """Return what stands for a text."""
        ...

    def number(self, value: float) -> float:
        """Return what stands for a number."""
        ...

    def flag(self, value: bool) -> bool:
        """Return what stands for a truth value."""
        ...

    def day(self, value: str) -> str:
        """Return what stands for a date of a person, which may have a time."""
        ...

    def moment(self, value: str) -> str:
        """Return what stands for a date or time of the project."""
        ...

    def has_seen(self, value: str) -> bool:
        """Return whether a part of a text is part of a value that must not be recorded."""
        ...


def is_date(value: str) -> bool:
    """Return whether a text is written like a date, with a time or without."""
    return _DATE.fullmatch(value) is not None


class Seen:
    """Collects the parts of the values that must not be recorded, and changes nothing.

    Attributes:
        parts: the parts of texts in plain letters, and whole dates.
    """

    def __init__(self) -> None:
        self.parts: set[str] = set()

    def text(self, value: str) -> str:
        """See `Texts`."""
        self.parts |= {_plain(token) for token in _TOKEN.findall(_composed(value))}
        self.parts.add(_digits(value))
        return value

    def number(self, value: float) -> float:
        """See `Texts`."""
        self.parts |= {*re.findall(r"\d+", repr(value))}
        return value

    def flag(self, value: bool) -> bool:
        """See `Texts`."""
        return value

    def day(self, value: str) -> str:
        """See `Texts`."""
        self.parts.add(value[:10])
        return value

    def moment(self, value: str) -> str:
        """See `Texts`."""
        return value

    def has_seen(self, value: str) -> bool:
        """See `Texts`."""
        del value
        return False


class MadeUp:
    """Makes values up.

    Args:
        secret: the key of this recording, which is stored nowhere.
        seen: the parts that must not be recorded.
    """

    def __init__(self, *, secret: bytes, seen: Set[str]) -> None:
        self._secret = secret
        self._seen = {part for part in seen if len(part) >= _PART}
        self._made: dict[str, str] = {}
        self._taken: set[str] = set()
        self._flags = self._stream("flags", 0)
        self._back = timedelta(weeks=1 + next(self._stream("back", 0)) % 26)

    def text(self, value: str) -> str:
        """A text of the same shape: words, case, digits and punctuation stay where they are.

        Addresses lead to example.com. A phone number is one that nobody can have where its country is Czechia.
        """
        cut = _composed(value)[:_LONGEST]
        if _NUMBER_OF_A_PERSON.fullmatch(cut):
            made = iter(self._token(_digits(cut)))
            return "".join(next(made) if char.isdigit() else char for char in cut)
        words = self._words(cut)
        hosts = _URL.sub(lambda matched: f"https://www.example.com/{words(_rest(matched[0]))}", cut)
        parts = re.split(r"(https://www\.example\.com/\S*)", hosts)
        return "".join(part if number % 2 else self._plain_text(part, words) for number, part in enumerate(parts))

    def _plain_text(self, text: str, words: Callable[[str], str]) -> str:
        parts, end = [], 0
        for matched in _ADDRESS.finditer(text):
            local = matched[0].rpartition("@")[0]
            parts += [words(text[end : matched.start()]), f"{words(local)}@example.com"]
            end = matched.end()
        return "".join([*parts, words(text[end:])])

    def _words(self, whole: str) -> Callable[[str], str]:
        """Return what replaces the words of a text: each by its own, or by the whole text if that is long."""
        if len(_TOKEN.findall(whole)) <= _FEW_WORDS:
            return lambda text: _TOKEN.sub(lambda token: self._token(token[0]), text)
        places = iter(range(len(whole)))
        return lambda text: _TOKEN.sub(
            lambda token: _dressed(self._unseen(_plain(token[0]), f"{whole}\0{next(places)}"), token[0]), text
        )

    def number(self, value: float) -> float:
        """A number with as many digits; zero stays, and below ten it is 1 or 2."""
        if value == 0:
            return value
        if isinstance(value, int) and abs(value) < 10:
            return int(math.copysign(1 + next(self._flags) % 2, value))
        mantissa, mark, exponent = repr(value).partition("e")
        made = float if isinstance(value, float) else int
        number = made(re.sub(r"\d+", lambda digits: self._token(digits[0]), mantissa) + mark + exponent)
        return number if math.isfinite(number) else 1.0

    def flag(self, value: bool) -> bool:
        """Either one."""
        del value
        return next(self._flags) % 2 == 1

    def day(self, value: str) -> str:
        """Another day; parts that are zero stay, and so does a year of fewer than four digits have as many."""
        made = _made_day(value, self._stream(f"day {value}", 0))
        for tries in range(1, _TRIES):
            if made[:10] not in self._seen:
                break
            made = _made_day(value, self._stream(f"day {value}", tries))
        return made

    def moment(self, value: str) -> str:
        """Some weeks earlier, as many for all of the recording; zero dates and far years stay as they are."""
        try:
            then = datetime.fromisoformat(value[:10])
        except ValueError:
            return value
        return f"{(then - self._back):%Y-%m-%d}{value[10:]}" if 1900 < then.year < 2090 else value

    def has_seen(self, value: str) -> bool:
        """See `Texts`; exact for the words of the text."""
        return any(self._shows(_plain(token)) for token in _TOKEN.findall(_composed(value)))

    def _token(self, token: str) -> str:
        plain = _plain(token)
        if plain not in self._made:
            self._made[plain] = self._unseen(plain, plain, only=True)
            self._taken.add(self._made[plain])
        return _dressed(self._made[plain], token)

    def _unseen(self, plain: str, key: str, *, only: bool = False) -> str:
        """Return a made-up token that shows no part of a recorded value.

        Args:
            plain: the token in plain letters.
            key: what it is computed from.
            only: whether no other token may have it too.
        """
        made = ""
        for tries in range(_TRIES):
            made = _shaped(plain, self._stream(key, tries), any_letter=tries > _TRIES // 4)
            if not ((only and (made in self._taken or (made == plain and plain.isalpha()))) or self._shows(made)):
                break
        return made

    def _shows(self, plain: str) -> bool:
        """Return whether a token has a part of a recorded value."""
        if plain in self._seen:
            return True
        ends = range(_PART, _LONGEST_PART + 1)
        parts = (plain[start : start + size] for start in range(len(plain) - _PART + 1) for size in ends)
        return any(part in self._seen and (len(part) >= _DIGITS or not part.isdecimal()) for part in parts)

    def _stream(self, key: str, tries: int) -> Iterator[int]:
        """Yield numbers below 256 that only the secret can repeat."""
        turn = 0
        while True:
            text = f"{turn} {tries} {key}".encode(errors="surrogatepass")
            yield from blake2b(text, key=self._secret).digest()
            turn += 1


def _composed(value: str) -> str:
    return unicodedata.normalize("NFC", value)


@lru_cache(maxsize=1 << 14)
def _plain(token: str) -> str:
    """Return a token in small letters without accents, as long as it is: variants of a name are one."""
    return "".join(unicodedata.normalize("NFKD", char)[0].casefold()[0] for char in token)


def _digits(value: str) -> str:
    return "".join(char for char in value if char.isdecimal() and char.isascii())


def _rest(url: str) -> str:
    """Return what stands behind the host of an address."""
    return url.partition("://")[2].partition("/")[2] if "://" in url else url.partition("/")[2]


def _shaped(plain: str, draw: Iterator[int], *, any_letter: bool) -> str:
    """Return small letters for letters, digits for digits; a number begins with no zero unless it did."""
    if _HEX.fullmatch(plain):
        return "".join("abcdef"[next(draw) % 6] if char.isalpha() else str(next(draw) % 10) for char in plain)
    made: list[str] = []
    for place, char in enumerate(plain):
        if char.isdecimal():
            leads = place == 0 and char != "0"
            made.append("0" if place == 0 and char == "0" else str(next(draw) % (9 if leads else 10) + leads))
        else:
            letters = _LETTERS if any_letter else _VOWELS if made and made[-1] in _CONSONANTS else _CONSONANTS
            made.append(letters[next(draw) % len(letters)])
    if plain.isdecimal() and len(plain) == 12 and plain.startswith("42"):  # +420 and +421: no number begins with a zero
        made[:4] = [*plain[:3], "0"]
    return "".join(made)


def _dressed(made: str, token: str) -> str:
    """Give a made-up token the capitals, and letters outside ASCII, of the token that it stands for."""
    return "".join(_dressed_letter(new, old) for new, old in zip(made, token, strict=True))


def _dressed_letter(new: str, old: str) -> str:
    if old.isascii() or not new.isalpha():
        return new.upper() if old.isupper() else new
    if not (old.isupper() or old.islower()):
        return _CASELESS[_LETTERS.index(new)]
    accented = _ACCENTED.get(new, new)
    return accented.upper() if old.isupper() else accented


def _made_day(value: str, draw: Iterator[int]) -> str:
    matched = _DATE.fullmatch(value)
    if matched is None or not value.strip("0-:T "):
        return value
    year, month, day, mark, hour, minute, second, zone = matched.groups()
    years = 1930 + next(draw) % 75 if len(year) == 4 else next(draw) % 10 ** len(year) % 1000
    parts = [str(years).zfill(len(year)) if year.strip("0") else year, _below(month, draw, 12), _below(day, draw, 28)]
    times = [_below(part, draw, 23) for part in (hour, minute, second) if part]
    return "-".join(parts) + (mark or "") + ":".join(times) + (zone or "")


def _below(part: str, draw: Iterator[int], most: int) -> str:
    return f"{1 + next(draw) % most:02}" if part.strip("0") else part
