"""Answers: what a handler may return, which part of a list a page shows, and how both are written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs

from carecloud_async.sandbox.api.calls import Query
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.json_text import json_bytes
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.sandbox_state import SandboxState, ServedPage

DEFAULT_COUNT: Final = 100


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
        total: Number of records that the list has.
    """

    ids: Callable[[], Sequence[str]]
    texts: Sequence[bytes]
    offset: int
    total: int


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """An answer whose body is this JSON."""
    return Answer(status=status, body=json_bytes(value), content_type="application/json")


@attrs.frozen(kw_only=True)
class Window:
    """A part of a list, and its order.

    Attributes:
        count: Most records wanted.
        offset: Records to skip.
        sort_field: Field to sort by, or `None` for the order in which the records came.
        descending: Whether the order is reversed.
    """

    count: int
    offset: int
    sort_field: str | None
    descending: bool


def window_of(query: Query, *, sortable: Iterable[str], sorts: bool) -> Window:
    """Read the parameters that every list has: `count`, `offset`, `sort_field`, `sort_direction`.

    Args:
        query: The query.
        sortable: Fields that `sort_field` may name.
        sorts: Whether the order is honoured; if not, the records come in the order of the list.

    Raises:
        RefusalError: 400 if one of them is not valid.
    """
    field = query.one("sort_field")
    if field is not None and field not in sortable:
        raise invalid("sort_field", "not_allowed_value", value=field)
    direction = query.one("sort_direction")
    if direction not in (None, "ASC", "DESC"):
        raise invalid("sort_direction", "not_allowed_value", value=direction)
    return Window(
        count=query.integer("count", default=DEFAULT_COUNT, minimum=1),
        offset=query.integer("offset", default=0, minimum=0),
        sort_field=field if sorts else None,
        descending=sorts and direction == "DESC",
    )


def page_range(state: SandboxState, window: Window, *, total: int, capped: bool = True) -> range:
    """Indexes of the records that a page shows.

    Args:
        state: Its cap on `count` and its overrides apply.
        window: The part that was asked for.
        total: How many records there are.
        capped: Whether the list has pages, which the cap is for.
    """
    cap = state.settings.max_count if capped else None
    count = window.count if cap is None else min(window.count, cap)
    offset = 0 if state.overrides.repeat_page else window.offset
    if state.overrides.empty_from is not None and offset >= state.overrides.empty_from:
        return range(0)
    return range(min(offset, total), min(offset + count, total))


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
        parts.append(b'"total_items":%d' % _total_items(state, page))
    if state.settings.total_items_first:
        parts.reverse()
    return Answer(body=b'{"data":{' + b",".join(parts) + b"}}", content_type="application/json")


def _total_items(state: SandboxState, page: Page) -> int:
    return page.total if state.overrides.total_items is None else state.overrides.total_items


async def call_page_hook(state: SandboxState, api: ApiOperation, page: Page) -> None:
    """Call the test's hook, which may change the state after the answer was written and before it is sent."""
    if state.on_page is None:
        return
    total_items = _total_items(state, page)
    served = ServedPage(template=api.template, offset=page.offset, ids=tuple(page.ids()), total_items=total_items)
    waiting = state.on_page(served)
    if inspect.isawaitable(waiting):
        await waiting
