"""Probes of lists: which may be read, the size of pages, totals, offsets, the end, the order, sorts and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from carecloud_async._base.project import Interface
from carecloud_async._lists.export.reading.times import FIELD, NoTime, parse_time
from carecloud_async.check.look import LARGE, Came, Look, NotSeen, Param, Reply
from carecloud_async.check.probe import Verdict, bad, warn
from carecloud_async.resources.lookup.by_name import listable

#: The families that are asked, as far as the requests of a check go; the others hold settings and lists of types.
_ASKED: Final = (
    "customers", "cards", "purchases", "vouchers", "rewards", "events", "points", "credits", "messages", "bookings",
    "orders", "tasks", "users", "stores", "products", "product_reservations", "segments", "statuses", "card_types",
    "customer_source_records", "customer_properties",
)  # fmt: skip
_FIRST_PAGE: Final = 5


#: What is said of families that do not come, by what came; the first two are a problem only if no family comes.
_NOT_READ: Final = {
    Came.ABSENT: "the project does not have {} (404 or 405)",
    Came.FORBIDDEN: "it may not read {} (403)",
    Came.DEAD_TOKEN: "a fresh token is refused for {} (401)",
    Came.REFUSED: "the first page of {} is refused (4xx)",
}
_NO_CUSTOMER: Final = "no customer is logged in on this device, which {} need (401)"


async def families(look: Look) -> Verdict:
    """This user may read what is needed."""
    names = [name for name in _ASKED if look.interface in listable()[name].interfaces]
    look.families = asked = [await look.page(name, count=_FIRST_PAGE) for name in names]
    words = _NOT_READ | ({Came.DEAD_TOKEN: _NO_CUSTOMER} if look.device_token else {})
    came = {kind: _named([reply for reply in asked if reply.came is kind]) for kind in Came}
    seen = [f"this user may read {came[Came.PAGE]}" if look.read else f"none of {len(names)} families can be read"]
    seen += [text.format(came[kind]) for kind, text in words.items() if came[kind]]
    is_dead = came[Came.DEAD_TOKEN] and not look.device_token
    none_can_be_read = not look.read and (came[Came.FORBIDDEN] or came[Came.ABSENT])
    if is_dead or came[Came.REFUSED] or none_can_be_read:
        return bad("; ".join(seen))
    if came[Came.FORBIDDEN]:
        return warn("; ".join(seen))
    unknown = [f"{reply.name}: {reply}" for reply in asked if not reply.is_page and reply.came not in words]
    if unknown or came[Came.DEAD_TOKEN]:
        raise NotSeen("; ".join([*seen, *unknown]))
    return "; ".join(seen)


def _named(replies: Sequence[Reply]) -> str:
    return ", ".join(dict.fromkeys(reply.name for reply in replies))


#: What a smaller request might not make the server do.
_FAILURES: Final = {Came.FAILED, Came.NOTHING}
_USUAL: Final = 100
#: The most records of a page that is compared, and of the other end of a list.
_ROWS: Final = 50
_FEW: Final = 5
#: The most pages that are asked for again because they are short.
_MOST_ASKED_AGAIN: Final = 4


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


async def _sorted(look: Look, field: str, *, offset: int = 0, direction: str = "ASC") -> Reply:
    """Return a page of a few records in the order of a field.

    Raises:
        NotSeen: the list is too short to show anything.
    """
    large = await _large(look)
    if large.length < 3:
        raise NotSeen(f"{large.name} are too few to show it")
    rows = min(_ROWS, large.length * 2 // 3)
    return await look.page(large.name, count=rows, offset=offset, sort_field=field, sort_direction=direction)


async def _last(look: Look) -> Reply:
    """Return the page of the last record by the total, in no order; of the second one where there is no total."""
    large = await _large(look)
    return await look.page(large.name, count=2, offset=1 if large.total is None else max(large.total - 1, 0))


def _is_first(look: Look, last: Reply) -> bool:
    """Return whether a page at an offset is the first one."""
    return last.params["offset"] != 0 and len(last.ids) > 1 and last.ids[:2] == look.target.ids[:2]


async def page_cap(look: Look) -> Verdict:
    """Pages may be large."""
    usual, large = await _large(look), await look.page(look.target.name, count=LARGE)
    if not large.is_page:
        seen = f"a page of {LARGE:,} {large.name} does not come ({large}), one of {_USUAL} does"
        is_too_large = large.is_refused or large.came in _FAILURES
        return warn(seen, f"give count={_USUAL} to lists and exports (--count {_USUAL})") if is_too_large else None
    if large.length >= LARGE:
        return f"pages of {LARGE:,} records come whole"
    after = await look.page(large.name, count=1, offset=large.length)
    if not after.is_page and large.total != large.length:
        return None
    if not after.items or {*after.ids} & {*usual.ids}:  # a record that came before is no sign of a cap
        return f"a page of all {large.length} {large.name} comes whole: no cap shows"
    return warn(f"pages are cut to {large.length} records, though {LARGE:,} were asked for")


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


async def offset(look: Look) -> Verdict:
    """Any offset is served."""
    last = await _last(look)
    if last.is_page:
        is_first = bad("offset is ignored: every page is the first one")
        return is_first if _is_first(look, last) else "the last record comes by its offset"
    near = await look.page(last.name, count=2, offset=1)
    if near.is_page and (last.is_refused or last.came in _FAILURES):
        return bad(f"a page at the end of {last.name} does not come, one at the beginning does: {last}")
    return None


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


async def order(look: Look) -> Verdict:
    """The order of the ids is kept between pages."""
    field = look.target.operation.id_field or ""
    first = await _sorted(look, field)
    half = max(first.length // 2, 1)
    second = await _sorted(look, field, offset=half)
    again = await look.afresh(first.name, first.params)
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


async def id_sort(look: Look) -> Verdict:
    """`sort_field` and `sort_direction` are honoured by id."""
    return await _sort(look, look.target.operation.id_field or "", _ids_in_order)


async def change_sort(look: Look) -> Verdict:
    """They are honoured by the time of change."""
    large = await _large(look)
    if not any(FIELD in record for record in large.items[:_FEW]):
        raise NotSeen(f"{large.name} do not say when they changed")
    return await _sort(look, FIELD, _changes_in_order)


async def _sort(look: Look, field: str, in_order: Callable[[Reply, Reply], bool | None]) -> Verdict:
    """`sort_field` and `sort_direction` are honoured.

    Args:
        look: asks the project.
        field: the field.
        in_order: returns whether the page in ascending order and the one in descending order are; `None` if it is not
            known.
    """
    rising, falling = [await _sorted(look, field, direction=direction) for direction in ("ASC", "DESC")]
    if rising.is_refused or falling.is_refused:
        return warn(f"the list cannot be sorted by {field}: {rising if rising.is_refused else falling}")
    is_sorted = in_order(rising, falling) if rising.is_page and falling.is_page else None
    if is_sorted is None:
        return None
    if is_sorted:
        return f"sort_field={field} is honoured in both directions"
    return bad(f"sort_field={field} and sort_direction are not honoured: records do not come in order both ways")


def _ids_in_order(rising: Reply, falling: Reply) -> bool | None:
    return None if len(rising.ids) < rising.length else _rises(rising.ids) and _rises(falling.ids[::-1])


def _changes_in_order(rising: Reply, falling: Reply) -> bool:
    times = _times(rising), _times(falling)[::-1]
    in_order = all(before <= after for page in times for before, after in pairwise(page))
    if in_order and len({*times[0], *times[1]}) < 2:
        raise NotSeen(f"{rising.name} have too few different times of change to show it")
    return in_order


def _times(page: Reply) -> list[datetime]:
    """Return the times of change of a page that can be read, without their offsets: only their order matters."""
    times = (parse_time(record.get(FIELD)) for record in page.items)
    return [time.replace(tzinfo=None) for time in times if not isinstance(time, NoTime)]


async def page_size(look: Look) -> Verdict:
    """A page has as many records as asked for, as long as there are more."""
    pages = [reply for reply in look.replies if reply.is_page and reply.operation.paged and _is_plain(reply)]
    if not pages:
        raise NotSeen("no page of a list came")
    long = [reply for reply in pages if reply.length > _number(reply, "count")]
    if long:
        return bad(f"{_named(long)} sent more records than count asked for")
    cap = next((reply.length for reply in pages if reply.params == {"count": LARGE}), LARGE)
    short = [reply for reply in pages if _is_short(reply, cap)][:_MOST_ASKED_AGAIN]
    # Records and total of one answer can disagree where the list just changed.
    again = [reply for reply in short if _is_short(await look.afresh(reply.name, reply.params), cap)]
    if again:
        return bad(f"{_named(again)} sent fewer records than count asked for, though total_items says there are more")
    return "pages hold as many records as asked for"


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


#: The most lists that are filtered by a customer who does not exist.
_MOST_FAMILIES: Final = 2
#: Family → its history, and the field of a record that is its note.
_HISTORIES: Final = {
    "points": ("point_history", "point_operation_note"),
    "credits": ("credit_history", "credit_operation_note"),
}


async def nothing_found(look: Look) -> Sequence[Reply]:
    """Return the answers to filters that must find nothing, that by customer_ids first."""
    with_records = [reply for reply in look.families if reply.items]
    owned = [reply.name for reply in with_records if "customer_id" in reply.operation.parameters]
    asked: list[tuple[str, dict[str, Param]]] = []
    if any(reply.name == "customers" for reply in with_records):
        asked.append(("customers", {"customer_ids": [look.nowhere, look.nowhere[::-1]]}))
        asked.append(("customers", {"email": f"{look.nowhere}@nowhere.invalid"}))
    if look.interface == Interface.ENTERPRISE:  # a customer may not ask for the records of another
        asked.extend((name, {"customer_id": look.nowhere}) for name in owned[:_MOST_FAMILIES])
    return [await look.page(name, count=5, **params) for name, params in asked]


async def _by_ids(look: Look) -> tuple[Reply | None, bool]:
    """Return the first customers asked for by their ids, and whether exactly these came."""
    ids = next((reply.ids[:2] for reply in look.families if reply.name == "customers"), ())
    reply = await look.page("customers", count=10, customer_ids=list(ids)) if ids else None
    return reply, reply is not None and {*reply.ids} == {*ids}


def _labels(replies: Sequence[Reply]) -> str:
    return "; ".join(f"{reply.name} by {', '.join(reply.params.keys() - {'count'})}" for reply in replies)


async def filters(look: Look) -> Verdict:
    """Filters are applied."""
    (by_ids, ids_work), nothing = await _by_ids(look), await nothing_found(look)
    with_records = [reply for reply in nothing if reply.length]
    refused = [reply for reply in nothing if reply.is_refused]
    if with_records:
        return bad(f"filters that must find nothing found records: {_labels(with_records)}")
    if by_ids is not None and by_ids.is_refused:
        return bad(f"customers by customer_ids is refused: {by_ids}")
    if by_ids is not None and by_ids.is_page and not ids_work:
        return bad("customers by customer_ids does not give the customers that were asked for")
    # Where ids that no customer has are refused too, it is the empty list that does not come; see `empty_list`.
    by_email = [reply for reply in refused if "email" in reply.params]
    if by_email and nothing[0].is_page:
        return warn(f"a filter is refused: {_labels(by_email)}, {by_email[0]}")
    replies = [*nothing, *([by_ids] if by_ids else [])]
    is_known = bool(replies) and all(reply.is_page for reply in replies)
    return f"filters find what they must, and nothing else: {_labels(replies)}" if is_known else None


async def empty_list(look: Look) -> Verdict:
    """A list that finds nothing is an empty list."""
    (_, ids_work), nothing = await _by_ids(look), await nothing_found(look)
    if ids_work and nothing and nothing[0].is_refused:
        return bad(f"a list of customers that finds nothing is not an empty list: {nothing[0]}")
    if any(reply.is_page and not reply.length for reply in [*nothing, *look.families]):
        return "a list that finds nothing is an empty list"
    raise NotSeen("no list that is empty was seen")


async def notes(look: Look) -> Verdict:
    """Histories of points and credits are searched by a part of the note."""
    for name, (history, field) in _HISTORIES.items():
        records = next((reply.items for reply in look.families if reply.name == name), ())
        customer_id = next((str(record["customer_id"]) for record in records if record.get("customer_id")), None)
        if customer_id is None:
            continue
        whole = await look.page(history, customer_id=customer_id, count=20)
        note = next((text for record in whole.items if len(text := str(record.get(field) or "")) >= 8), None)
        if note is None:
            continue
        part = note[len(note) // 4 : len(note) // 4 + max(4, len(note) // 2)]
        by_part = await look.page(history, customer_id=customer_id, count=20, **{field: part})
        notes_found = [str(record.get(field) or "") for record in by_part.items]
        if note not in notes_found:
            seen = f"the {history} of a customer, searched by a part of a note, does not find that note"
            return bad(seen) if by_part.is_page or by_part.is_refused else None
        if any(part not in text for text in notes_found):
            return warn(
                f"the {history} of a customer is not searched by note: a part of a note finds other records too"
            )
        return f"the {history} of a customer is searched by a part of the note"
    raise NotSeen("no note of points or credits was seen")
