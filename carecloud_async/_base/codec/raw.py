"""Splits pages into records without parsing them: each record as the bytes that the server sent."""

from __future__ import annotations

import codecs
from collections.abc import Generator

import msgspec

from carecloud_async._base.codec.read import REFUSED, DecodedPage, body_then_sound, parse_total, split_page
from carecloud_async._base.codec.slices import exhaust
from carecloud_async._base.codec.tolerant.broken_json import load_spelled, sound_text

__all__ = ["raw_page", "raw_page_slices"]

#: How far into a body to search for the spaces of a server that writes `"a": 1` instead of `"a":1`.
_HEAD = 4096
#: How much of a body is checked for bad UTF-8 at a time: a piece that fits the processor's cache takes half the time.
_PIECE = 32 * 1024
#: How much of a body is processed in one slice: half a millisecond.
_SLICE = 2 << 20


def raw_page(body: bytes, *, key: str, offset: int = 0) -> DecodedPage[bytes]:
    """Split one page into its records: one compact line of UTF-8 JSON each, nothing parsed or lost.

    Unknown fields, the order of fields and the spelling of numbers are kept. A page that is not compact is compacted.
    In broken JSON, bad UTF-8 and lone surrogates become U+FFFD; a page with NaN and the like is read and written again,
    with the same numbers.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    return exhaust(raw_page_slices(body, key=key, offset=offset))


def raw_page_slices(body: bytes, *, key: str, offset: int = 0) -> Generator[None, None, DecodedPage[bytes]]:
    """Do the same as `raw_page`, with a `yield` after about each millisecond; see `CooperativeScheduler`."""
    body = body.strip()
    is_utf8 = yield from _check_utf8(body)
    if not is_utf8:
        body = sound_text(body)
    if _has_blanks(body):
        body = _without_blanks(body)
    found = split_page(body, key, offset=offset)
    raws = found.records
    items: list[bytes] = []
    step = max(len(raws) * _SLICE // max(len(body), 1), 1)
    for start in range(0, len(raws), step):
        if start or len(body) > _SLICE:
            yield
        items += [bytes(raw) for raw in raws[start : start + step]]
    return DecodedPage(items=items, total_items=parse_total(found.total), received=len(items))


def _check_utf8(body: bytes) -> Generator[None, None, bool]:
    if body.isascii():
        return True
    view, size, at = memoryview(body), len(body), 0
    try:
        while at < size:
            end = min(at + _SLICE, size)
            while at < end:
                # A character that is split between two pieces is left to the next one.
                at += codecs.utf_8_decode(view[at : at + _PIECE], "strict", at + _PIECE >= size)[1]
            if size > _SLICE:
                yield
    except UnicodeDecodeError:
        return False
    return True


def _without_blanks(body: bytes) -> bytes:
    for sound in body_then_sound(body):
        try:
            return msgspec.json.format(sound, indent=-1)
        except REFUSED:
            continue
    return msgspec.json.encode(load_spelled(body))


def _has_blanks(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return True
    head = body[:_HEAD]
    return any(blank in head for blank in (b'": ', b'" :', b', "', b'{ "', b"[ {"))
