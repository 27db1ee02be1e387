"""Encodings of text files: check the one that the user names, and name a likely one for a file that is not UTF-8."""

from __future__ import annotations

import codecs
from typing import Final

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.fixes import Fix

__all__ = ["encoding_of", "likely_encoding", "name_encoding", "require_encoding"]

#: Encodings that shops' programs write, each with the letters that show it. Among equals the first is taken.
_LETTERS: Final = {
    "cp1250": "áčďéěíňóřšťúůýžľĺŕôäąćęłńśźżőűöüßÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽÔÄĄĆĘŁŃŚŹŻŐŰÖÜ",
    "cp1252": "àâçèéêëîïôùûœæøåäöüßñáíóúãõÀÂÇÈÉÊËÎÏÔÙÛŒÆØÅÄÖÜÑ",
    "cp852": "áčďéěíňóřšťúůýžľĺŕôäąćęłńśźżőűöüßÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽÔÄĄĆĘŁŃŚŹŻŐŰÖÜ",
    "cp1251": "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЭЮЯ",
}
_LEAVE_OUT: Final = Fix("leave out {encoding}")
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
        known = (*_LETTERS, "utf-8", "utf-16", "iso8859-2", "latin-1")
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
    return marked or name


def name_encoding(data: bytes) -> Fix:
    """Return what to do about a file that is not UTF-8.

    Args:
        data: a part of it.
    """
    return Fix(f"name its encoding with {{encoding}}, here probably {likely_encoding(data)}")


def likely_encoding(data: bytes) -> str:
    """Return the encoding in which most letters of a text that is not UTF-8 are letters of a language."""
    counts = {}
    for name, letters in _LETTERS.items():
        foreign = [one for one in data.decode(name, "replace") if not one.isascii()]
        counts[name] = sum(1 if one in letters else -1 for one in foreign)
    return max(counts, key=lambda name: counts[name])


def _is_utf8(head: bytes) -> bool:
    """Return whether the beginning of a file has letters of UTF-8 beyond ASCII, which other encodings do not make."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not text.isascii()
