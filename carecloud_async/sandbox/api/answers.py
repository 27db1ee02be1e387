"""An answer before it is sent, and how JSON is written into it."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import attrs

JsonObject: TypeAlias = dict[str, Any]


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


def json_bytes(value: Any, *, pretty: bool) -> bytes:
    """Write JSON as the server does: UTF-8, compact, or indented by four."""
    if pretty:
        return json.dumps(value, ensure_ascii=False, indent=4).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def escaped_json_bytes(value: Any) -> bytes:
    r"""Write compact JSON as many PHP servers do: `\u` for what is not ASCII, `\/` for a slash."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


def json_answer(value: Any, *, status: int = 200, pretty: bool = False) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value, pretty=pretty), content_type="application/json")


def data_answer(data: Any, *, status: int = 200, pretty: bool = False) -> Answer:
    """An answer in the form that every success of the API has: `{"data": …}`."""
    return json_answer({"data": data}, status=status, pretty=pretty)


def no_content() -> Answer:
    """204: done, and nothing to say."""
    return Answer(status=204)
