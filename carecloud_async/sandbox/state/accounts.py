"""What the server knows of a customer and no answer shows: password, social network, source, card."""

from __future__ import annotations

import attrs

from carecloud_async.sandbox.constants import (
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.people import card_number


@attrs.frozen(kw_only=True)
class Account:
    """What the server knows of a customer and no answer shows.

    Attributes:
        password: Password of the customer interface, or `None` if none was ever set.
        social: Network id and token, or `None`.
        property_records: As they were sent.
        customer_source: As it was sent (`CustomerSourceRecord`).
        card: Number of the customer's card.
        referral_code: The code that the customer came with, or `None`.
    """

    password: str | None = attrs.field(default=None, repr=False)
    social: tuple[str, str] | None = attrs.field(default=None, repr=False)
    property_records: tuple[JsonObject, ...] = attrs.field(default=(), repr=False)
    customer_source: JsonObject = attrs.field(factory=dict, repr=False)
    card: str | None = attrs.field(default=None, repr=False)
    referral_code: str | None = attrs.field(default=None, repr=False)


def seeded_account(slot: int, *, customer_id: str) -> Account:
    """The account of a seeded customer."""
    return Account(
        password=CUSTOMER_PASSWORD,
        social=(SOCIAL_NETWORK_IDS[0], SOCIAL_TOKEN_PREFIX + customer_id),
        customer_source={"customer_source_id": CUSTOMER_SOURCE_IDS[slot % len(CUSTOMER_SOURCE_IDS)]},
        card=card_number(slot),
    )
