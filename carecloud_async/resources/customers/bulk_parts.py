"""Parts of a customer's row in a bulk write, the card and the values of properties: looked at, then written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from carecloud_async.bulk.family import PartResult, settle_seconds
from carecloud_async.calls.caller import Caller
from carecloud_async.errors import ApiError, BadRequestError, CareCloudError, ConflictError

if TYPE_CHECKING:
    from carecloud_async.models import Card, PropertyRecord

__all__ = ["PROPERTY", "check_card", "write_card", "write_properties"]

T = TypeVar("T")

#: What the columns of properties begin with; the property's id follows.
PROPERTY: Final = "property."
#: How often a part is looked at and written whose answer is lost each time.
_TRIES: Final = 3
#: Longest pause between two looks at such a part (seconds).
_LONGEST_PAUSE: Final = 15.0

_TAKEN: Final = "card_number: the card belongs to another customer"
_NO_TYPE: Final = "card_number: a new card needs card_type_id"


def check_card(customer_id: str | None, parts: Mapping[str, Any], found: Sequence[bytes]) -> PartResult:
    """Say what would become of the card of a row: `changed` if it is to be written.

    Args:
        customer_id: the row's customer; `None` for a new one.
        parts: the parts of the row.
        found: the cards that have the row's number.
    """
    holders = [msgspec.json.decode(one).get("customer_id") for one in found]
    if any(customer_id is not None and _is_same(one, customer_id) for one in holders):
        return PartResult()
    if found and all(holders):
        return PartResult(conflicts=(_TAKEN,))
    if not found and not parts.get("card_type_id"):
        return PartResult(refusals=(_NO_TYPE,))
    return PartResult(changed=("card_number",))


async def write_card(caller: Caller, customer_id: str, parts: Mapping[str, Any], found: Sequence[bytes]) -> PartResult:
    """Give a customer the card of a row: one that is free, or a new one of `card_type_id`.

    Args:
        caller: makes the calls.
        customer_id: the customer.
        parts: the parts of the row.
        found: the cards that had the row's number a moment ago.
    """
    from carecloud_async.models import CardInput
    from carecloud_async.resources.cards import Cards

    number, card_type, cards = str(parts.get("card_number") or "").strip(), parts.get("card_type_id"), Cards(caller)
    if not number:
        return PartResult()

    async def look() -> list[Card]:
        return [one async for one in cards.list(card_number=number).fresh() if one.card_number == number]

    def has_it(known: list[Card]) -> bool:
        return any(_is_same(one.customer_id, customer_id) for one in known)

    known = await look() if found else []
    for attempt in range(1, _TRIES + 1):
        if has_it(known):
            return PartResult() if attempt == 1 else PartResult(changed=("card_number",))
        free = next((one for one in known if not one.customer_id), None)
        try:
            if not known:
                if not card_type:
                    return PartResult(refusals=(_NO_TYPE,))
                await cards.create(
                    CardInput(card_number=number, card_type_id=card_type, state=1, customer_id=customer_id)
                )
            elif free is None:
                return PartResult(conflicts=(_TAKEN,))
            else:
                await cards.update(free.card_id, {"customer_id": customer_id}, if_unchanged=free)
        except (BadRequestError, ConflictError) as error:
            return PartResult(refusals=_reasons("card_number", error))
        except CareCloudError as error:
            if not error.may_have_happened or attempt == _TRIES:
                raise
            known = await _until_shown(caller, look, has_it)
            continue
        return PartResult(changed=("card_number",))
    raise AssertionError  # pragma: no cover  (the last try returns or raises)


async def write_properties(caller: Caller, customer_id: str, parts: Mapping[str, Any]) -> PartResult:
    """Set the values of properties: those that the customer has are changed, others are added."""
    from carecloud_async.models import PropertyRecordInput
    from carecloud_async.resources.customers.records import CustomerPropertyRecords

    wanted = {
        name.removeprefix(PROPERTY): value
        for name, value in parts.items()
        if name.startswith(PROPERTY) and value is not None
    }
    if not wanted:
        return PartResult()
    records = CustomerPropertyRecords(caller, customer_id=customer_id)
    changed: list[str] = []
    refusals: list[str] = []

    async def look() -> dict[str | None, PropertyRecord]:
        return {one.property_id: one async for one in records.list().fresh()}

    def has_it(held: Mapping[str | None, PropertyRecord]) -> bool:
        one = held.get(property_id)
        return one is not None and str(one.property_value) == str(value)

    held = await look()
    for attempt in range(1, _TRIES + 1):
        try:
            for property_id, value in wanted.items():
                name, one = f"{PROPERTY}{property_id}", held.get(property_id)
                if has_it(held):
                    continue
                record = PropertyRecordInput(property_id=property_id, property_value=value)
                if name not in changed:
                    changed.append(name)
                try:
                    if one is None:
                        await records.create(record)
                    else:
                        await records.replace(one.property_record_id, record)
                except BadRequestError as error:
                    refusals += _reasons(name, error)
        except CareCloudError as error:
            if not error.may_have_happened or attempt == _TRIES:
                raise
            held = await _until_shown(caller, look, has_it)
            refusals.clear()
            continue
        refused = {text.partition(":")[0] for text in refusals}
        return PartResult(changed=tuple(one for one in changed if one not in refused), refusals=tuple(refusals))
    raise AssertionError  # pragma: no cover  (the last try returns or raises)


async def _until_shown(caller: Caller, look: Callable[[], Awaitable[T]], is_shown: Callable[[T], bool]) -> T:
    """Look until a write whose answer was lost has shown itself, or certainly did not happen; return what is there."""
    clock, pause = caller.context.clock, 1.0
    settled_at = clock.monotonic() + settle_seconds(caller.options.timeout.read)
    while True:
        now = clock.monotonic()
        found = await look()
        if is_shown(found) or now >= settled_at:
            return found
        await clock.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _reasons(name: str, error: CareCloudError) -> tuple[str, ...]:
    params = error.invalid_params if isinstance(error, ApiError) else ()
    return tuple(f"{name}: {one.reason}" for one in params) or (f"{name}: {type(error).__name__}",)


def _is_same(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()
