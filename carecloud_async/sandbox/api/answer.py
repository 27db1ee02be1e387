"""An answer before it is sent."""

from __future__ import annotations

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


def json_answer(value: Any, *, status: int = 200, pretty: bool = False) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value, pretty=pretty), content_type="application/json")


def data_answer(data: Any, *, status: int = 200, pretty: bool = False) -> Answer:
    """An answer in the form that every success of the API has: `{"data": …}`."""
    return json_answer({"data": data}, status=status, pretty=pretty)


def no_content() -> Answer:
    """204: done, and nothing to say."""
    return Answer(status=204)
