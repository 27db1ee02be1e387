"""The interface of an operation, which stands in prose only and is reworded now and then.

A warning about the whole operation counts, however it is worded; a remark about another operation ("… (Enterprise API
only)" behind a link), about one argument or about what the operation does on one interface does not.
"""

from __future__ import annotations

import re

__all__ = ["interface"]

_MARKUP = re.compile(r"<[^>]+>|[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}")
_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)(\s*\([^)]*\))?")
_SENTENCE = re.compile(r"\n|(?<=[.!?])\s+(?=\W*[A-Z⚠`])")
_API = r"(?P<{}>enterprise|customer)[\s-]+(?:api|interface)s?\b"
_EXISTS = (
    r"\b(?:available|accessible|supported|allowed|enabled|offered|exposed"
    r"|usable|exists?|works?|callable|call(?:ed)?|used?)\b"
)
#: Each is tried on a sentence that is about the operation.
_ONLY = (
    re.compile(rf"{_EXISTS}[^.]*\b(?:only|solely|exclusively)\b[^.]*?{_API.format('api')}", re.IGNORECASE),
    re.compile(rf"\b(?:only|solely|exclusively)\b[^.]*?{_EXISTS}[^.]*?{_API.format('api')}", re.IGNORECASE),
    re.compile(rf"^\W*(?:only\s+(?:for|in)\s+(?:the\s+)?)?{_API.format('api')}\s*(?:only)?\W*$", re.IGNORECASE),
    re.compile(rf"^\W*only\s+(?:the\s+)?{_API.format('api')}\s+(?:has|offers|supports|exposes|knows)\b", re.IGNORECASE),
    re.compile(rf"\b(?:exclusive|restricted|limited)\s+to\s+(?:the\s+)?{_API.format('api')}", re.IGNORECASE),
)
_NOT = re.compile(
    rf"\b(?:not|un)\s?(?:available|accessible|supported|allowed|offered|exposed)\b[^.]*?{_API.format('api')}",
    re.IGNORECASE,
)
#: A sentence about something else: it begins with an argument's name, or it states a condition.
_BESIDE = re.compile(r"^\W*`|\bwhen\b|\bif\b|\bparameters?\b|\bfields?\b|\bhas to be allowed\b", re.IGNORECASE)
_OTHER = {"enterprise": "customer", "customer": "enterprise"}


def interface(*texts: str) -> str:
    """Return `enterprise`, `customer` or `both` from what is written about an operation."""
    said = {interface for text in texts for sentence in _sentences(text) if (interface := _of(sentence))}
    return said.pop() if len(said) == 1 else "both"


def _sentences(text: str) -> list[str]:
    plain = _MARKUP.sub("", _LINK.sub("", text.replace("</p>", "\n").replace("<br", "\n<br")))
    return [sentence.strip() for sentence in _SENTENCE.split(plain) if sentence.strip()]


def _of(sentence: str) -> str | None:
    if _BESIDE.search(sentence):
        return None
    for pattern in _ONLY:
        match = pattern.search(sentence)
        if match:
            return match["api"].lower()
    match = _NOT.search(sentence)
    return _OTHER[match["api"].lower()] if match else None
