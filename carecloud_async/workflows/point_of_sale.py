"""At the till: who the customer is, and the rewards, vouchers and campaign products that they can use."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import field, frozen

from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import BadRequestError, ConfigurationError, ConflictError, NotFoundError
from carecloud_async.models.enums import SearchMode

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.customer import Customer
    from carecloud_async.models.events import CampaignProduct
    from carecloud_async.models.rewards import Reward
    from carecloud_async.models.vouchers import Voucher

__all__ = ["CustomerOffers", "FoundCustomer", "MatchedBy", "customer_offers", "find_at_point_of_sale"]

#: Characters that people type between the digits of phone and card numbers.
_SEPARATORS: Final = re.compile(r"[\s./()\u2013-]+")
#: The longest phone number by ITU-T E.164.
_MAX_PHONE_DIGITS: Final = 15


class MatchedBy(StrEnum):
    """The field by which a customer was found."""

    CARD = "card"
    PHONE = "phone"
    EMAIL = "email"


@frozen(kw_only=True)
class FoundCustomer:
    """A customer that `find_at_point_of_sale` found."""

    customer_id: str
    """Id of the customer."""
    matched_by: MatchedBy
    """Which field of the customer the typed text matched."""
    first_name: str | None = field(default=None, repr=False)
    """The customer's first name."""
    last_name: str | None = field(default=None, repr=False)
    """The customer's last name."""


async def find_at_point_of_sale(
    client: CareCloud, *, typed: str, phone_prefix: str | None = None
) -> tuple[FoundCustomer, ...]:
    """Find customers by what was typed or scanned at a till: a card number, phone number or e-mail address.

    A text with `@` is an e-mail address. Any other text is looked up as a card number, and as a phone number if it can
    be one. Spaces, dots, hyphens, slashes and brackets are ignored in numbers of digits. People who share a phone or an
    e-mail address are all returned: ask for a name. Nothing is guessed: only records with exactly this value count.

    Operations (Enterprise API only): `GET /customers/actions/search-customers` with `mode=strict` (without it where the
    server wants more than the number then) and `GET /customers/{customer_id}` for a card; `GET /customers` for a phone
    number or an e-mail address.

    Args:
        client: the client, of an enterprise user.
        typed: the text.
        phone_prefix: the international prefix of phone numbers that are typed without one, for example `420`. Without
            it, only numbers that begin with `+` or `00`, or with the prefix itself, are found.

    Returns:
        The customers, the holder of a card first; empty if there is none.

    Raises:
        ConfigurationError: the text is empty, or `phone_prefix` is not made of digits.
        ConflictError: the server names several customers for one card number.
        InterfaceError: the client is not an enterprise user's.
    """
    typed = conceal(typed.strip())
    if not typed:
        raise ConfigurationError("typed is empty: pass a card number, phone number or e-mail address")
    if phone_prefix is not None and not re.fullmatch(r"[1-9]\d{0,2}", phone_prefix):
        raise ConfigurationError("phone_prefix is the international prefix in digits, for example 420")
    if "@" in typed:
        return await _by_email(client, typed)
    digits = _without_separators(typed)
    card_number = digits if digits.isdecimal() else typed  # letters may have hyphens of their own between them
    matches = () if typed.startswith("+") else await _by_card(client, card_number)
    for phone in _phones(typed, phone_prefix):
        known = {match.customer_id for match in matches}
        matches += tuple(match for match in await _by_phone(client, phone) if match.customer_id not in known)
    return matches


async def _by_card(client: CareCloud, card_number: str) -> tuple[FoundCustomer, ...]:
    try:
        result = await client.customers.search_customers(card_number=card_number, mode=SearchMode.STRICT)
    except BadRequestError as error:
        if not (error.has_reason("required") or error.has_reason("empty")):
            raise
        # By the description, strict mode wants name and birthdate too; without it, exact results are all there is.
        result = await client.customers.search_customers(card_number=card_number)
    ids = {card.customer_id for card in result.strict if card.customer_id}
    if len(ids) > 1:
        raise ConflictError(f"{len(ids)} customers have this card number: look at their cards in CareCloud")
    return tuple([await _holder(client, customer_id) for customer_id in ids])


