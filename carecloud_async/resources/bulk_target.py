"""`DeclaredFamily`: a family as bulk writes see it, read off its declared methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import attrs
import msgspec

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import raw_data
from carecloud_async._base.codec.fields import UNSET, api_names, element_type
from carecloud_async._base.codec.json_text import JsonObject, RawJson
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.compare import changed_fields, known_elements, only_fields
from carecloud_async.bulk.family import (
    BulkWrites,
    CreateRecord,
    Family,
    FamilyFacts,
    GetRecord,
    ListRecords,
    Merged,
    SendBatch,
    UpdateRecord,
    scope_of,
)
from carecloud_async.bulk.pages import PAGE
from carecloud_async.errors import NotFoundError
from carecloud_async.models.enums import ErrorProcessing
from carecloud_async.models.read_only import without_read_only
from carecloud_async.resources.declare import Declared, Resource, declared
from carecloud_async.resources.merge import MergeRules, merge, require_shown
from carecloud_async.resources.signature import MISSING, no_content

#: Defaults of arguments that are not sent.
_NOT_SENT = (MISSING, None, UNSET)
#: A request of a bulk write is sent once: it knows better than a retry what a failure means for its rows.
_ONCE = RetryPolicy(attempts=1)


class DeclaredFamily(Family):
    """A declared family; see its base.

    Args:
        resource: the family, bound to its parents' ids.
        writes: what it declares of its bulk writes.
        rules: how a record and its changes become the body of the PUT; `None` if it has no PUT.
    """

    def __init__(self, resource: Resource, writes: BulkWrites, rules: MergeRules | None) -> None:
        self.caller: Caller = resource._caller
        self._resource = resource
        self._rules = rules
        listed, get, create, replace, batch = (
            _method(resource, name) for name in ("list", "get", "create", "replace", "batch")
        )
        self._replace = replace
        self.list: ListRecords | None = None if listed is None else partial(self._listing, listed)
        self.get: GetRecord | None = None if get is None else partial(self._get_record, get)
        self.create: CreateRecord | None = (
            None if create is None else partial(self._create_record, create, _fixed(create))
        )
        self.update: UpdateRecord | None = None if replace is None else partial(self._replace_record, replace)
        self.batch: SendBatch | None = None if batch is None else partial(self._send_batch, batch)
        self.facts: FamilyFacts = self._facts(writes, listed, create, batch)

    def _facts(
        self, writes: BulkWrites, listed: Declared | None, create: Declared | None, batch: Declared | None
    ) -> FamilyFacts:
        writing = next(method for method in (create, batch, self._replace) if method is not None)
        name = writing.operation.call.rpartition(".")[0]
        id_field = None if listed is None else listed.operation.id_field
        create_model = _create_model(create, batch)
        return FamilyFacts(
            name=name,
            scope=scope_of(self.caller, family="/".join([name, *self._resource._bound.values()])),
            writes=writes,
            create_model=create_model,
            update_model=create_model if self._rules is None else self._rules.model,
            id_field=id_field,
            can_export=listed is not None and listed.operation.paged and id_field is not None,
        )

    def _listing(self, listed: Declared, **filters: Any) -> Listing[Any]:
        method = cast("Callable[..., Listing[Any]]", getattr(self._resource, "list"))  # noqa: B009  (not typed)
        large = {"count": PAGE} if listed.operation.paged else {}
        return method(**filters, **large).fresh()

    async def _get_record(self, get: Declared, record_id: str) -> bytes | None:
        path = get.path_to(self._resource, record_id)
        request = CallRequest(get.operation, decode=_strict_data, path_params=path)
        try:
            return await self.caller.fresh.call(request)
        except NotFoundError:
            return None

    def merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        """See `Family.merge`."""
        base, model = msgspec.json.decode(record), self.facts.update_model
        shown = base
        if model is not None and model.reads is not None:
            # What the input takes is compared, though the read model calls it read-only.
            shown = without_read_only(base, model.reads, keep=api_names(model).values())
        changed = tuple(changed_fields(known_elements(shown, model), changes, model))
        if not changed or self._rules is None or self._replace is None:
            return Merged(body=None, changed=changed)
        require_shown(RawJson(record), self._rules)
        merged = merge(
            RawJson(record),
            only_fields(changes, changed),
            rules=self._rules,
            ids=self._replace.path_to(self._resource, self.facts.id_of(base) or ""),
            zone=self.caller.context.project.timezone,
        )
        return Merged(body=merged.body, changed=changed)

    async def _create_record(
        self, create: Declared, fixed: JsonObject, record: JsonObject, create_fields: JsonObject, within: float
    ) -> str | None:
        body = {**fixed, create.inputs[0][0]: record, **create_fields}
        request = CallRequest(
            create.operation,
            decode=create.decode,
            path_params=self._resource._bound,
            json=RawJson(msgspec.json.encode(body)),  # its values were checked with their rows
            within=within,
        )
        made: str | None = await self._resource._call(request)
        return made

    async def _replace_record(self, replace: Declared, record_id: str, body: Any, within: float) -> None:
        once = attrs.evolve(self.caller.options, retry=_ONCE)
        # After a lost answer the record is looked at before anything is sent again.
        operation = attrs.evolve(replace.operation, safe_to_repeat=False)
        path = replace.path_to(self._resource, record_id)
        request = CallRequest(operation, decode=no_content, path_params=path, json=body, within=within)
        await self.caller.with_options(once).call(request)

    async def _send_batch(self, batch: Declared, records: Sequence[JsonObject], within: float) -> None:
        rows = batch.signature.outside_path[batch.signature.record_argument]
        body = {rows: [*records], "error_processing": int(ErrorProcessing.ROLL_BACK)}
        request = CallRequest(
            batch.operation, decode=batch.decode, path_params=self._resource._bound, json=body, within=within
        )
        await self._resource._call(request)


def _method(resource: Resource, name: str) -> Declared | None:
    method = getattr(type(resource), name, None)
    return declared(method) if hasattr(method, "declared") else None


def _create_model(create: Declared | None, batch: Declared | None) -> Any:
    """Return the input class of a new record."""
    if create is not None:
        return create.inputs[0][1]
    return None if batch is None else element_type(batch.signature.hint(batch.signature.record_argument))


def _fixed(create: Declared) -> JsonObject:
    """Return what every create sends next to its record."""
    given = {place: create.signature.defaults[name] for name, place in create.signature.outside_path.items()}
    return {place: value for place, value in given.items() if value not in _NOT_SENT}


def _strict_data(body: bytes) -> bytes:
    """Return the record in an answer; what msgspec cannot read, such as `NaN`, cannot be compared with a row."""
    record = raw_data(body)
    try:
        msgspec.json.decode(record)
    except msgspec.DecodeError:
        raise codec.Malformed("the record under data is not strict JSON") from None
    return record
