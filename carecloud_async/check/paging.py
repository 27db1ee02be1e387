"""Findings about pages: how many records one holds, and whether `total_items` is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from carecloud_async.check.families import FamilyList
from carecloud_async.check.replies import Outcome, Reply
from carecloud_async.check.report import CheckFinding, good, problem, warning

__all__ = ["LargePage", "choose_list", "page_cap", "totals"]

#: The page that shows a cap; exports ask for pages of this size, and for larger ones.
LARGE: Final = 1000
_USUAL: Final = 100


def choose_list(families: Sequence[FamilyList]) -> FamilyList | None:
    """Return the list to look at closely: the customers, or the longest one with records; `None` if there is none."""
    usable = [
        one for one in families if one.reply.records and one.operation.paged and one.operation.id_field is not None
    ]
    return max(usable, key=lambda one: (one.name == "customers", one.reply.count or one.reply.length), default=None)


@frozen(kw_only=True)
class LargePage:
    """The largest page that the server sent.

    Attributes:
        reply: the page.
        count: the number of records that pages may be asked for.
        findings: what it shows.
    """

    reply: Reply
    count: int
    findings: tuple[CheckFinding, ...]


async def page_cap(target: FamilyList) -> LargePage:
    """Ask for a large page, and find out whether the server cuts it."""
    asked, reply = LARGE, await target.ask(count=LARGE)
    refused = reply.outcome in {Outcome.REFUSED, Outcome.FAILED, Outcome.NO_ANSWER, Outcome.NOT_THE_API}
    if refused:
        asked, reply = _USUAL, await target.ask(count=_USUAL)
    if not reply.is_page:
        return LargePage(reply=reply, count=_USUAL, findings=())
    size = reply.length
    if refused:
        finding = warning(
            "page_cap",
            f"a page of {LARGE:,} {target.name} does not come, one of {_USUAL} does",
            "exports that find the size of pages by themselves lose time at the larger ones",
            f"give count={_USUAL} to lists and exports (--count {_USUAL})",
        )
    elif size >= asked:
        finding = good("page_cap", f"pages of {LARGE:,} records come whole", "exports need few requests")
    elif (await target.ask(count=1, offset=size)).records:
        finding = warning(
            "page_cap",
            f"pages are cut to {size} records, though {LARGE:,} were asked for",
            f"exports take a request for each {size} records; reads by count and offset of your own must go on by the "
            "number of records that came",
            "nothing needs to be set: the SDK goes by what came; ask the administrator for a higher cap if exports are "
            "slow",
        )
    else:
        finding = good("page_cap", "the list is shorter than a page: no cap shows", "exports need few requests")
    return LargePage(reply=reply, count=max(min(size, asked), 1), findings=(finding,))


async def totals(target: FamilyList, page: LargePage) -> CheckFinding:
    """Return whether `total_items` is given and true."""
    meaning = (
        "total(), progress and the end of exports go by it; exports look for the end themselves where it is doubted"
    )
    fix = "do not rely on total(); look at report.exact after exports; tell the project's administrator"
    reply = page.reply
    if reply.total is None:
        return warning(
            "totals",
            "lists say no total_items",
            "total() raises ResponseError, progress shows no end, and exports find the end by an empty page",
            "count by iterating, and use no total()",
        )
    if reply.count is None:
        return warning("totals", "total_items is not a whole number", meaning, fix)
    if reply.count < reply.length:
        return problem("totals", "total_items is smaller than the number of records in one page", meaning, fix)
    total, length = reply.count, 0
    for _ in range(2):  # records may be created or deleted meanwhile: the second look uses the new total
        last = await target.by_id(count=2, offset=max(total - 1, 0))
        if not last.is_page or last.count is None:
            return warning("totals", "the page at the end of the list could not be read", meaning, fix)
        if last.length == min(last.count, 1) and last.count == total:
            return good("totals", "total_items is given, and the last record is where it says", meaning)
        total, length = last.count, last.length
    if length == 0:
        return problem("totals", "total_items is larger than the list: no record is at its end", meaning, fix)
    if length > 1:
        return problem("totals", "total_items is smaller than the list: records come after its end", meaning, fix)
    return warning("totals", "total_items changes between requests", meaning, fix)
