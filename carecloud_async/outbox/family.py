"""`CallFamily`: calls that make something, as a family that the engine of bulk writes looks up and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.lowlevel
import msgspec
from attrs import frozen

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async.bulk.family import (
    BulkWrites,
    CreateRecord,
    Family,
    FamilyFacts,
    FoundRecords,
    Key,
    Merged,
    normal_text,
    scope_of,
)
from carecloud_async.bulk.rows import CheckedRow
from carecloud_async.models.base import Input
from carecloud_async.resources.declare import Declared, declared

__all__ = ["CallFamily", "CallKind", "Grace"]


@frozen(kw_only=True)
class _Anything(Input):
    """The body of a call, which was checked when it was put."""


@frozen(kw_only=True)
class _CallKey(Key):
    """A key of calls. It is claimed as the bulk writes of the family claim theirs."""

    claimed_by: Callable[[str], str]

    def claim(self, family: str, text: str) -> str:
        """See `Key.claim`."""
        return super().claim(family, self.claimed_by(text))


class CallKind(ABC):
    """An operation that makes something, and how that is found again.

    Attributes:
        name: the name of the kind, stored in the file; its first word is the call.
        claimed_as: the family whose bulk writes have the same keys.
        key: what the key is called.
        method: the declared method.
        takes_reference: whether the key is a reference that `put` is given.
        unseen: arguments that cannot be read back, so that a call must not have them.
        id_field: the name of the id of what it makes; `None` if that has none.
        names_key: whether the key may be shown: an e-mail address may not.
    """

    name: str
    claimed_as: str
    key: str
    method: Any
    takes_reference: bool = False
    unseen: tuple[str, ...] = ()
    id_field: str | None = None
    names_key: bool = True

    @abstractmethod
    def key_of(self, body: JsonObject, reference: str | None) -> tuple[str | None, ...]:
        """Return the values of a call's key, with `None` for a missing one; the last value is named `key`."""

    @abstractmethod
    def lane(self, body: JsonObject) -> str | None:
        """Return the name of a call's lane, in which calls are made in their order; `None`: the key is the lane."""

    def follows(self, body: JsonObject) -> tuple[str, ...] | None:  # noqa: ARG002  (few calls do)
        """Return the key of the call that must be made before this one, whatever its lane."""
        return None

    def claimed(self, text: str) -> str:
        """Return the part of a key, as one text, that bulk writes of the family have for a key.

        Of several values the first is the id of a record, which bulk writes compare in one case.
        """
        first, *others = text.split("\x1f")
        return "\x1f".join((first.casefold(), *others)) if others else text

    def normal(self, value: str) -> str:
        """Bring a value of the key into the form in which values are compared."""
        return normal_text(value)

    def prepare(self, body: dict[str, Any], reference: str | None) -> None:  # noqa: B027  (few bodies are changed)
        """Write what the call is found by into its body.

        Raises:
            ConfigurationError: the reference cannot be written.
        """

    @abstractmethod
    async def find(self, caller: Caller, key: tuple[str, ...]) -> Sequence[bytes]:
        """Return what calls with a key have made, read from the server.

        Raises:
            CareCloudError: the server cannot be reached, refuses the client, or cannot be read exactly.
        """

    def differences(self, caller: Caller, found: Mapping[str, Any], body: JsonObject) -> Sequence[str]:  # noqa: ARG002
        """Name the fields in which what was found is certainly not what the call makes."""
        return ()


class CallFamily(Family):
    """The calls of one kind. A row's changes are `{"path": …, "body": …}`.

    Args:
        caller: makes the calls.
    """

    def __init__(self, kind: CallKind, caller: Caller) -> None:
        self.caller: Caller = caller
        self.create: CreateRecord | None = self._call
        self._kind = kind
        self._declared: Declared = declared(kind.method)
        self.facts: FamilyFacts = FamilyFacts(
            name=kind.name,
            scope=scope_of(caller, family=kind.claimed_as),
            # The key lies in the body, where the call sends it: a create is given it in any case.
            writes=BulkWrites(create_fields={kind.key: ()}),
            create_model=_Anything,
            id_field=kind.id_field,
        )

    @property
    def key(self) -> Key:
        """The key of the calls."""
        kind = self._kind
        return _CallKey(name=kind.key, claimed_by=kind.claimed, normal=kind.normal, find=self._find)

    async def _find(self, _family: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
        (key,) = keys  # this key is looked up alone
        return [(key, found) for found in await self._kind.find(self.caller, key)]

    def matching(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:  # noqa: ARG002
        """See `Family.matching`."""
        return records[:1]

    def copies(self, row: CheckedRow, records: Sequence[bytes]) -> Sequence[bytes]:  # noqa: ARG002
        """See `Family.copies`."""
        return records

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`; nothing is changed: either this call made the record, or another one did.

        Raises:
            ValueError: another one did.
        """
        differ = self._kind.differences(self.caller, msgspec.json.decode(record), changes["body"])
        if differ:
            raise ValueError(f"{self._kind.key}: it is taken by another record, which differs in {', '.join(differ)}")
        return Merged(body=None, changed=())

    async def _call(self, record: JsonObject, _create_fields: JsonObject, within: float) -> str | None:
        request = CallRequest(
            self._declared.operation,
            decode=self._declared.decode,
            path_params=record.get("path") or {},
            json=record["body"],
            within=within,
        )
        made = await self.caller.call(request)
        return made if isinstance(made, str) else None


class Grace:
    """The time in which requests that write are finished although the outbox closes."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    def end(self) -> None:
        """Cancel the requests that are under way now: their answers are lost."""
        for scope in self._scopes:
            scope.shield = False

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Run a request; it does not begin any more when the outbox closes."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        with anyio.CancelScope(shield=True) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