async def _holder(client: CareCloud, customer_id: str) -> FoundCustomer:
    try:
        return _found(await client.customers.get(customer_id), MatchedBy.CARD)
    except NotFoundError:  # the search finds customers that cannot be read any more
        return FoundCustomer(customer_id=customer_id, matched_by=MatchedBy.CARD)


async def _by_email(client: CareCloud, email: str) -> tuple[FoundCustomer, ...]:
    # A server that ignores the filter returns other customers.
    return tuple(
        [
            _found(customer, MatchedBy.EMAIL)
            for customer in await look_up(client.customers.list(email=email))
            if (customer.personal_information.email or "").strip().casefold() == email.casefold()
        ]
    )


async def _by_phone(client: CareCloud, phone: str) -> tuple[FoundCustomer, ...]:
    return tuple(
        [
            _found(customer, MatchedBy.PHONE)
            for customer in await look_up(client.customers.list(phone=phone))
            if _without_separators(customer.personal_information.phone or "").lstrip("+") == phone
        ]
    )


def _found(customer: Customer, matched_by: MatchedBy) -> FoundCustomer:
    person = customer.personal_information
    return FoundCustomer(
        customer_id=customer.customer_id,
        matched_by=matched_by,
        first_name=person.first_name,
        last_name=person.last_name,
    )


def _without_separators(text: str) -> str:
    return secret_text(_SEPARATORS.sub("", text))


def _phones(typed: str, prefix: str | None) -> list[str]:
    """Return the phone numbers, in the API's form, that a text can mean."""
    digits = _without_separators(typed)
    international = digits.startswith(("+", "00"))
    digits = conceal(digits.removeprefix("+").removeprefix("00" if digits.startswith("00") else ""))
    if not re.fullmatch(r"\d{5,}", digits, re.ASCII):
        return []
    numbers = [digits] if international or prefix is None or digits.startswith(prefix) else []
    if not international and prefix is not None:
        numbers.append(conceal(prefix + digits.removeprefix("0")))
    return [number for number in numbers if len(number) <= _MAX_PHONE_DIGITS and not number.startswith("0")]


T = TypeVar("T")

#: Records a page: a rewards page shows all of them, so that the fewest requests are the fastest.
_COUNT = 1000


@frozen(kw_only=True)
class CustomerOffers:
    """What a customer can use now."""

    rewards: tuple[Reward, ...]
    """Rewards that the customer can have, for example for points."""
    vouchers: tuple[Voucher, ...]
    """Vouchers that the customer has and has not used."""
    campaign_products: tuple[CampaignProduct, ...]
    """Products at a special price, which are the same for all customers."""


async def customer_offers(client: CareCloud, *, customer_id: str, store_id: str | None = None) -> CustomerOffers:
    """Return all valid rewards, unused vouchers and campaign products of a customer; three lists, read at once.

    Operations: `GET /customers/{customer_id}/rewards`, `GET /customers/{customer_id}/vouchers`,
    `GET /campaign-products`.

    Args:
        client: the client, of an enterprise user or of the customer.
        customer_id: the customer.
        store_id: only what can be used in this store.

    Raises:
        NotFoundError: there is no such customer.
        PermissionDeniedError: this identity may not read one of the lists.
    """
    rewards = client.customers.rewards(customer_id).list(is_valid=True, store_id=store_id, count=_COUNT)
    vouchers = client.customers.vouchers(customer_id).list(
        is_valid=True, is_applied=False, store_id=store_id, count=_COUNT
    )
    products = client.campaign_products.list(is_valid=True, store_id=store_id, count=_COUNT)
    reads: list[Callable[[], Awaitable[tuple[Any, ...]]]]
    reads = [partial(_all, records) for records in (rewards, vouchers, products)]
    answers = await run_all(reads, cancels=True)
    return CustomerOffers(rewards=answers[0], vouchers=answers[1], campaign_products=answers[2])


async def _all(records: AsyncIterable[T]) -> tuple[T, ...]:
    return tuple([record async for record in records])
