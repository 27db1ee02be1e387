"""Build the `BulkTarget` of a family: what bulk writes need of it, read off its declared methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from carecloud_async import codec
from carecloud_async.bulk.compare import changed_fields, known_elements, only_fields
from carecloud_async.bulk.family import BulkTarget, FoundRecords, Key, ListSize, Merged, settle_seconds, text_at
from carecloud_async.calls.call_request import CallRequest
from carecloud_async.calls.events import watched
from carecloud_async.codec.fields import api_names, element_type
from carecloud_async.codec.json_value import JsonObject
from carecloud_async.codec.raw_json import RawJson
from carecloud_async.errors import NotFoundError
from carecloud_async.models.base import Input
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

__all__ = ["bulk_target"]

#: Defaults of arguments that are not sent.
_LEFT_OUT = (MISSING, None, UNSET)
#: Records of a page of look-ups.
_PAGE = 1000


def bulk_target(family: BulkWriting) -> BulkTarget:
    """Return what bulk writes need of a family."""
    return _Builder(family).build()


class _Builder:
    """Reads the declared methods of one family.

    Args:
        family: the family, bound to its parent's ids.
    """

    def __init__(self, family: BulkWriting) -> None:
        self._family = family
        self._list = _method(family, "list")
        self._get = _method(family, "get")
        self._create = _method(family, "create")
        self._replace = _method(family, "replace")
        self._batch = _method(family, "batch")

    def build(self) -> BulkTarget:
        """Return the target."""
        family, context = self._family, self._family._caller.context
        listing = self._list
        operation = next(one for one in (self._create, self._batch, self._replace) if one is not None).operation
        name = operation.call.rpartition(".")[0]
        id_field = None if listing is None else listing.operation.id_field
        can_list = listing is not None and listing.operation.paged and id_field is not None
        timeout, manager = family._caller.options.timeout, family._caller.manager
        model = self._update_model
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
            create_model=self._create_model,
            update_model=model,
            reads=None if model is None else model.reads,
            id_field=id_field,
            width=context.http.max_connections,
            settle_seconds=settle_seconds(timeout.read),
            find=self._find,
            sample=self._sample if listing is not None else None,
            measure=self._measure if can_list else None,
            read_all=self._read_all if can_list else None,
            create=None if self._create is None else self._create_one,
            update=None if self._replace is None else self._update,
            batch=None if self._batch is None else self._send_batch,
            write_parts=None if family.bulk.parts is None else getattr(family, family.bulk.parts.writer),
            check_parts=None if family.bulk.parts is None else getattr(family, family.bulk.parts.checker),
            part_names=None if family.bulk.parts is None else getattr(family, family.bulk.parts.namer),
            merge=self._merge,
        )

    @property
    def _create_model(self) -> type[Input] | None:
        if self._create is not None:
            found: type[Input] = self._create.inputs[0][1]
            return found
        return None if self._batch is None else self._batch_model

    @property
    def _batch_model(self) -> type[Input]:
        assert self._batch is not None  # noqa: S101  (asked for only where there is one)
        rows = next(iter(self._batch.signature.elsewhere))
        found: type[Input] = element_type(self._batch.signature.hint(rows))
        return found

    @property
    def _update_model(self) -> type[Input] | None:
        if self._replace is None:
            return self._create_model
        how = getattr(self._family, "_merging", {})
        signature = self._replace.signature
        found: type[Input] = (
            signature.model(how["model"]) if "model" in how else signature.hint(next(iter(signature.elsewhere)))
        )
        return found

    # reading

    async def _find(self, key: Key, values: Sequence[tuple[str, ...]]) -> FoundRecords:
        family: Any = self._family
        if key.finder is not None:
            found: FoundRecords = await getattr(family, key.finder)(values)
            return found
        if key.by_id and key.filter is None and self._get is not None:
            return [(one, record) for one in values if (record := await self._read(one[-1])) is not None]
        filters: dict[str, Any] = {}
        if key.filter is not None:
            texts = [one[-1].strip() for one in values]
            filters = {key.filter: texts if key.many else texts[0]}
            filters |= dict(zip(key.paths[:-1], values[0][:-1], strict=True))
        paging = {"count": _PAGE} if self._list is not None and self._list.operation.paged else {}
        paths = [path.split(".") for path in key.paths]
        records = []
        async for line in family.list(**filters, **paging).fresh().raw():
            record = msgspec.json.decode(line)
            records.append((tuple(text_at(record, parts) for parts in paths), line))
        return records

    async def _read(self, record_id: str) -> bytes | None:
        assert self._get is not None  # noqa: S101  (asked for only where there is one)
        place = next(iter(self._get.signature.in_path.values()))
        try:
            return await self._family._caller.fresh.call(
                CallRequest(
                    self._get.operation,
                    decode=_raw_data,
                    path_params={**self._family._bound, place: record_id},
                )
            )
        except NotFoundError:
            return None

    async def _sample(self) -> Sequence[bytes]:
        family: Any = self._family
        listing = family.list(count=_PAGE) if self._list is not None and self._list.operation.paged else family.list()
        records = []
        async for line in listing.fresh().raw():
            records.append(line)
            if len(records) >= _PAGE:
                break
        return records

    async def _measure(self) -> ListSize | None:
        family: Any = self._family
        page = await family.list(count=_PAGE).fresh().page()
        if page.total_items is None:
            return None
        # Servers may give fewer records a page than they are asked for.
        return ListSize(records=page.total_items, page=min(max(page.received, 1), _PAGE))

    async def _read_all(self, path: Path) -> bool:
        family: Any = self._family
        report: ExportReport = await family.list(count=_PAGE).export(path, overwrite=True)
        return report.exact

    # writing

    async def _create_one(self, record: JsonObject, beside: JsonObject) -> str | None:
        create = self._create
        assert create is not None  # noqa: S101  (handed out only where there is one)
        name = create.inputs[0][0]
        signature = create.signature
        fixed = {
            place: signature.defaults[argument]
            for argument, place in signature.elsewhere.items()
            if signature.defaults[argument] not in _LEFT_OUT
        }
        repeated = {one: self._family._bound[one] for one in create.path_params_in_body if one in self._family._bound}
        made: str | None = await self._family._call(
            CallRequest(
                create.operation,
                decode=create.decode,
                path_params=self._family._bound,
                json={**fixed, **repeated, name: record, **beside},
            )
        )
        return made

    async def _update(self, record_id: str, body: Any) -> None:
        replace = self._replace
        assert replace is not None  # noqa: S101  (handed out only where there is one)
        ids = {**self._family._bound, **dict.fromkeys(replace.signature.in_path.values(), record_id)}
        # Once: after a lost answer the record is looked at before anything is sent again.
        once = attrs.evolve(replace.operation, safe_to_repeat=False)
        await self._family._call(CallRequest(once, decode=no_content, path_params=ids, json=body))

    async def _send_batch(self, records: Sequence[JsonObject]) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101  (handed out only where there is one)
        rows = next(iter(batch.signature.elsewhere.values()))
        await self._family._call(
            CallRequest(
                batch.operation,
                decode=batch.decode,
                path_params=self._family._bound,
                json={rows: list(records), "error_processing": int(ErrorProcessing.ROLL_BACK)},
            )
        )

    def _id_of(self, record: Mapping[str, Any]) -> str:
        id_field = None if self._list is None else self._list.operation.id_field
        return str(record.get(id_field or "", ""))

    def _merge(self, record: bytes, changes: Mapping[str, Any]) -> Merged:
        model = self._update_model
        assert model is not None  # noqa: S101  (records are changed only where there is a way)
        base = msgspec.json.decode(record)
        shown = base
        if model.reads is not None:
            # What the input takes is compared, though the read model calls it read-only.
            shown = without_read_only(base, model.reads, keep=api_names(model).values())
        changed = tuple(changed_fields(known_elements(shown, model), changes))
        if not changed or self._replace is None:
            return Merged(body=None, changed=changed)
        rules: MergeRules = type(self._family).merge_rules()  # type: ignore[attr-defined]  # families with a PUT have it
        ids = {**self._family._bound, **dict.fromkeys(self._replace.signature.in_path.values(), self._id_of(base))}
        merged = merge(
            RawJson(record),
            only_fields(changes, changed),
            rules=rules,
            ids=ids,
            zone=self._family._caller.context.project.timezone,
        )
        return Merged(body=merged.body, changed=changed)


def _method(family: BulkWriting, name: str) -> Declared | None:
    method = getattr(type(family), name, None)
    return declared(method) if hasattr(method, "declared") else None


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


_envelope = msgspec.json.Decoder(_Envelope)


def _raw_data(body: bytes) -> bytes:
    try:
        return bytes(_envelope.decode(body).data)
    except msgspec.MsgspecError:
        raise codec.Malformed("the answer has no data") from None
