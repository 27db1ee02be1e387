"""Build the `BulkTarget` of a family: what bulk writes need of it, read off its declared methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import msgspec

from carecloud_async import codec
from carecloud_async.bulk.compare import changed_fields, known_elements, only_fields
from carecloud_async.bulk.family import BulkTarget, FoundRecords, Key, ListSize, Merged, time_to_settle
from carecloud_async.calls.call_request import CallRequest
from carecloud_async.calls.events import watched
from carecloud_async.codec.fields import api_names, element_type
from carecloud_async.codec.json_value import JsonObject
from carecloud_async.codec.raw_json import RawJson
from carecloud_async.errors import NotFoundError
from carecloud_async.models.enums import ErrorProcessing
from carecloud_async.models.read_only import without_read_only
from carecloud_async.models.unset import UNSET
from carecloud_async.resources.answers import no_content
from carecloud_async.resources.declare import Declared, declared
from carecloud_async.resources.merge import MergeRules, merge
from carecloud_async.resources.signature import MISSING

if TYPE_CHECKING:
    from carecloud_async.export.report import ExportReport
    from carecloud_async.resources.bulk_writing import BulkWriting
    from carecloud_async.resources.updating import Updating

__all__ = ["bulk_target"]

#: Defaults of arguments that are not sent.
_NOT_SENT = (MISSING, None, UNSET)
#: Records of a page of look-ups.
_PAGE = 1000


def bulk_target(family: BulkWriting) -> BulkTarget:
    """Return what bulk writes need of a family, which is bound to its parents' ids."""
    listing, create, replace, batch = (_method(family, name) for name in ("list", "create", "replace", "batch"))
    operation = next(one for one in (create, batch, replace) if one is not None).operation
    name = operation.call.rpartition(".")[0]
    id_field = None if listing is None else listing.operation.id_field
    can_list = listing is not None and listing.operation.paged and id_field is not None
    caller, parts = family._caller, family.bulk.parts
    context, manager = caller.context, caller.manager
    rules = None if replace is None else cast("Updating[Any, Any]", family).merge_rules()
    create_model = _create_model(create, batch)
    update_model = create_model if rules is None else rules.model
    return BulkTarget(
        name=name,
        scope={
            "project": context.project.origin,
            "family": "/".join([name, *family._bound.values()]),
            "identity": "" if manager is None else manager.provider.identity_key,
        },
        project=context.project,
        clock=context.clock,
        watch=partial(watched, context),
        writes=family.bulk,
        create_model=create_model,
        update_model=update_model,
        reads=None if update_model is None else update_model.reads,
        id_field=id_field,
        concurrency=context.http.max_connections,
        settle_seconds=time_to_settle(caller.options.timeout.read),
        find=partial(_find, family),
        sample=None if listing is None else partial(_sample, family),
        measure=partial(_measure, family) if can_list else None,
        read_all=partial(_read_all, family) if can_list else None,
        create=None if create is None else partial(_create, family, create),
        update=None if replace is None else partial(_update, cast("Updating[Any, Any]", family), replace),
        batch=None if batch is None else partial(_send_batch, family, batch),
        write_parts=None if parts is None else partial(parts.write, family),
        check_parts=None if parts is None else parts.check,
        part_names=None if parts is None else partial(parts.fetch_names, family),
        merge=partial(_merge, family, update_model, rules),
    )


def _method(family: BulkWriting, name: str) -> Declared | None:
    method = getattr(type(family), name, None)
    return declared(method) if hasattr(method, "declared") else None


def _create_model(create: Declared | None, batch: Declared | None) -> Any:
    """Return the input class of a new record."""
    if create is not None:
        return create.inputs[0][1]
    return None if batch is None else element_type(batch.signature.hint(batch.signature.record_argument))


# Reading


