"""How any list is cut into pages and written, overrides included."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import attrs

from carecloud_async.sandbox.api.answer import Answer, data_answer
from carecloud_async.sandbox.api.parameters import Window
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.sandbox_state import SandboxState, ServedPage


@attrs.frozen(kw_only=True)
class PageSource:
    """What the answer of one page is written from.

    Attributes:
        template: Path template of the list.
        key: Name of the array in the answer.
        ids: Gives their ids.
        records: Gives them as objects.
        rendered: Gives them as compact JSON, or `None` to write it from the objects.
        offset: As it was asked for.
        total: How many records the list has.
    """

    template: str
    key: str
    ids: Callable[[], Sequence[str]]
    records: Callable[[], Sequence[JsonObject]]
    rendered: Callable[[], Sequence[bytes]] | None
    offset: int
    total: int


def places(state: SandboxState, window: Window, *, total: int, capped: bool = True) -> range:
    """Places of the records that a page shows.

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


def page_answer(state: SandboxState, page: PageSource) -> Answer:
    """Write one page, with the configured order and total."""
    total = said_total(state, page)
    first = state.settings.total_items_first
    if state.settings.pretty or page.rendered is None:
        records = page.records()
        data = {"total_items": total, page.key: records} if first else {page.key: records, "total_items": total}
        if not state.settings.totals:
            data = {page.key: records}
        return data_answer(data, pretty=state.settings.pretty)
    records_text = json_bytes(page.key, pretty=False) + b":[" + b",".join(page.rendered()) + b"]"
    total_text = b'"total_items":%d' % total
    parts: tuple[bytes, ...] = (total_text, records_text) if first else (records_text, total_text)
    if not state.settings.totals:
        parts = (records_text,)
    return Answer(body=b'{"data":{' + b",".join(parts) + b"}}", content_type="application/json")


def said_total(state: SandboxState, page: PageSource) -> int:
    """The `total_items` of the answer."""
    return page.total if state.overrides.total_items is None else state.overrides.total_items


async def tell_hook(state: SandboxState, page: PageSource) -> None:
    """Let the test's hook change the state while the answer, already written, is on its way."""
    if state.on_page is None:
        return
    served = ServedPage(
        template=page.template, offset=page.offset, ids=tuple(page.ids()), total_items=said_total(state, page)
    )
    waiting = state.on_page(served)
    if inspect.isawaitable(waiting):
        await waiting
