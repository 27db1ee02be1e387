"""Encodings of text files: check the one that the user names, and name a likely one for a file that is not UTF-8."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import Final

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.fixes import Fix

#: Encodings that shops' programs write. Among those that fit a text equally the first is taken.
_ENCODINGS: Final = ("cp1250", "iso8859-2", "cp852", "cp1252", "cp1251", "iso8859-1")
#: The letters of languages beyond ASCII; `a` stands for all letters of ASCII.
_LANGUAGES: Final = tuple(
    frozenset(letters + letters.upper())
    for letters in (
        "aáčďéěíňóřšťúůýžäöü",  # Czech, with German names
        "aáäčďéíĺľňóôŕšťúýž",  # Slovak
        "aąćęłńóśźż",  # Polish
        "aáéíóöőúüű",  # Hungarian
        "ačćđšž",  # Croatian, Slovene
        "aăâîşţ",  # Romanian
        "aäöüß",  # German
        "aàâçèéêëîïôùûœæ",  # French
        "aáéíñóúü",  # Spanish
        "aàáâãçéêíóôõú",  # Portuguese
        "aàèéìòù",  # Italian
        "aåäæéöø",  # Danish, Norwegian, Swedish
        "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ",  # Russian, Ukrainian, Bulgarian
    )
)
#: Words, with signs in front of them or between their letters, which show a wrong encoding; and control characters
#: between 0x80 and 0x9F, which no text has.
_WORD: Final = re.compile(r"(?:[^\W\d_]|[^\x00-\x7f\s„“\u201a\u2018»«¿¡¼½¾])*[^\W\d_¼½¾]|[\x80-\x9f]")
_CONTROL: Final = re.compile(r"[\x80-\x9f]")
#: What a word costs that is not of the language of most words, and one that is of no language.
_OTHER, _NONE = 1, 4
#: How many times more a text costs in the named encoding than in the one that it probably is in.
_MORE: Final = 4
_LEAVE_OUT: Final = Fix("leave out {encoding}")
_NAME_OR_SAVE: Final = Fix("name that in {encoding}, or save the file as UTF-8")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def require_encoding(name: str | None) -> None:
    """Check that Python knows a text encoding.

    Raises:
        BadSourceError: it does not.
    """
    try:
        if name is not None:
            "".encode(name)
    except (LookupError, TypeError, ValueError):
        known = (*_ENCODINGS, "utf-8", "utf-16", "latin-1")
        raise BadSourceError(
            f"encoding={str(name)[:50]!r} is no encoding that Python knows{did_you_mean(str(name), known)}"
        ) from None


def encoding_of(head: bytes, named: str | None, *, label: str) -> str:
    """Return the encoding of a file.

    Args:
        head: its first bytes.
        named: the encoding that the user names; `None` for UTF-8, or what a byte order mark says.
        label: the file in messages.

    Raises:
        BadSourceError: the file contradicts what is named.
    """
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if named is None:
        return marked or "utf-8"
    name = codecs.lookup(named).name
    problem = None
    if marked is not None and marked[:5] != name[:5]:
        problem = f"a byte order mark at its beginning says {marked.removesuffix('-sig')}, not {name}"
    elif not name.startswith("utf") and _is_utf8(head):
        problem = f"its text is utf-8, not {name}"
    if problem is not None:
        raise BadSourceError(f"{label}: {problem}", fix=_LEAVE_OUT)
    likely = name if name.startswith("utf") else likely_encoding(head)
    if likely != name and _is_misread(head, name, likely):
        raise BadSourceError(f"{label}: its text is probably {likely}, not {name}", fix=_NAME_OR_SAVE)
    return marked or name


def name_encoding(data: bytes) -> Fix:
    """Return what to do about a file that is not UTF-8.

    Args:
        data: a part of it.
    """
    return Fix(f"name its encoding with {{encoding}}, here probably {likely_encoding(data)}")


def likely_encoding(data: bytes) -> str:
    """Return the encoding in which a text that is not UTF-8 fits a language best."""
    return min(_ENCODINGS, key=lambda name: _cost(data, name))


def _is_misread(data: bytes, named: str, likely: str) -> bool:
    """Return whether a text in the encoding that is named is not what was written, and in the likely one is."""
    if _CONTROL.search(data.decode(named, "replace")):
        return True
    return named in _ENCODINGS and _cost(data, named) >= max(_NONE, _MORE * _cost(data, likely))


def _cost(data: bytes, encoding: str) -> int:
    """Return how badly a text fits the language that it fits best."""
    words = Counter(
        frozenset("a" if letter.isascii() or letter == "µ" else letter for letter in word)
        for word in _WORD.findall(data.decode(encoding, "replace"))
        if not word.isascii()
    )
    costs = [0] * len(_LANGUAGES)
    for letters, count in words.items():
        fits = [letters <= language for language in _LANGUAGES]
        wrong = count * (_OTHER if any(fits) else _NONE)
        costs = [cost + (0 if fit else wrong) for cost, fit in zip(costs, fits, strict=True)]
    return min(costs)


def _is_utf8(head: bytes) -> bool:
    """Return whether the beginning of a file has letters of UTF-8 beyond ASCII, which other encodings do not make."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not text.isascii()
