"""Findings about pages: how many records one holds, whether `total_items` is true, and how far offsets reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from carecloud_async.check.families import FamilyList
from carecloud_async.check.probe import Probe
from carecloud_async.check.replies import Outcome, Reply
from carecloud_async.check.report import CheckFinding, good, not_known, problem, warning

__all__ = ["LARGE", "LargePage", "choose_list", "end_findings", "page_cap", "short_pages", "totals"]

#: The page that shows a cap; exports ask for pages of this size, and for larger ones.
LARGE: Final = 1000
_USUAL: Final = 100
#: The most lists whose short pages are asked for again.
_MOST_ASKED_AGAIN: Final = 4

_TOTAL_MEANS: Final = (
    "total(), progress and the end of exports go by it; exports look for the end themselves where it is doubted"
)
_END_MEANS: Final = "exports and iteration look there for the end of a list whose total they doubt"
_TOTAL_FIX: Final = "do not rely on total(); look at report.exact after exports; tell the project's administrator"


def choose_list(families: Sequence[FamilyList]) -> FamilyList | None:
    """Return the list to look at closely: the customers, or the longest one with records; `None` if there is none."""
    usable = [
        one for one in families if one.reply.records and one.operation.paged and one.operation.id_field is not None
    ]
    return max(usable, key=lambda one: (one.name == "customers", one.reply.total or one.reply.length), default=None)


@frozen(kw_only=True)
class LargePage:
    """The largest page that the server sent.

    Attributes:
        reply: the page.
        count: the number of records that pages may be asked for.
        finding: what it shows.
        cap: the most records of a page, if the server cuts pages.
    """

    reply: Reply
    count: int
    finding: CheckFinding
    cap: int = LARGE


async def page_cap(target: FamilyList) -> LargePage:
    """Ask for a large page, and find out whether the server cuts it."""
    reply = await target.ask(count=LARGE)
    if reply.is_page:
        return await _cut_or_whole(target, reply)
    usual = await target.ask(count=_USUAL)
    if not usual.is_page:
        seen = f"no page of {_USUAL} {target.name} came, only a smaller one: {usual}"
        meaning = "how many records a page may hold is not known; pages, order and totals could not be examined"
        return LargePage(
            reply=usual, count=_USUAL, cap=_USUAL, finding=not_known("page_cap", seen, meaning, "run it again")
        )
    count = max(min(usual.length, _USUAL), 1)
    seen = f"a page of {LARGE:,} {target.name} does not come ({reply}), one of {_USUAL} does"
    if reply.outcome in {Outcome.RATE_LIMITED, Outcome.IN_FRONT, Outcome.UNAUTHORIZED, Outcome.NOT_SENT}:
        finding = not_known("page_cap", seen, "whether large pages come is not known", "run it again")
    else:
        finding = warning(
            "page_cap",
            seen,
            "exports that find the size of pages by themselves lose time at the larger ones",
            f"give count={_USUAL} to lists and exports (--count {_USUAL})",
        )
    return LargePage(reply=usual, count=count, cap=count, finding=finding)


async def _cut_or_whole(target: FamilyList, reply: Reply) -> LargePage:
    size = reply.length
    count, cap = max(min(size, LARGE), 1), LARGE
    if size >= LARGE:
        finding = good("page_cap", f"pages of {LARGE:,} records come whole", "exports need few requests")
        return LargePage(reply=reply, count=count, finding=finding)
    after = await target.ask(count=1, offset=size)
    repeated = set(after.ids(target.id_field)) & set(reply.ids(target.id_field))
    if not after.is_page and reply.total != size:
        finding = not_known(
            "page_cap",
            f"the page after the first {size} records could not be read: {after}",
            "whether pages are cut is not known; the SDK goes by what comes",
            "run it again",
        )
        cap = count
    elif not after.records or repeated:  # a record that came before is no sign of a cap: see `short_pages`
        finding = good(
            "page_cap", f"a page of all {size} {target.name} comes whole: no cap shows", "exports need few requests"
        )
    else:
        finding = warning(
            "page_cap",
            f"pages are cut to {size} records, though {LARGE:,} were asked for",
            f"exports take a request for each {size} records; reads by count and offset of your own must go on by the "
            "number of records that came",
            "nothing needs to be set: the SDK goes by what came; ask the administrator for a higher cap if exports are "
            "slow",
        )
        cap = count
    return LargePage(reply=reply, count=count, cap=cap, finding=finding)


async def totals(target: FamilyList, page: LargePage) -> CheckFinding:
    """Return whether `total_items` is given and true, and whether pages at the end of the list can be read."""
    reply = page.reply
    if not reply.has_total:
        return warning(
            "totals",
            "lists say no total_items",
            "total() raises ResponseError, progress shows no end, and exports find the end by an empty page",
            "count by iterating, and use no total()",
        )
    if reply.total is None:
        return warning("totals", "total_items is not a whole number", _TOTAL_MEANS, _TOTAL_FIX)
    if reply.total < reply.length:
        seen = "total_items is smaller than the number of records in one page"
        return problem("totals", seen, _TOTAL_MEANS, _TOTAL_FIX)
    total, length, offset = reply.total, 0, 0
    ids: tuple[str, ...] = ()
    for _ in range(2):  # records may be created or deleted meanwhile: the second look uses the new total
        offset = max(total - 1, 0)
        last = await _last_page(target, offset)
        if not last.is_page or last.total is None:
            return await _unread_end(target, last)
        if last.length == min(last.total, 1) and last.total == total:
            return good("totals", "total_items is given, and the last record is where it says", _TOTAL_MEANS)
        total, length, ids = last.total, last.length, last.ids(target.id_field)
    if length == 0:
        seen = "total_items is larger than the list: no record is at its end"
        return problem("totals", seen, _TOTAL_MEANS, _TOTAL_FIX)
    if length > 1 and offset and ids == (await target.by_id(count=2)).ids(target.id_field):
        seen = "the page at the end of the list is the first one"
        return not_known("totals", seen, "whether total_items is true is not known", "see the finding on offset")
    if length > 1:
        seen = "total_items is smaller than the list: records come after its end"
        return problem("totals", seen, _TOTAL_MEANS, _TOTAL_FIX)
    return warning("totals", "total_items changes between requests", _TOTAL_MEANS, _TOTAL_FIX)


async def _last_page(target: FamilyList, offset: int) -> Reply:
    """Ask for the last record: in the order of the ids, or in none where such a page does not come."""
    reply = await target.by_id(count=2, offset=offset)
    return reply if reply.is_page else await target.ask(count=2, offset=offset)


async def _unread_end(target: FamilyList, last: Reply) -> CheckFinding:
    """Return the finding for a last record that cannot be read: the server refuses offsets that high, or any page."""
    near = await target.ask(count=2, offset=1)
    is_deep = near.is_page and last.outcome not in {Outcome.RATE_LIMITED, Outcome.NOT_SENT, Outcome.UNAUTHORIZED}
    if not is_deep or last.is_page:
        seen = f"the page at the end of the list could not be read: {last}"
        return not_known("totals", seen, "whether total_items is true is not known", "run it again")
    return problem(
        "offset",
        f"a page at the end of {target.name} does not come, in any order, one at the beginning does: {last}",
        "lists can be read only up to some offset: exports and iteration end with an error before their last record",
        "tell the project's administrator; read such a list in parts, by filters",
    )


async def end_findings(target: FamilyList, page: LargePage) -> list[CheckFinding]:
    """Return what a page after the end of the list is; nothing if the list does not say where it ends."""
    total = page.reply.total
    if total is None:
        return []
    reply = await target.ask(count=2, offset=total + LARGE)
    if reply.is_page and not reply.length:
        return [good("end", "a page after the end of the list is empty", _END_MEANS)]
    if not reply.is_evidence:
        seen = f"a page after the end of the list could not be read: {reply}"
        return [not_known("end", seen, _END_MEANS, "run it again")]
    if not reply.is_page:
        return [
            warning(
                "end",
                f"a page after the end of the list is not an empty page: {reply}",
                f"{_END_MEANS}: they end with an error where total_items is too large or missing",
                "look at report.exact after exports; tell the project's administrator",
            )
        ]
    seen = "a page far after the end that total_items says has records"
    meaning = f"{_END_MEANS}: either records come again there, or the total is too small"
    return [warning("end", seen, meaning, "look at report.exact after exports; tell the project's administrator")]


async def short_pages(probe: Probe, cap: int) -> list[CheckFinding]:
    """Return which lists send fewer records than asked for, although `total_items` says that there are more.

    A page that is the only short one of its list is asked for again: records and total of one answer can disagree once
    where the list just changed.

    Args:
        probe: which has asked for all pages.
        cap: the number of records that a page can hold.
    """
    short = [page for page in probe.pages if page.is_short(cap)]
    times = Counter(page.operation.call for page in short)
    alone = [page for page in short if times[page.operation.call] == 1]
    for page in alone[:_MOST_ASKED_AGAIN]:
        before = len(probe.pages)
        await probe.ask(page.operation, **page.params)
        times.update(one.operation.call for one in probe.pages[before:] if one.is_short(cap))
    again = [name.removesuffix(".list") for name, number in times.items() if number > 1]
    once = [name.removesuffix(".list") for name, number in times.items() if number == 1]
    if again:
        return [
            problem(
                "page_size",
                f"{', '.join(again)} sent fewer records than count asked for, more than once, though total_items says "
                "that there are more",
                "pages leave out records, or totals count records that this user may not see: exports may not be exact",
                "look at report.exact after exports; ask the administrator what this user may not see",
            )
        ]
    if once:
        return [
            not_known(
                "page_size",
                f"{', '.join(once)} sent fewer records than count asked for, once",
                "a list that just changed does so, and so does a server that leaves out records now and then",
                "run it again when the server is quiet; look at report.exact after exports",
            )
        ]
    return []
