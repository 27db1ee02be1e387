"""Answers that CareCloud did not write: a proxy, a firewall, a login page or another server answered in its place.

Such an answer says nothing about a record, a login, a session or a right. It is described without secrets and personal
data: words of the request, and what does not look like a plain word, are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carecloud_async._base.codec.json_text import BrokenJson, Malformed, load

__all__ = ["SELF_EXPLANATORY", "describe_foreign", "words_of"]

#: Statuses that web servers give by themselves for a request that is too long or too large (RFC 9110, 15.5; RFC 6585).
#: They say nothing but that, and long filters and large pages are divided after them.
SELF_EXPLANATORY = frozenset({413, 414, 431})

_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,400}?)</title", re.IGNORECASE | re.DOTALL)
#: How far into a page to search for its title.
_HEAD = 16 * 1024
_PRODUCT = re.compile(r"\(?([A-Za-z][A-Za-z._-]{0,30})(?:/[0-9]{1,3}(?:\.[0-9]{1,3}){0,3})?\)?")
_WORD = re.compile(r"\W{0,3}[^\W\d_]{1,20}(?:[-'\u2019][^\W\d_]{1,20})?\W{0,3}")
_PARTS = re.compile(r"\w+")
_LEFT_OUT = "…"
_MOST_WORDS = 12
#: Longer texts of a request are notes and files, and not searched for words.
_LONG_TEXT = 2000


def describe_foreign(status: int, headers: Mapping[str, str], body: bytes, *, hidden: frozenset[str]) -> str:
    """Return what can be said of such an answer: `server nginx, a page titled "404 Not Found"`.

    Args:
        status: the HTTP status of the answer.
        headers: the headers of the answer.
        body: the bytes of the answer, unpacked.
        hidden: words that must not be shown, in lower case; see `words_of`.
    """
    server = " ".join(_products(headers.get("server") or "", hidden))
    return f"server {server}, {_kind(status, body, hidden)}" if server else _kind(status, body, hidden)


def _products(text: str, hidden: frozenset[str]) -> Iterator[str]:
    for word in text.split()[:4]:
        found = _PRODUCT.fullmatch(word)
        if found and hidden.isdisjoint(_PARTS.findall(found[1].casefold())):
            yield word


def _kind(status: int, body: bytes, hidden: frozenset[str]) -> str:
    """Name the kind of a body, and the title of a page."""
    try:
        load(body)
    except BrokenJson:
        return "a text" if body.strip() else "no body"
    except Malformed:
        title = _title(status, body, hidden)
        return f'a page titled "{title}"' if title else "a page"
    return "JSON that is not the API's"


def _title(status: int, body: bytes, hidden: frozenset[str]) -> str:
    found = _TITLE.search(body[:_HEAD])
    text = "" if found is None else html.unescape(found[1].decode("utf-8", "replace"))
    shown: list[str] = []
    for word in text.split()[:_MOST_WORDS]:
        keeps = word == str(status) or _is_plain(word, hidden)
        if keeps or shown[-1:] != [_LEFT_OUT]:
            shown.append(word if keeps else _LEFT_OUT)
    return " ".join(shown) if any(map(str.isalnum, "".join(shown))) else ""


def _is_plain(word: str, hidden: frozenset[str]) -> bool:
    if len(word) == 1 and not word.isalnum():  # a dash or a bar between two words
        return True
    return _WORD.fullmatch(word) is not None and hidden.isdisjoint(_PARTS.findall(word.casefold()))


def words_of(*values: Any) -> frozenset[str]:
    """Return the words of all texts and numbers in plain values, in lower case."""
    return frozenset(_words(values))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, Sequence | frozenset | set) and not isinstance(value, str | bytes):
        for member in value:
            yield from _words(member)
    elif value is not None and len(text := str(value)) <= _LONG_TEXT:
        yield from _PARTS.findall(text.casefold())
