"""Record a marketing event once, also after a lost answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import BadRequestError, CareCloudError, ConfigurationError
from carecloud_async.models.ids import same_id
from carecloud_async.workflows.safe_writes import found_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carecloud_async.client import CareCloud
    from carecloud_async.models.events import Event, EventInput
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = ["RecordedEvent", "record_event"]


@frozen(kw_only=True)
class RecordedEvent:
    """The outcome of `record_event`."""

    event_id: str
    """Id of the event."""
    was_there: bool
    """Whether it was found and not recorded now: after a lost answer, or because it was recorded before."""


async def record_event(
    client: CareCloud, *, event: EventInput, property_records: Sequence[PropertyRecordInput] | None = None
) -> RecordedEvent:
    """Record a marketing event, which may launch a scenario; the same event is not recorded twice.

    Type, customer and external ids make an event the same. If the answer is lost, or the server says that it has the
    event, it is looked up by them. An event whose customer is named by an e-mail address, phone or external id is
    looked up without the customer: keep external ids unique among your events.

    Operations: `POST /events`; then `GET /events` if the event may have been recorded.

    Args:
        event: the event, with either `customer_id` or both `customer_identifier_type` and `customer_identifier_value`.
        property_records: values of the event's properties, which the scenario can use.

    Raises:
        ConfigurationError: the event names its customer in two ways or in none; nothing was sent.
        BadRequestError: the server refused the event.
        OutcomeUnknownError: the answer was lost and the event does not show up yet; call again at any time: the server
            refuses a second one with the same ids.
    """
    _require_one_customer(event)
    try:
        event_id = await client.events.create(event, property_records=property_records)
    except CareCloudError as error:
        recorded = await found_after(error, partial(_find, client, event), refused=_exists(error))
        return RecordedEvent(event_id=recorded.event_id, was_there=True)
    return RecordedEvent(event_id=event_id, was_there=False)


def _require_one_customer(event: EventInput) -> None:
    other = (bool(event.customer_identifier_type), bool(event.customer_identifier_value))
    if bool(event.customer_id) == any(other) or any(other) != all(other):
        raise ConfigurationError(
            "name the customer of an event by customer_id alone, or by customer_identifier_type and "
            "customer_identifier_value"
        )


def _exists(error: CareCloudError) -> bool:
    known = ("relation_already_exists", "already_exists")
    return isinstance(error, BadRequestError) and any(map(error.has_reason, known))


async def _find(client: CareCloud, event: EventInput) -> Event | None:
    customer_id = event.customer_id or None
    listing = client.events.list(
        event_type_id=event.event_type_id, external_id=event.external_id, customer_id=customer_id
    )
    for record in await look_up(listing):
        if (
            record.external_id == event.external_id
            and same_id(record.event_type_id, event.event_type_id)
            and (customer_id is None or same_id(record.customer_id, customer_id))
            and (record.secondary_external_id or "") == (event.secondary_external_id or "")
        ):
            return record
    return None
