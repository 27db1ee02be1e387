"""Records that an action makes, in bulk: points and credits, found again by a reference, and loyalty statuses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.compare import changed_fields, is_same_amount
from carecloud_async.bulk.family import BulkWrites, CreateRecord, Family, FamilyFacts, FoundRecords, Merged, scope_of
from carecloud_async.bulk.pages import PAGE, read_records
from carecloud_async.bulk.references import find_by_reference, is_taken, note_with_reference, search_text
from carecloud_async.bulk.rows import CheckedRow
from carecloud_async.errors import ConfigurationError, NotFoundError
from carecloud_async.models.base import Input
from carecloud_async.models.enums import RecordState
from carecloud_async.models.ids import same_id
from carecloud_async.resources.customers import Customers
from carecloud_async.resources.declare import Resource, declared


class ActionFamily(Family):
    """A family whose records are made by an action.

    Args:
        resource: the family.
        writes: what it declares of its bulk writes; each key has a `find` of its own.
        row: the input class of a row.
    """

    def __init__(self, resource: Resource, *, writes: BulkWrites, row: type[Input]) -> None:
        self.caller: Caller = resource._caller
        self.create: CreateRecord | None = self._make
        name = resource._operations[0].call.rpartition(".")[0]
        self.facts: FamilyFacts = FamilyFacts(
            name=name,
            scope=scope_of(self.caller, family=name),
            writes=writes,
            create_model=row,
        )

    @abstractmethod
    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """Compare a row with what was found for it; see `Family.merge`."""

    @abstractmethod
    async def _make(self, record: JsonObject, _create_fields: JsonObject, within: float) -> str | None:
        """Make a record; see `Family.create`."""

    async def call(self, method: Any, body: JsonObject, *, within: float) -> str | None:
        """Make the call of a declared action and return the id that it answers; what is null is left out.

        Args:
            within: the longest time until it is sent (seconds).
        """
        action = declared(method)
        given = {name: value for name, value in body.items() if value is not None}
        request = CallRequest(action.operation, decode=action.decode, json=given, within=within)
        made: str | None = await self.caller.call(request)
        return made


_ZERO: Final = "amount: it is zero; a positive amount is given, a negative one is taken"
_OTHER: Final = "amount: the history has another amount with this reference"


@frozen(kw_only=True, repr=False)
class _AmountRow(Input):
    """A row: the reference names the operation, and a negative amount is taken."""

    customer_id: str
    reference: str
    amount: float
    note: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class PointRow(_AmountRow):
    """A row of points."""

    partner_id: str | Unset | None = UNSET
    point_type_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CreditRow(_AmountRow):
    """A row of credits."""

    partner_id: str
    credit_type_id: str | Unset | None = UNSET
    currency_id: str | Unset | None = UNSET


@frozen(kw_only=True)
class Kind:
    """What is given and taken.

    Attributes:
        row: the input class of a row.
        note_field, amount_field: the fields of a record of the history.
        give, take: the names of the declared actions.
    """

    row: type[Input]
    note_field: str
    amount_field: str
    give: str
    take: str

    async def find(self, history: Callable[..., Listing[Any]], keys: Sequence[tuple[str, ...]]) -> FoundRecords:
        """Find the operations of a customer that have a reference; one request.

        Args:
            history: the declared list of the history.
            keys: one customer, with one reference.
        """
        ((customer_id, reference),) = keys
        customer_id, reference = customer_id.strip(), reference.strip()
        search = {self.note_field: search_text(reference)}
        listing = history(customer_id=customer_id, **search, count=PAGE).fresh()
        try:
            lines = await find_by_reference(listing, note_field=self.note_field, reference=reference)
        except NotFoundError:  # there is no such customer, as the server will say when it is written
            return []
        return [((customer_id, reference), line) for line in lines if _is_of(line, customer_id)]

    def is_amount(self, record: Mapping[str, Any], amount: float) -> bool:
        """Return whether a record is of an amount, which is negative if it was taken.

        A note that this package wrote says which; of another one the sign that the history shows counts.
        """
        shown = record.get(self.amount_field)
        if is_taken(record.get(self.note_field)):
            return amount < 0 and is_same_amount(shown, amount, has_sign=False)
        return is_same_amount(shown, amount)


POINTS: Final = Kind(
    row=PointRow,
    note_field="point_operation_note",
    amount_field="point_amount",
    give="assign_points",
    take="reduce_points",
)
CREDITS: Final = Kind(
    row=CreditRow,
    note_field="credit_operation_note",
    amount_field="amount",
    give="deposit_credits",
    take="reduce_credits",
)


class Amounts(ActionFamily):
    """Points or credits.

    Args:
        resource: the family.
        writes: what it declares of its bulk writes.
        kind: which of the two.
    """

    def __init__(self, resource: Resource, writes: BulkWrites, kind: Kind) -> None:
        super().__init__(resource, writes=writes, row=kind.row)
        self._kind = kind
        self._give, self._take = (getattr(type(resource), name) for name in (kind.give, kind.take))

    def matching(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:
        """See `Family.matching`.

        Raises:
            ValueError: the amount is zero, or the note holds a reference of its own.
        """
        given = {**row.defaults, **row.changes}
        if given.get("amount") == 0:
            raise ValueError(_ZERO)
        try:
            if given.get("reference") is not None:  # it is missing only where rows have no key: `decide` says so
                note_with_reference(given.get("note"), given["reference"])
        except ConfigurationError as error:
            raise ValueError(f"note: {error.problem}") from None
        return records

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`.

        Raises:
            ValueError: the amount differs.
        """
        amount = changes.get("amount")
        if amount is not None and not self._kind.is_amount(msgspec.json.decode(record), amount):
            raise ValueError(_OTHER)
        return Merged(body=None, changed=())

    async def _make(self, record: JsonObject, _create_fields: JsonObject, within: float) -> str | None:
        body = {name: value for name, value in record.items() if name not in {"reference", "amount", "note"}}
        amount: Any = record["amount"]
        note = note_with_reference(record.get("note"), record["reference"], takes=amount < 0)
        method = self._give if amount > 0 else self._take
        return await self.call(method, {**body, "amount": abs(amount), "note": note}, within=within)


