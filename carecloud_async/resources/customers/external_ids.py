"""Whether a server looks source records up by an external id, or shows others too."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from carecloud_async._lists.listings.look_ups import look_up_page

if TYPE_CHECKING:
    from carecloud_async.resources.customer_settings import CustomerSourceRecords

__all__ = ["filters_external_ids", "may_be_second_id"]

_NO_SUCH_ID: Final = "carecloud-async.no-such-external-id"


async def filters_external_ids(records: CustomerSourceRecords, customer_source_id: str) -> bool:
    """Return whether the server shows nothing for an external id that no customer has; one request.

    Only then does a record that shows another id hold the one that was asked for, as a second id.
    """
    listing = records.list(
        customer_source_id=customer_source_id, external_ids=[_NO_SUCH_ID], external_id=_NO_SUCH_ID, count=1
    )
    return not (await look_up_page(listing)).items


def may_be_second_id(shown: str, wanted: str) -> bool:
    """Return whether a record that shows another external id than the one that was asked for may hold that one too.

    Not if they differ only in case or accents: databases find such ids as well, and they are another customer's.
    """
    return _plain(shown) != _plain(wanted)


def _plain(external_id: str) -> str:
    letters = unicodedata.normalize("NFKD", external_id.strip().casefold())
    return "".join(one for one in letters if not unicodedata.combining(one))
