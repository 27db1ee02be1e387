"""Points and credits in bulk: amounts that are given or taken, each with a reference by which it is found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.compare import as_decimal, is_same_amount
from carecloud_async.bulk.family import BulkWrites, FoundRecords, Merged
from carecloud_async.bulk.pages import PAGE
from carecloud_async.bulk.references import find_by_reference, is_taken, note_with_reference, search_text
from carecloud_async.bulk.rows import CheckedRow
from carecloud_async.errors import ConfigurationError, NotFoundError
from carecloud_async.models.base import Input
from carecloud_async.models.ids import same_id
from carecloud_async.resources.actions_in_bulk import ActionFamily
from carecloud_async.resources.declare import Resource

__all__ = ["CREDITS", "POINTS", "Amounts", "Kind"]

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
            found = await find_by_reference(listing, note_field=self.note_field, reference=reference)
        except NotFoundError:  # there is no such customer, as the server will say when it is written
            return []
        return [((customer_id, reference), line) for line in found if _is_of(line, customer_id)]

    def joined(self, found: Sequence[bytes]) -> bytes | None:
        """Return one record with the sum of those found: a server may note one operation in parts."""
        if not found:
            return None
        records = [msgspec.json.decode(one) for one in found]
        amounts = [as_decimal(one.get(self.amount_field) or 0) for one in records]
        amount = None if None in amounts else str(sum(filter(None, amounts)))
        return msgspec.json.encode({**records[0], self.amount_field: amount})

    def copies(self, found: Sequence[bytes], amount: Any) -> Sequence[bytes]:
        """Return the records of an operation that was made more than once; those of one are its parts."""
        one = self.joined(found)
        is_once = one is None or amount is None or self.is_amount(msgspec.json.decode(one), float(amount))
        return found[:1] if is_once else found

    def is_amount(self, record: Mapping[str, Any], amount: float) -> bool:
        """Return whether a record is of an amount, which is negative if it was taken.

        A note that this package wrote says which; of another one the sign that the history shows counts.
        """
        shown = record[self.amount_field]
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

    def matching(self, row: CheckedRow, found: Sequence[bytes]) -> Sequence[bytes]:
        """Return one record of what was found; see `Kind.joined`.

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
        one = self._kind.joined(found)
        return () if one is None else [one]

    def copies(self, row: CheckedRow, found: Sequence[bytes]) -> Sequence[bytes]:
        """See `Family.copies`."""
        return self._kind.copies(found, {**row.defaults, **row.changes}.get("amount"))

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`.

        Raises:
            ValueError: the amount differs.
        """
        amount = changes.get("amount")
        if amount is not None and not self._kind.is_amount(msgspec.json.decode(record), amount):
            raise ValueError(_OTHER)
        return Merged(body=None, changed=())

    async def create(self, record: JsonObject, create_fields: JsonObject, *, within: float) -> str | None:
        """See `Family.create`."""
        body = {name: value for name, value in record.items() if name not in {"reference", "amount", "note"}}
        amount: Any = record["amount"]
        note = note_with_reference(record.get("note"), record["reference"], takes=amount < 0)
        method = self._give if amount > 0 else self._take
        return await self.call(method, {**body, "amount": abs(amount), "note": note}, within=within)


def _is_of(line: bytes, customer_id: str) -> bool:
    """Return whether a record is of a customer, if it says so: a server may ignore a filter."""
    own = msgspec.json.decode(line).get("customer_id")
    return not own or same_id(own, customer_id)
