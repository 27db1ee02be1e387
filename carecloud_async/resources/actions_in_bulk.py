"""`ActionFamily`: records that an action makes one by one, and that are found again and never changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async.bulk.family import BulkWrites, Family, FamilyFacts, Merged
from carecloud_async.models.base import Input
from carecloud_async.resources.bulk_target import scope_of
from carecloud_async.resources.declare import Resource, declared

__all__ = ["ActionFamily"]


class ActionFamily(Family):
    """A family whose records are made by an action.

    Args:
        resource: the family.
        writes: what it declares of its bulk writes; each key has a `find` of its own.
        row: the input class of a row.
    """

    def __init__(self, resource: Resource, *, writes: BulkWrites, row: type[Input]) -> None:
        self.caller: Caller = resource._caller
        name = resource._operations[0].call.rpartition(".")[0]
        self.facts: FamilyFacts = FamilyFacts(
            name=name,
            scope=scope_of(self.caller, name),
            writes=writes,
            create_model=row,
            can_create=True,
        )

    @abstractmethod
    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """Compare a row with what was found for it; see `Family.merge`."""

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
