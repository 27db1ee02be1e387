"""Probes of lists: which may be read, how many records a page holds, totals, offsets, the end, the order, and sorts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from carecloud_async._lists.export.reading.times import FIELD, NoTime, parse_time
from carecloud_async.check.filters import nothing_found
from carecloud_async.check.look import LARGE, Came, Look, NotSeen, Reply
from carecloud_async.check.probe import Verdict, bad, probe, warn
from carecloud_async.errors import MethodNotAllowedError, NotFoundError, PermissionDeniedError
from carecloud_async.resources.lookup.by_name import listable

#: The families that are asked, as far as the requests of a check go; the others hold settings and lists of types.
_ASKED: Final = (
    "customers", "cards", "purchases", "vouchers", "rewards", "events", "points", "credits", "messages", "bookings",
    "orders", "tasks", "users", "stores", "products", "product_reservations", "segments", "statuses", "card_types",
    "customer_source_records", "customer_properties",
)  # fmt: skip
_FIRST_PAGE: Final = 5


@probe(
    "families",
    means="exports of families that cannot be read fail, and so do bulk writes that look records up in them",
    fix="ask the administrator for the rights, and after a 401 whether another program ends the token",
    once=True,
)
async def families(look: Look) -> Verdict:
    """This user may read what is needed."""
    names = [name for name in _ASKED if look.interface in listable()[name].interfaces]
    look.families = asked = [await look.page(name, count=_FIRST_PAGE) for name in names]
    read = [reply.name for reply in asked if reply.is_page]
    dead = [reply.name for reply in asked if reply.came is Came.DEAD_TOKEN]
    forbidden = [reply.name for reply in asked if isinstance(reply.error, PermissionDeniedError)]
    absent = [reply.name for reply in asked if isinstance(reply.error, NotFoundError | MethodNotAllowedError)]
    odd = [reply.name for reply in asked if reply.came is Came.REFUSED and reply.name not in {*forbidden, *absent}]
    no_customer = dead if look.device_token else []
    refused = [] if look.device_token else dead
    seen = f"this user may read {', '.join(read)}" if read else f"none of {len(asked)} families can be read"
    for words, some in (
        ("the project does not have {} (404 or 405)", absent),
        ("it may not read {} (403)", forbidden),
        ("a fresh token is refused for {} (401)", refused),
        ("the first page of {} is refused (4xx)", odd),
        ("no customer is logged in on this device, which {} need (401)", no_customer),
    ):
        seen += f"; {words.format(', '.join(some))}" if some else ""
    if odd or refused or (forbidden and not read):
        return bad(seen)
    if forbidden:
        return warn(seen)
    unknown = [f"{reply.name}: {reply}" for reply in asked if reply.name not in {*read, *absent, *dead}]
    if unknown or no_customer:
        raise NotSeen("; ".join([seen, *unknown]))
    return seen


_USUAL: Final = 100
#: The most records of a page that is compared, and of the other end of a list.
_ROWS: Final = 50
_FEW: Final = 5
#: The most pages that are asked for again because they are short.
_MOST_ASKED_AGAIN: Final = 4

_EXACT: Final = "look at report.exact after exports"
_WHOLE_LISTS: Final = "export whole lists, without changed_since= and state="
_SORT_MEANS: Final = "without a sort, changed_since= and state= read whole lists"


async def _large(look: Look) -> Reply:
    """Return the largest page that comes.

    Raises:
        NotSeen: none comes, though a small one did.
    """
    large = await look.page(look.target.name, count=LARGE)
    usual = large if large.is_page else await look.page(large.name, count=_USUAL)
    if not usual.is_page:
        raise NotSeen(f"no page of {_USUAL} {large.name} came, only a smaller one: {usual}")
    return usual


async def _by_id(look: Look, *, offset: int = 0, direction: str = "ASC") -> Reply:
    """Return a page of a few records in the order of the ids.

    Raises:
        NotSeen: the list is too short to show anything.
    """
    large = await _large(look)
    if large.length < 3:
        raise NotSeen(f"{large.name} are too few to show it")
    field = large.operation.id_field or ""
    return await look.page(large.name, count=_rows(large), offset=offset, sort_field=field, sort_direction=direction)


def _rows(large: Reply) -> int:
    return min(_ROWS, max(large.length * 2 // 3, 2))


async def _last(look: Look) -> Reply:
    """Return the page of the last record by the total, in no order; of the second one where there is no total."""
    large = await _large(look)
    return await look.page(large.name, count=2, offset=1 if large.total is None else max(large.total - 1, 0))


def _is_first(look: Look, last: Reply) -> bool:
    """Return whether a page at an offset is the first one."""
    return last.params["offset"] != 0 and len(last.ids) > 1 and last.ids[:2] == look.target.ids[:2]


@probe(
    "page_cap",
    means="exports take more requests, and reads of your own must go on by the number of records that came",
    fix="nothing needs to be set, but ask for a higher cap if exports are slow",
)
async def page_cap(look: Look) -> Verdict:
    """Pages may be large."""
    usual, large = await _large(look), await look.page(look.target.name, count=LARGE)
    if not large.is_page:
        seen = f"a page of {LARGE:,} {large.name} does not come ({large}), one of {_USUAL} does"
        is_too_large = large.is_refused or large.has_failed
        return warn(seen, f"give count={_USUAL} to lists and exports (--count {_USUAL})") if is_too_large else None
    if large.length >= LARGE:
        return f"pages of {LARGE:,} records come whole"
    after = await look.page(large.name, count=1, offset=large.length)
    if not after.is_page and large.total != large.length:
        return None
    if not after.items or {*after.ids} & {*usual.ids}:  # a record that came before is no sign of a cap
        return f"a page of all {large.length} {large.name} comes whole: no cap shows"
    return warn(f"pages are cut to {large.length} records, though {LARGE:,} were asked for")


@probe(
    "totals",
    means="total(), progress and the end of exports go by it",
    fix=f"do not rely on total(), and {_EXACT}",
)
async def totals(look: Look) -> Verdict:
    """`total_items` is there and true."""
    large, last = await _large(look), await _last(look)
    if large.total is None:
        return warn("lists say no total_items that is a whole number")
    if _is_first(look, last):
        raise NotSeen("the page at the end of the list is the first one")
    if not last.is_page:
        return None
    if last.length != min(large.total, 1):
        return bad(f"total_items is {'smaller' if last.length else 'larger'} than the list")
    if last.total != large.total:
        return bad("total_items changes with the page")
    if any(reply.total for reply in await nothing_found(look) if reply.is_page and not reply.length):
        return warn("total_items is not 0 where a filter found nothing", "count filtered lists by iterating")
    return "total_items is given, and the last record is where it says"


@probe(
    "offset",
    means="exports and iteration end with an error before their last record",
    fix="read such a list in parts, by filters, and tell the administrator",
)
async def offset(look: Look) -> Verdict:
    """Any offset is served."""
    last = await _last(look)
    if last.is_page:
        is_first = bad("offset is ignored: every page is the first one")
        return is_first if _is_first(look, last) else "the last record comes by its offset"
    near = await look.page(last.name, count=2, offset=1)
    if near.is_page and (last.is_refused or last.has_failed):
        return bad(f"a page at the end of {last.name} does not come, one at the beginning does: {last}")
    return None


@probe("end", means="exports and iteration look there for the end if the total may be wrong", fix=_EXACT)
async def end(look: Look) -> Verdict:
    """A page after the end is empty."""
    large = await _large(look)
    if large.total is None:
        raise NotSeen("the list does not say where it ends")
    after = await look.page(large.name, count=2, offset=large.total + LARGE)
    if after.is_refused:
        return warn(f"a page after the end of the list is not an empty page: {after}")
    if after.length:
        return warn("a page far after the end that total_items says has records")
    return "a page after the end of the list is empty" if after.is_page else None


@probe(
    "order",
    means="if pages do not fit together, iteration can miss records or give them twice",
    fix="export when the project is quiet, and look at report.exact",
)
async def order(look: Look) -> Verdict:
    """The order of the ids is kept between pages."""
    first = await _by_id(look)
    half = max(first.length // 2, 1)
    second = await _by_id(look, offset=half)
    again = await look.afresh(first.name, **first.params)
    if not (first.is_page and second.is_page and again.is_page):
        return None
    if len(first.items) < first.length:
        raise NotSeen(f"pages of {first.name} hold entries that are no records")
    if len(first.ids) < first.length:
        return bad(f"records of {first.name} come without {first.operation.id_field}")
    if first.ids == second.ids:
        raise NotSeen("the second page is the first one")
    if first.ids != again.ids or first.ids[half:] != second.ids[: len(first.ids) - half]:
        return bad("the order of the records changes from page to page, though sort_field asks for that of the ids")
    ids = list(dict.fromkeys([*first.ids, *second.ids]))
    if _rises(ids) or _rises(ids[::-1]):
        return "pages come in the order of the ids, and fit together"
    return warn("pages fit together, but not in the order of the ids: exports read the list twice")


def _rises(ids: Sequence[str]) -> bool:
    """Return whether ids rise in some order: of texts, in capitals or not, or of numbers."""
    orders: list[Sequence[Any]] = [ids, [record_id.casefold() for record_id in ids]]
    orders += [[*map(int, ids)]] if all(map(str.isdecimal, ids)) else []
    return any(all(before < after for before, after in pairwise(keys)) for keys in orders)


@probe("sort", means=_SORT_MEANS, fix=_WHOLE_LISTS)
async def id_sort(look: Look) -> Verdict:
    """`sort_field` and `sort_direction` are honoured by id."""
    rising, falling = await _by_id(look), await _by_id(look, direction="DESC")
    if rising.is_refused or falling.is_refused:
        return warn(f"the list cannot be sorted by its ids: {rising if rising.is_refused else falling}")
    if not (rising.is_page and falling.is_page) or len(rising.ids) < rising.length:
        return None
    if _rises(rising.ids) and _rises(falling.ids[::-1]):
        return "sort_field and sort_direction are honoured"
    return bad("sort_field and sort_direction are not honoured: the ids do not come in order both ways")


@probe("sort", means=_SORT_MEANS, fix=_WHOLE_LISTS)
async def change_sort(look: Look) -> Verdict:
    """They are honoured by the time of change."""
    large = await _large(look)
    if not any(FIELD in record for record in large.items[:_FEW]):
        raise NotSeen(f"{large.name} do not say when they changed")
    latest = await look.page(large.name, count=_rows(large), sort_field=FIELD, sort_direction="DESC")
    oldest = await look.page(large.name, count=_rows(large), sort_field=FIELD, sort_direction="ASC")
    if latest.is_refused or oldest.is_refused:
        return warn(f"the list cannot be sorted by {FIELD}: {latest if latest.is_refused else oldest}")
    if not (latest.is_page and oldest.is_page):
        return None
    falling, rising = _times(latest), _times(oldest)
    if any(later < earlier for later, earlier in [*pairwise(falling), *pairwise(rising[::-1])]):
        return bad(f"sort_field={FIELD} is not honoured: newer changes come after older ones, or the other way round")
    if len({*falling, *rising}) < 2:
        raise NotSeen(f"{large.name} have too few different times of change to show it")
    return "the latest changes come first when asked so, and the oldest when asked so"


def _times(page: Reply) -> list[datetime]:
    """Return the times of change of a page that can be read, without their offsets: only their order matters."""
    times = (parse_time(record.get(FIELD)) for record in page.items)
    return [time.replace(tzinfo=None) for time in times if not isinstance(time, NoTime)]


@probe(
    "page_size",
    means="if pages leave out records, or totals count what this user may not see, exports may not be exact",
    fix="ask the administrator what this user may not see, and look at report.exact",
)
async def page_size(look: Look) -> Verdict:
    """A page has as many records as asked for, as long as there are more."""
    pages = [reply for reply in look.replies if reply.is_page and reply.operation.paged and _is_plain(reply)]
    if not pages:
        raise NotSeen("no page of a list came")
    long = [reply.name for reply in pages if reply.length > _number(reply, "count")]
    if long:
        return bad(f"{_listed(long)} sent more records than count asked for")
    cap = next((reply.length for reply in pages if reply.params == {"count": LARGE}), LARGE)
    short = [reply for reply in pages if _is_short(reply, cap)][:_MOST_ASKED_AGAIN]
    # Records and total of one answer can disagree where the list just changed.
    with look.again():
        again = [reply.name for reply in short if _is_short(await look.page(reply.name, **reply.params), cap)]
    if again:
        return bad(f"{_listed(again)} sent fewer records than count asked for, though total_items says there are more")
    return "pages hold as many records as asked for"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _is_plain(page: Reply) -> bool:
    """Return whether a page is not of a filter: filters may count otherwise."""
    return not page.params.keys() - {"count", "offset", "sort_field", "sort_direction"}


def _is_short(page: Reply, cap: int) -> bool:
    """Return whether records are missing in a page; a cap cuts long pages."""
    left = 0 if page.total is None else page.total - _number(page, "offset")
    return page.is_page and page.length < min(_number(page, "count"), cap, left)


def _number(page: Reply, name: str) -> int:
    value = page.params.get(name, 0)
    return value if isinstance(value, int) else 0
