"""Findings about order: whether pages fit together, and whether a sort is honoured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from carecloud_async._lists.export.reading.evidence import IdOrder
from carecloud_async._lists.export.reading.times import FIELD, NEVER, known_times, read_time
from carecloud_async.check.change_times import says_when_changed
from carecloud_async.check.families import FamilyList
from carecloud_async.check.paging import LargePage
from carecloud_async.check.replies import Reply
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning

__all__ = ["change_order", "order_findings"]

#: The most records of a page that is compared.
_ROWS: Final = 50
#: The records of the other end of a list that are compared.
_FEW: Final = 5
_ANY_ZONE: Final = ZoneInfo("UTC")

_ORDER_MEANS: Final = (
    "pages do not fit together: plain iteration and prefetch can miss records or give them twice; exports read the "
    "list more than once, and report.exact says whether they got all"
)
_SORT_MEANS: Final = "changed_since and state= exports have to read whole lists, or cannot vouch for what they found"
_MORE: Final = "run it again when there are more records"
_WHOLE_LISTS: Final = "export whole lists, without changed_since= and state="


async def order_findings(target: FamilyList, page: LargePage) -> list[CheckFinding]:
    """Return whether the order of ids is kept between pages, and whether sorts are honoured.

    Args:
        target: the list.
        page: its largest page.
    """
    if page.reply.length < 3:
        means = (("order", _ORDER_MEANS), ("sort", _SORT_MEANS))
        return [not_known(name, f"{target.name} are too few to show it", why, _MORE) for name, why in means]
    rows = min(page.count, _ROWS, max(page.reply.length * 2 // 3, 2))
    first = await target.by_id(count=rows)
    if not first.is_page:
        return [_unsorted(first, target.id_field)]
    if len(first.records) < first.length:
        return [_not_seen("order", f"pages of {target.name} hold entries that are no records", _ORDER_MEANS)]
    if len(first.ids(target.id_field)) < first.length:
        missing = problem(
            "order",
            f"records of {target.name} come without {target.id_field}",
            "exports cannot tell records apart, and write some twice or not at all",
            "report the form of the answer (not its values)",
        )
        return [missing]
    return [await _kept(target, first, rows=rows), await _honoured(target, first, rows=rows)]


async def change_order(target: FamilyList, page: LargePage) -> tuple[Reply, CheckFinding | None]:
    """Return the page of the latest changes, and whether it is sorted by them; no finding for a list without them.

    Args:
        target: the list.
        page: its largest page.
    """
    if not says_when_changed(target.into) or page.reply.length < 3:
        return Reply.unsent(), None
    reply = await target.ask(count=min(page.count, 2 * _ROWS), sort_field=FIELD, sort_direction="DESC")
    if not reply.is_page:
        return reply, _unsorted(reply, FIELD)
    times = _times(reply)
    if any(later < earlier for later, earlier in pairwise(times)):
        seen = f"sort_field={FIELD} is not honoured: newer changes come after older ones"
        return reply, problem("sort", seen, _SORT_MEANS, _WHOLE_LISTS)
    if len({*times} - {NEVER}) < 2:
        seen = f"{target.name} have too few different times of change to show it"
        return reply, not_known("sort", seen, _SORT_MEANS, _MORE)
    return reply, await _turned(target, reply)


def _times(page: Reply) -> list[datetime]:
    """Return the times of change of a page that can be read; only their order matters."""
    return known_times(read_time(record.get(FIELD), _ANY_ZONE) for record in page.records)


async def _turned(target: FamilyList, latest: Reply) -> CheckFinding:
    """Ask for the other end of a list whose times fall: without a sort too they can, in the order of creation."""
    other = await target.ask(count=_FEW, sort_field=FIELD, sort_direction="ASC")
    if not other.is_page:
        return _unsorted(other, FIELD)
    near, far = latest.ids(target.id_field)[:_FEW], other.ids(target.id_field)
    newest = _times(latest)[0]
    if (near and near == far) or any(time > newest for time in _times(other)):
        seen = f"sort_field={FIELD} is not honoured: ASC begins like DESC, or with later changes"
        return problem("sort", seen, _SORT_MEANS, _WHOLE_LISTS)
    seen = f"the latest changes of {target.name} come first when asked so, and the oldest when asked so"
    return good("sort", seen, "changed_since and state= read only what changed")


async def _kept(target: FamilyList, first: Reply, *, rows: int) -> CheckFinding:
    """Read a page that overlaps the first one, and the first one again; twice, since records may come and go."""
    step = max(rows // 2, 1)
    for _ in range(2):
        second = await target.by_id(count=rows, offset=step)
        again = await target.by_id(count=rows)
        if not (second.is_page and again.is_page):
            unread = again if second.is_page else second
            return _not_seen("order", f"the pages could not be read twice: {unread}", _ORDER_MEANS)
        one, two, three = (reply.ids(target.id_field) for reply in (first, second, again))
        if one == two and len(one) > 1:
            return problem(
                "offset",
                "offset is ignored: every page is the first one",
                "iteration reads no list beyond its first page, and exports end with an error",
                "tell the project's administrator; iterate a short list in one page (count=)",
            )
        if one == three and one[step:] == two[: len(one) - step]:
            return _in_order([*one, *(other for other in two if other not in one)])
        first = again
    return problem(
        "order",
        "the order of the records changes from page to page, though sort_field asks for that of the ids",
        _ORDER_MEANS,
        "look at report.exact after exports, and export when the project is quiet",
    )


def _in_order(ids: Sequence[str]) -> CheckFinding:
    """Return whether the ids of pages that fit together are in order."""
    if IdOrder().check(ids):
        return good("order", "pages come in the order of the ids, and fit together", "exports are exact in one pass")
    return warning(
        "order",
        "pages fit together, but not in the order of the ids that sort_field asks for",
        "exports cannot tell by the order that nothing was missed: they read the list twice",
        "nothing needs to be set; exports take longer",
    )


async def _honoured(target: FamilyList, first: Reply, *, rows: int) -> CheckFinding:
    last = await target.by_id(count=rows, direction="DESC")
    if not last.is_page:
        return _unsorted(last, target.id_field)
    rising, falling = first.ids(target.id_field), last.ids(target.id_field)
    if _is_reversed(rising, falling):
        return good("sort", "sort_field and sort_direction are honoured", "changes can be read newest first")
    if rising == falling:
        seen = "sort_field and sort_direction are ignored: ASC and DESC give the same page"
    else:
        seen = "sort_field and sort_direction are not honoured: the ids do not come in order"
    return problem("sort", seen, _SORT_MEANS, _WHOLE_LISTS)


def _unsorted(reply: Reply, field: str) -> CheckFinding:
    """Return the finding on a sorted list that did not come: a refusal in the API's words, or nothing that shows it."""
    if not reply.is_evidence:
        return _not_seen("sort", f"the list sorted by {field} could not be read: {reply}", _SORT_MEANS)
    seen = f"the list cannot be sorted by {field}: {reply}"
    return warning("sort", seen, _SORT_MEANS, f"{_WHOLE_LISTS}; look at report.exact")


def _not_seen(name: str, seen: str, meaning: str) -> CheckFinding:
    return not_known(name, seen, f"if it does not hold: {meaning}", "run it again")


def _is_reversed(rising: Sequence[str], falling: Sequence[str]) -> bool:
    """Return whether both are in order by some way of comparing ids, one the other way round."""
    up, down = IdOrder(), IdOrder()
    up.check(rising)
    down.check(falling)
    turned = {name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in down.names}
    return bool(turned & set(up.names))
