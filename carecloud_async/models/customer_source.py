"""Where a customer's account came from, and a login at a social network, which the API never returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, SECRET, Input, LocalDatetime, Model

__all__ = [
    "CustomerSourceInput",
    "CustomerSourceRecord",
    "SocialNetworkCredentialsChanges",
    "SocialNetworkCredentialsInput",
]


@frozen(kw_only=True, repr=False)
class CustomerSourceRecord(Model):
    """The link between a customer and the system that the account belongs to."""

    customer_source_record_id: str = field(metadata=READ_ONLY)
    """Id of this record."""
    customer_source_id: str | None = None
    """Id of the source system."""
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    external_id: str | None = field(default=None, metadata=PERSONAL)
    """The customer's id in the source system."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerSourceInput(Input, reads=CustomerSourceRecord):
    """The source of a new customer; other fields are those of `CustomerSourceRecord`."""

    customer_source_id: str
    external_id: str | Unset | None = UNSET
    """The customer's id in that system."""
    external_ids: Sequence[str] | Unset | None = UNSET
    """All ids that the customer has in that system, where there are several."""


@frozen(kw_only=True, repr=False)
class SocialNetworkCredentialsInput(Input):
    """Credentials at a social network."""

    social_network_id: str
    social_network_token: str = field(metadata=SECRET)
    """The customer's token there; masked in the repr."""


class SocialNetworkCredentialsChanges(TypedDict, total=False):
    """`social_network_credentials` in an update; the API wants both names."""

    social_network_id: str
    social_network_token: str
