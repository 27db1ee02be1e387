"""A customer's credentials at a social network: written only, the API never gives them back."""

from __future__ import annotations

from typing import TypedDict

from attrs import field, frozen

from carecloud_async.models.base import SECRET, Input

__all__ = ["SocialNetworkCredentialsChanges", "SocialNetworkCredentialsInput"]


@frozen(kw_only=True, repr=False)
class SocialNetworkCredentialsInput(Input):
    """Credentials at a social network."""

    social_network_id: str
    """Id of the social network."""
    social_network_token: str = field(metadata=SECRET)
    """The customer's token there; masked in the repr."""


class SocialNetworkCredentialsChanges(TypedDict, total=False):
    """`social_network_credentials` in an update; the API wants both names."""

    social_network_id: str
    social_network_token: str