async def _find(family: Any, key: Key, values: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find records by a key's values; see `BulkTarget.find`."""
    if key.find is not None:
        return await key.find(family, values)
    get = _method(family, "get")
    if key.by_id and key.filter is None and get is not None:
        return [(one, record) for one in values if (record := await _read(family, get, one[-1])) is not None]
    filters: dict[str, Any] = {}
    if key.filter is not None:
        texts = [one[-1].strip() for one in values]
        filters = {key.filter: texts if key.many else texts[0]}
        filters |= dict(zip(key.paths[:-1], values[0][:-1], strict=True))
    lines = family.list(**filters, **_large_page(family)).fresh().raw()
    return [(key.values_of(msgspec.json.decode(line)), line) async for line in lines]


async def _read(family: BulkWriting, get: Declared, record_id: str) -> bytes | None:
    (place,) = get.signature.in_path.values()
    ids = {**family._bound, place: record_id}
    try:
        return await family._caller.fresh.call(CallRequest(get.operation, decode=_strict_data, path_params=ids))
    except NotFoundError:
        return None


def _strict_data(body: bytes) -> bytes:
    """Return the record in an answer; what msgspec cannot read, such as `NaN`, cannot be compared with a row."""
    record = codec.raw_data(body)
    try:
        msgspec.json.decode(record)
    except msgspec.DecodeError:
        raise codec.Malformed("the record under data is not strict JSON") from None
    return record


async def _sample(family: Any) -> Sequence[bytes]:
    records = []
    async for line in family.list(**_large_page(family)).fresh().raw():
        records.append(line)
        if len(records) >= _PAGE:
            break
    return records


async def _measure(family: Any) -> ListSize | None:
    page = await family.list(count=_PAGE).fresh().page()
    if page.total_items is None:
        return None
    # Servers may give fewer records a page than they are asked for.
    return ListSize(records=page.total_items, page=min(max(page.received, 1), _PAGE))


async def _read_all(family: Any, path: Path) -> bool:
    report: ExportReport = await family.list(count=_PAGE).export(path, overwrite=True)
    return report.exact


def _large_page(family: Any) -> Mapping[str, int]:
    return {"count": _PAGE} if declared(family.list).operation.paged else {}


# Writing


async def _create(family: BulkWriting, create: Declared, record: JsonObject, create_fields: JsonObject) -> str | None:
    signature, (name, _) = create.signature, create.inputs[0]
    fixed = {
        place: signature.defaults[argument]
        for argument, place in signature.outside_path.items()
        if signature.defaults[argument] not in _NOT_SENT
    }
    request = CallRequest(
        create.operation,
        decode=create.decode,
        path_params=family._bound,
        json={**fixed, name: record, **create_fields},
    )
    made: str | None = await family._call(request)
    return made


async def _update(family: Updating[Any, Any], replace: Declared, record_id: str, body: Any) -> None:
    # Once: after a lost answer the record is looked at before anything is sent again.
    once = attrs.evolve(replace.operation, safe_to_repeat=False)
    await family._call(CallRequest(once, decode=no_content, path_params=family.path_ids(record_id), json=body))


async def _send_batch(family: BulkWriting, batch: Declared, records: Sequence[JsonObject]) -> None:
    rows = batch.signature.outside_path[batch.signature.record_argument]
    body = {rows: list(records), "error_processing": int(ErrorProcessing.ROLL_BACK)}
    await family._call(CallRequest(batch.operation, decode=batch.decode, path_params=family._bound, json=body))


def _merge(family: Any, model: Any, rules: MergeRules | None, record: bytes, changes: Mapping[str, Any]) -> Merged:
    """Merge a row's changes into a record; a family without a PUT only compares."""
    base = msgspec.json.decode(record)
    shown = base
    if model.reads is not None:
        # What the input takes is compared, though the read model calls it read-only.
        shown = without_read_only(base, model.reads, keep=api_names(model).values())
    changed = tuple(changed_fields(known_elements(shown, model), changes, model))
    if not changed or rules is None:
        return Merged(body=None, changed=changed)
    merged = merge(
        RawJson(record),
        only_fields(changes, changed),
        rules=rules,
        ids=family.path_ids(str(base.get(declared(family.list).operation.id_field or "", ""))),
        zone=family._caller.context.project.timezone,
    )
    return Merged(body=merged.body, changed=changed)
