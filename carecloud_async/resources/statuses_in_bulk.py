"""Loyalty statuses in bulk: a customer who has the status of the row is left alone, any other one gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async.bulk.compare import changed_fields
from carecloud_async.bulk.family import BulkWrites, Family, FoundRecords, Merged
from carecloud_async.bulk.pages import PAGE, read_records
from carecloud_async.bulk.rows import CheckedRow
from carecloud_async.errors import NotFoundError
from carecloud_async.models.base import Input
from carecloud_async.models.enums import RecordState
from carecloud_async.models.ids import same_id
from carecloud_async.resources.actions_in_bulk import ActionFamily
from carecloud_async.resources.customers import Customers
from carecloud_async.resources.declare import Resource

__all__ = ["StatusWrites", "find_statuses"]

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

    def matching(self, row: CheckedRow, found: Sequence[bytes]) -> Sequence[bytes]:
        """Return the record with the status of the row: one that is valid now, or from the time that the row names."""
        given = {**row.defaults, **row.changes}
        begin = given.get("valid_from")
        for line in found:
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
        found = msgspec.json.decode(record)
        shown = {**found, "valid_from": _spelled(found.get("valid_from")), "valid_to": _spelled(found.get("valid_to"))}
        times = {name: changes[name] for name in ("valid_from", "valid_to") if changes.get(name) is not None}
        return Merged(body=None, changed=tuple(changed_fields(shown, times, StatusRow)))

    async def create(self, record: JsonObject, create_fields: JsonObject, *, within: float) -> str | None:
        """See `Family.create`."""
        return await self.call(Customers.set_status_record, record, within=within)


def _spelled(moment: Any) -> str | None:
    """Return a time of the server as rows have it; `None` for a missing or a zero one."""
    text = moment.replace("T", " ")[: len("YYYY-MM-DD HH:MM:SS")] if isinstance(moment, str) else ""
    return None if not text or text.startswith("0000") else text
