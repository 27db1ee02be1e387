"""Answers: what a handler may return, and how it is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from carecloud_async.sandbox.json_text import json_bytes
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.sandbox_state import SandboxState, ServedPage


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
        ids: Returns the ids of its records, which only a test's hook asks for.
        texts: Its records as compact JSON.
        offset: As it was asked for.
        total_items: Number of records in the list, as the answer says.
    """

    ids: Callable[[], Sequence[str]]
    texts: Sequence[bytes]
    offset: int
    total_items: int


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value), content_type="application/json")


def answer_of(state: SandboxState, api: ApiOperation, result: object) -> Answer:
    """Write what a handler returned: `{"data": …}` with the declared status, or no body where the API has none."""
    if isinstance(result, Answer):
        return result
    if isinstance(result, Page):
        return _page_answer(state, api.key, result)
    return Answer(status=204) if api.status == 204 else json_answer({"data": result}, status=api.status)


def _page_answer(state: SandboxState, key: str, page: Page) -> Answer:
    parts = [json_bytes(key) + b":[" + b",".join(page.texts) + b"]"]
    if state.settings.totals:
        parts.append(b'"total_items":%d' % page.total_items)
    if state.settings.total_items_first:
        parts.reverse()
    return Answer(body=b'{"data":{' + b",".join(parts) + b"}}", content_type="application/json")


async def call_page_hook(state: SandboxState, api: ApiOperation, page: Page) -> None:
    """Call the test's hook, which may change the state after the answer was written and before it is sent."""
    if state.on_page is None:
        return
    ids = tuple(page.ids())
    waiting = state.on_page(
        ServedPage(template=api.template, offset=page.offset, ids=ids, total_items=page.total_items)
    )
    if inspect.isawaitable(waiting):
        await waiting
