"""Decide what a row does: create a record, change one, or nothing; or why it is refused or in conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import attrs
import msgspec
from attrs import frozen

from carecloud_async.bulk.compare import as_text, drop_if_equal, has_value
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import CheckedRow, Intent
from carecloud_async.codec.fields import api_names, core_type, field_types, is_model
from carecloud_async.codec.typed_cache import typed_cache

__all__ = ["Plan", "decide"]

_UNKNOWN = "a field that the SDK does not know cannot be changed"


@frozen(kw_only=True)
class Plan(Intent):
    """A write that a row asks for: what the journal remembers of it, and its body.

    Attributes:
        body: the body of the PUT or the record for the batch endpoint; of a create `record` and
            `create_fields`, the fields outside the record.
    """

    body: Any = attrs.field(repr=False)

    @property
    def result(self) -> RowResult:
        """The outcome of the row if the write succeeds."""
        outcome = Outcome.CREATED if self.base is None else Outcome.UPDATED
        return RowResult(outcome=outcome, record_id=self.record_id, changed_fields=self.changed)


def decide(
    row: CheckedRow, found: Sequence[bytes], *, target: BulkTarget, key: Key | None, options: BulkWriteOptions
) -> RowResult | Plan:
    """Return what a row does to the records that were found for its key."""
    if not found:
        return _create(row, target, key, options)
    assert key is not None  # noqa: S101  (records are found by keys)
    if len(found) > 1:
        return RowResult(outcome=Outcome.CONFLICT, reasons=(f"{key.name}: {len(found)} records have this key",))
    return _change(row, found[0], target, key, options)


def _create(row: CheckedRow, target: BulkTarget, key: Key | None, options: BulkWriteOptions) -> RowResult | Plan:
    model = target.create_model
    if key is not None:
        if options.mode == "update":
            return refused(f"{key.name}: no record has this key")
        if key.by_id:
            return refused(f"{key.name}: no record has this id; the server gives ids itself")
        if model is None:
            return refused(f"{key.name}: no record has this key, and the API creates none here")
        if not target.can_set(key):
            return refused(f"{key.name}: no record has this key, and a new record cannot be given it")
    missing = _missing(row.changes, model, "")
    missing += [name for name in target.writes.required_create_fields if not row.create_fields.get(name)]
    reasons = [
        *(f"{path}: {reason}" for path, reason in row.faults.items()),
        *(f"{path}: {_UNKNOWN}" for path in row.unknown),
        *(f"{path}: required" for path in missing),
    ]
    if reasons:
        return refused(*reasons)
    if target.batch is not None:
        return Plan(kind="batch", body=row.changes)
    return Plan(kind="create", body={"record": row.changes, "create_fields": _nested(row, target)})


def _change(
    row: CheckedRow, record: bytes, target: BulkTarget, key: Key, options: BulkWriteOptions
) -> RowResult | Plan:
    base = msgspec.json.decode(record)
    record_id = target.id_of(base)
    result = partial(RowResult, record_id=record_id)
    if options.mode == "create":
        return result(outcome=Outcome.CONFLICT, reasons=(f"{key.name}: a record has this key already",))
    changes = dict(row.changes)
    for path in key.paths:
        # The record may spell its key in another way, such as an e-mail address in lower case.
        drop_if_equal(changes, base, path, lambda value: key.normal(str(value)))
    faults = {path: why for path, why in row.faults.items() if not drop_if_equal(changes, base, path, as_text)}
    faults |= {path: _UNKNOWN for path, value in row.unknown.items() if not has_value(base, path, value)}
    if faults:
        return result(outcome=Outcome.REFUSED, reasons=tuple(f"{path}: {why}" for path, why in faults.items()))
    try:
        merged = target.merge(record, changes)
    except ValueError as error:
        return result(outcome=Outcome.REFUSED, reasons=(str(error),))
    if not merged.changed:
        return result(outcome=Outcome.UNCHANGED)
    result = partial(result, changed_fields=merged.changed)
    if options.if_unchanged:
        if row.last_change is None:
            return refused("last_change: if_unchanged needs it in the row")
        if _is_newer(base.get("last_change"), row.last_change):
            reason = "last_change: the record changed since the row was read"
            return result(outcome=Outcome.CONFLICT, reasons=(reason,))
    if target.update is not None and record_id:
        return Plan(kind="update", body=merged.body, record_id=record_id, changed=merged.changed, base=record)
    if target.writes.batch_updates and target.can_set(key):
        body = {**_required(base, target.create_model), **changes}
        return Plan(kind="batch", body=body, record_id=record_id, changed=merged.changed, base=record)
    reason = "the record exists and differs, and the API has no way to change it"
    return result(outcome=Outcome.REFUSED, reasons=(reason,))


def _is_newer(last_change: Any, than: str) -> bool:
    """Return whether the server's `last_change` is newer than a row's, which is compared to the minute without seconds.

    A record without a time, or with a zero date, is not newer.
    """
    try:
        changed_at = f"{datetime.fromisoformat(last_change):%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError):
        return False
    return than < changed_at[: len(than)]


def _missing(values: Mapping[str, Any], model: Any, prefix: str) -> list[str]:
    """List the required fields that a new record lacks."""
    found = []
    for name, is_required, inner in _required_fields(model):
        value = values.get(name)
        if is_required and value is None:
            found += [f"{prefix}{name}"] if inner is None else _missing({}, inner, f"{prefix}{name}.")
        elif inner is not None and isinstance(value, Mapping):
            found += _missing(value, inner, f"{prefix}{name}.")
    return found


@typed_cache
def _required_fields(model: Any) -> tuple[tuple[str, bool, Any], ...]:
    """Return the required fields and the objects of a model: name, whether it is required, and the object's model."""
    names, types = api_names(model), field_types(model)
    found = []
    for one in attrs.fields(model):
        core = core_type(types[one.name])
        inner = core if is_model(core) else None
        is_required = one.default is attrs.NOTHING
        if is_required or inner is not None:
            found.append((names[one.name], is_required, inner))
    return tuple(found)


def _required(record: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return the fields of a record that the batch endpoint requires in every row."""
    required = [name for name, is_required, _ in _required_fields(model) if is_required]
    return {name: record[name] for name in required if record.get(name) is not None}


def _nested(row: CheckedRow, target: BulkTarget) -> dict[str, Any]:
    """Return the fields that a create sends next to the record, as they stand in its body."""
    body: dict[str, Any] = {}
    for name, value in row.create_fields.items():
        *objects, last = target.writes.create_fields[name]
        parent = body
        for part in objects:
            parent = parent.setdefault(part, {})
        parent[last] = value
    return body
