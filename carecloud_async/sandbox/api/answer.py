"""What a handler returns, and an answer before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from carecloud_async.sandbox.json_text import json_bytes


@attrs.frozen(kw_only=True)
class Answer:
    """Status, body and headers of one answer.

    Attributes:
        status: HTTP status.
        body: The bytes as they go out.
        headers: Headers that only this answer has, lower-case names.
        content_type: Media type, or `None` for no `Content-Type`.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = None


@attrs.frozen(kw_only=True)
class Page:
    """One page of a list.

    Attributes:
        ids: Gives the ids of its records.
        texts: Gives its records as compact JSON.
        offset: As it was asked for.
        total: Number of records that the list has.
    """

    ids: Callable[[], Sequence[str]]
    texts: Callable[[], Sequence[bytes]]
    offset: int
    total: int


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value), content_type="application/json")
