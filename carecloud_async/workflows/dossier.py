"""All data of one customer that the API provides, for a GDPR request (articles 15 and 20).

Read are the customer's record, every list under the customer, and every list that can be filtered by a customer and
whose records name theirs; each list exactly, as an export does. `index.json` and `index.md` say what was asked, what
this user may not read, and what the API cannot give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import raw_data
from carecloud_async._base.codec.fields import is_model
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async.errors import (
    AuthenticationError,
    CareCloudError,
    InterfaceError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
)
from carecloud_async.models.bookings import BookingItemsDetail
from carecloud_async.models.ids import same_id
from carecloud_async.resources.declare import declared
from carecloud_async.resources.lookup.by_name import find_method, listable, missing_filters
from carecloud_async.workflows.dossier_files import Dossier, DossierPart, PartStatus

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing
    from carecloud_async.client import CareCloud

__all__ = ["Dossier", "DossierPart", "PartStatus", "dossier"]

_UNDER: Final = "/customers/{customer_id}/"
#: Options that make a list show more, the one that makes it show less, and the one that says how much.
_MORE: Final = ("include_", "purchase_items_extension", "all_customer_relations")
_LESS: Final = "without_stores"
_ITEMS: Final = "add_booking_items"


async def dossier(client: CareCloud, customer_id: str) -> Dossier:
    """Read all data of one customer that this user may read.

    A list that may not be read, or fails, does not stop the others: `dossier.parts` has the status of each. A list that
    the server does not filter is left out, so that no data of another customer gets into the dossier.

    Operations: `GET /customers/{customer_id}`, every list under it, and every list with the
    filter `customer_id` whose records name their customer.

    Args:
        client: the client, of an enterprise user; a customer's own client sees less.
        customer_id: the customer.

    Raises:
        NotFoundError: there is no such customer, or none any more when the lists were read.
        AuthenticationError: the credentials were refused.
    """
    context = client._caller.context
    asked_at = datetime.fromtimestamp(context.clock.time(), UTC)
    parts = [await _read_customer(client, customer_id)]
    folder = TemporaryDirectory(prefix="carecloud-")  # private, as Python makes them
    try:
        for number, (name, operation) in enumerate(_lists()):
            listing = _open(client, operation, customer_id)
            if listing is not None:
                target = Path(folder.name) / f"{number}.jsonl"
                parts.append(await _read_list(listing, name, operation, customer_id, target))
        await _read_customer(client, customer_id)  # of one who is gone by now, lists seemed empty or not available
    finally:
        await run_in_thread_regardless(folder.cleanup)
    return Dossier(
        customer_id=customer_id,
        project=client.project.host,
        asked_at=asked_at,
        parts=tuple(parts),
        timezone=client.project.timezone,
    )


def _lists() -> Iterator[tuple[str, Operation]]:
    """Yield the lists under a customer, then those that can be filtered by one."""
    known = sorted(listable().items())
    yield from ((name, operation) for name, operation in known if operation.path.startswith(_UNDER))
    yield from (
        (name, operation)
        for name, operation in known
        if not operation.placeholders and "customer_id" in operation.parameters
    )


def _open(client: CareCloud, operation: Operation, customer_id: str) -> Listing[Any] | None:
    """Return a list of the customer's; `None` if its records name no customer, or if it needs another filter."""
    is_under = operation.path.startswith(_UNDER)
    method, _ = find_method(client, operation, of=[customer_id] if is_under else [])
    params: dict[str, Any] = {} if is_under else {"customer_id": customer_id}
    if missing_filters(operation, method, params):
        return None
    params |= {name: True for name in operation.parameters if name.startswith(_MORE)}
    params |= {name: False for name in operation.parameters if name == _LESS}
    params |= {name: BookingItemsDetail.FULL for name in operation.parameters if name == _ITEMS}
    listing = method(**params)
    return listing if is_under or _names_customer(listing.export_source().into) else None


def _names_customer(model: Any) -> bool:
    return is_model(model) and any(field.name == "customer_id" for field in attrs.fields(model))


async def _read_customer(client: CareCloud, customer_id: str) -> DossierPart:
    from carecloud_async.models.customer import Customer
    from carecloud_async.resources.customers import Customers

    caller, operation = client._caller.fresh, declared(Customers.get).operation
    request = CallRequest(operation, decode=_on_one_line, path_params={"customer_id": customer_id})
    record = await caller.call(request)
    return DossierPart(
        name="customer",
        request="GET /customers/{customer_id}",
        status=PartStatus.READ,
        exact=True,
        raw_records=(record,),
        into=Customer,
    )


def _on_one_line(body: bytes) -> bytes:
    """Return the record in an answer as the server wrote it, without line ends."""
    try:
        return msgspec.json.format(raw_data(body), indent=-1)
    except msgspec.DecodeError:
        raise codec.Malformed("the answer has no data") from None


async def _read_list(
    listing: Listing[Any], name: str, operation: Operation, customer_id: str, target: Path
) -> DossierPart:
    is_under = operation.path.startswith(_UNDER)
    asked = DossierPart(
        name=name,
        request=f"{operation.method} {operation.path}" + ("" if is_under else "?customer_id={customer_id}"),
        status=PartStatus.READ,
        into=listing.export_source().into,
    )
    try:
        report = await listing.fresh().export(target)
        lines = await run_in_thread(lambda: [line for line in target.read_bytes().split(b"\n") if line])
    except AuthenticationError:
        raise
    except CareCloudError as error:
        status = _status_of(error)
        if status is PartStatus.NOT_AVAILABLE:
            status = await _status_of_first_page(listing)
        return attrs.evolve(asked, status=status, reason=str(error))
    if is_under:
        return attrs.evolve(asked, exact=report.exact, raw_records=tuple(lines))
    return _of_customer(attrs.evolve(asked, exact=report.exact), lines, customer_id)


async def _status_of_first_page(listing: Listing[Any]) -> PartStatus:
    """Return the status of a list that was not found: one whose beginning is there is not missing from the project."""
    try:
        await listing.fresh().page()
    except AuthenticationError:
        raise
    except CareCloudError as error:
        return _status_of(error)
    return PartStatus.FAILED


def _of_customer(part: DossierPart, lines: Sequence[bytes], customer_id: str) -> DossierPart:
    """Keep the records that are the customer's; none if the server returned another customer's."""
    records = [msgspec.json.decode(line) for line in lines]
    owners = [record.get("customer_id") if isinstance(record, dict) else None for record in records]
    if any(owner and not same_id(owner, customer_id) for owner in owners):
        reason = "the server ignores the filter customer_id of this list"
        return attrs.evolve(part, status=PartStatus.FILTER_IGNORED, exact=None, reason=reason)
    kept = tuple(line for line, owner in zip(lines, owners, strict=True) if owner)
    return attrs.evolve(part, raw_records=kept, left_out=len(lines) - len(kept))


def _status_of(error: CareCloudError) -> PartStatus:
    if isinstance(error, PermissionDeniedError):
        return PartStatus.FORBIDDEN
    if isinstance(error, NotFoundError | MethodNotAllowedError | InterfaceError):
        return PartStatus.NOT_AVAILABLE
    return PartStatus.FAILED
