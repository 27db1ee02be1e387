"""Pages into records without reading them: each record as the bytes the server sent."""

from __future__ import annotations

import codecs

import msgspec

from carecloud_async.codec.read import DecodedPage, cut, total
from carecloud_async.codec.repair import load, sanitize_utf8

__all__ = ["raw_page"]

#: How far into a body to look for the blanks of a server that writes `"a": 1` instead of `"a":1`.
_HEAD = 4096
#: How much of a body is checked for bad UTF-8 at a time: what fits the processor's cache takes half the time.
_PIECE = 32 * 1024


def raw_page(body: bytes, *, key: str) -> DecodedPage[bytes]:
    """Cut one page into its records: one compact line of UTF-8 JSON each, nothing parsed or lost.

    Unknown fields, the order of fields and the spelling of numbers are kept. A page that is not compact is compacted.
    In a damaged one, bad UTF-8 and lone surrogates become U+FFFD; one with NaN and the like is written anew.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    raws, total_items = cut(_compact(body), key)
    items = [bytes(raw) for raw in raws]
    return DecodedPage(items=items, total_items=total(total_items), received=len(items))


def _compact(body: bytes) -> bytes:
    body = body.strip()
    if not _is_utf8(body):
        body = sanitize_utf8(body)
    if not _has_blanks(body):
        return body
    try:
        return msgspec.json.format(body, indent=-1)
    except (ValueError, RecursionError):
        pass
    return msgspec.json.encode(load(body))


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    view, size, at = memoryview(body), len(body), 0
    try:
        while at < size:
            # A character that a piece cuts in two is left to the next one.
            at += codecs.utf_8_decode(view[at : at + _PIECE], "strict", at + _PIECE >= size)[1]
    except UnicodeDecodeError:
        return False
    return True


def _has_blanks(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return True
    head = body[:_HEAD]
    return any(blank in head for blank in (b'": ', b'" :', b', "', b'{ "', b"[ {"))
