"""The probe of the families of the API: which of them this user may read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from carecloud_async.check.look import Look, NotSeen, Reply
from carecloud_async.check.probe import Verdict, bad, probe, warn
from carecloud_async.errors import MethodNotAllowedError, NotFoundError, PermissionDeniedError
from carecloud_async.resources.lookup.by_name import listable

__all__ = ["families"]

#: The families that are asked, as far as the requests of a check go; the others hold settings and lists of types.
_ASKED: Final = (
    "customers", "cards", "purchases", "vouchers", "rewards", "events", "points", "credits", "messages", "bookings",
    "orders", "tasks", "users", "stores", "products", "product_reservations", "segments", "statuses", "card_types",
    "customer_source_records", "customer_properties",
)  # fmt: skip
_FIRST_PAGE: Final = 5


@probe(
    "families",
    means="exports of families that cannot be read fail, and so do bulk writes that look records up there",
    fix="ask the administrator for the rights; after a 401 whether another client or a proxy takes the token away",
)
async def families(look: Look) -> Verdict:
    """This user may read what is needed."""
    known = listable()
    names = [name for name in _ASKED if look.interface in known[name].interfaces]
    look.families = asked = [await look.page(name, count=_FIRST_PAGE) for name in names]
    dead = [one for one in asked if one.is_dead_token]
    forbidden = [one for one in asked if isinstance(one.error, PermissionDeniedError)]
    absent = [one for one in asked if isinstance(one.error, NotFoundError | MethodNotAllowedError)]
    odd = [one for one in asked if one.is_refused and (one.status or 0) >= 400 and one not in (*forbidden, *absent)]
    read = _names(one for one in asked if one.is_page)
    seen = f"this user may read {read}" if read else f"none of {len(asked)} families can be read"
    for words, some in (
        ("the project does not have {} (404 or 405)", absent),
        ("it may not read {} (403)", forbidden),
        ("a fresh token is refused for {} (401)", [] if look.device_token else dead),
        ("the first page of {} is refused (4xx)", odd),
        ("no customer is logged in on this device, which {} need (401)", dead if look.device_token else []),
    ):
        seen += f"; {words.format(_names(some))}" if some else ""
    if odd or (dead and not look.device_token) or (forbidden and not read):
        return bad(seen)
    if forbidden:
        return warn(seen)
    if all(one.is_page or one in absent for one in asked):
        return seen
    unknown = (f"{one.name}: {one}" for one in asked if not one.is_page and one not in (*absent, *dead))
    raise NotSeen("; ".join([seen, *unknown]))


def _names(replies: Iterable[Reply]) -> str:
    return ", ".join(one.name for one in replies)
