"""Records that the server refuses because it has them already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.tables import Table

_IDENTITY: Final[Mapping[str, tuple[str, ...]]] = {
    "postEvent": ("external_id", "secondary_external_id", "event_type_id", "customer_id"),
}
"""The fields that make a record the same, by operation id; the first one is named in the refusal."""


def refuse_double(operation_id: str, table: Table, record: JsonObject) -> None:
    """Refuse a record that the table has.

    Raises:
        RefusalError: 400 with `relation_already_exists`.
    """
    names = _IDENTITY.get(operation_id)
    if names is None:
        return
    wanted = [record.get(name) or "" for name in names]
    if any([known.get(name) or "" for name in names] == wanted for known in map(table.record, table.ids())):
        raise bad_request(InvalidParam(name=names[0], reason="relation_already_exists"))