def _is_of(line: bytes, customer_id: str) -> bool:
    """Return whether a record is of a customer, if it says so: a server may ignore a filter."""
    own = msgspec.json.decode(line).get("customer_id")
    return not own or same_id(own, customer_id)


#: For how long the clocks of server and client may differ: a status that begins within it has begun.
_CLOCKS_DIFFER: Final = timedelta(hours=24)
_SPELLED: Final = "%Y-%m-%d %H:%M:%S"


@frozen(kw_only=True, repr=False)
class StatusRow(Input):
    """A row of statuses."""

    customer_id: str
    status_id: str
    valid_from: datetime | str | Unset | None = UNSET
    valid_to: datetime | str | Unset | None = UNSET


async def find_statuses(statuses: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find the status records of a customer, past ones too; one request."""
    ((customer_id,),) = keys
    records = Customers(statuses.caller).status_records(customer_id.strip()).list(count=PAGE).fresh()
    try:
        return [((customer_id,), line) for line in await read_records(records)]
    except NotFoundError:  # there is no such customer, as the server will say when it is written
        return []


class StatusWrites(ActionFamily):
    """The statuses of customers.

    Args:
        resource: the family.
        writes: what it declares of its bulk writes.
    """

    def __init__(self, resource: Resource, writes: BulkWrites) -> None:
        super().__init__(resource, writes=writes, row=StatusRow)

    def matching(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return the record with the status of the row: one that is valid now, or from the time that the row names."""
        given = {**row.defaults, **row.changes}
        begin = given.get("valid_from")
        for line in records:
            record = msgspec.json.decode(line)
            if not same_id(record.get("status_id"), given.get("status_id")):
                continue
            if _spelled(record.get("valid_from")) == begin if begin else self._is_valid(record):
                return [line]
        return []

    def _is_valid(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record is valid now; what it does not say does not count."""
        now = datetime.fromtimestamp(self.clock.time(), self.caller.context.project.timezone)
        begin, end = _spelled(record.get("valid_from")), _spelled(record.get("valid_to"))
        is_active = record.get("state") is None or same_id(record["state"], RecordState.ACTIVE.value)
        has_begun = begin is None or begin <= f"{now + _CLOCKS_DIFFER:{_SPELLED}}"
        return is_active and has_begun and (end is None or end > f"{now:{_SPELLED}}")

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`."""
        status = msgspec.json.decode(record)
        shown = {
            **status,
            "valid_from": _spelled(status.get("valid_from")),
            "valid_to": _spelled(status.get("valid_to")),
        }
        times = {name: changes[name] for name in ("valid_from", "valid_to") if changes.get(name) is not None}
        return Merged(body=None, changed=tuple(changed_fields(shown, times, StatusRow)))

    async def _make(self, record: JsonObject, _create_fields: JsonObject, within: float) -> str | None:
        return await self.call(Customers.set_status_record, record, within=within)


def _spelled(moment: Any) -> str | None:
    """Return a time of the server as rows have it; `None` for a missing or a zero one."""
    text = moment.replace("T", " ")[: len("YYYY-MM-DD HH:MM:SS")] if isinstance(moment, str) else ""
    return None if not text or text.startswith("0000") else text
