"""Decide what a row does: create a record, change one, nothing, or that it cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import msgspec
from attrs import frozen

from carecloud_async.bulk.compare import as_text, drop_if_held, holds
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
        body: the body, or the record for the batch endpoint.
    """

    body: Any = attrs.field(repr=False)


def decide(
    row: CheckedRow, found: Sequence[bytes], *, target: BulkTarget, key: Key | None, options: BulkWriteOptions
) -> RowResult | Plan:
    """Return what a row does to the records that were found for its key."""
    if len(found) > 1:
        return RowResult(outcome=Outcome.CONFLICT, reasons=(f"{_name(key)}: {len(found)} records have this key",))
    return _change(row, found[0], target, key, options) if found else _create(row, target, key, options)


def _create(row: CheckedRow, target: BulkTarget, key: Key | None, options: BulkWriteOptions) -> RowResult | Plan:
    if key is not None and options.mode == "update":
        return refused(f"{_name(key)}: no record has this key")
    if key is not None and key.by_id:
        return refused(f"{_name(key)}: no record has this id; the server gives ids itself")
    model = target.create_model
    if key is not None and model is not None and not target.can_set(key):
        return refused(f"{_name(key)}: no record has this key, and a new record cannot be given it")
    if model is None:
        return refused(f"{_name(key)}: no record has this key, and the API creates none here")
    reasons = [
        *(f"{path}: {reason}" for path, reason in row.faults.items()),
        *(f"{path}: {_UNKNOWN}" for path in row.opaque),
        *(f"{path}: required" for path in (*_missing(row.changes, model, ""), *_missing_beside(row, target))),
    ]
    if reasons:
        return refused(*reasons)
    if target.batch is not None:
        return Plan(kind="batch", body=dict(row.changes))
    return Plan(kind="create", body={"record": dict(row.changes), "beside": _nested(row, target)})


def _change(
    row: CheckedRow, record: bytes, target: BulkTarget, key: Key | None, options: BulkWriteOptions
) -> RowResult | Plan:
    base = msgspec.json.decode(record)
    record_id = _text(base.get(target.id_field)) if target.id_field else None
    if options.mode == "create":
        return RowResult(
            outcome=Outcome.CONFLICT, record_id=record_id, reasons=(f"{_name(key)}: a record has this key already",)
        )
    changes = dict(row.changes)
    if key is not None:
        normal = key.normal
        for path in key.paths:
            # The record may spell its key in another way, such as an e-mail address in lower case.
            drop_if_held(changes, base, path, lambda value: normal(str(value)))
    faults = [
        f"{path}: {reason}" for path, reason in row.faults.items() if not drop_if_held(changes, base, path, as_text)
    ]
    faults += [f"{path}: {_UNKNOWN}" for path, value in row.opaque.items() if not holds(base, path, value)]
    if faults:
        return attrs.evolve(refused(*faults), record_id=record_id)
    try:
        merged = target.merge(record, changes)
    except ValueError as error:
        return attrs.evolve(refused(str(error)), record_id=record_id)
    if not merged.changed:
        return RowResult(outcome=Outcome.UNCHANGED, record_id=record_id)
    if options.if_unchanged:
        conflict = _conflict(row, base, record_id, merged.changed)
        if conflict is not None:
            return conflict
    if target.update is not None and record_id:
        return Plan(kind="update", body=merged.body, record_id=record_id, changed=merged.changed, base=record)
    if target.writes.batch_updates and key is not None and target.can_set(key):
        body = {**_required(base, target.create_model), **changes}
        return Plan(kind="batch", body=body, record_id=record_id, changed=merged.changed, base=record)
    return RowResult(
        outcome=Outcome.REFUSED,
        record_id=record_id,
        changed_fields=merged.changed,
        reasons=("the record exists and differs, and the API has no way to change it",),
    )


def _conflict(
    row: CheckedRow, base: Mapping[str, Any], record_id: str | None, changed: tuple[str, ...]
) -> RowResult | None:
    if row.last_change is None:
        return refused("last_change: if_unchanged needs it in the row")
    now = _moment(base.get("last_change"))
    # A row without seconds tells no difference within its minute.
    if now is not None and row.last_change < now[: len(row.last_change)]:
        return RowResult(
            outcome=Outcome.CONFLICT,
            record_id=record_id,
            changed_fields=changed,
            reasons=("last_change: the record changed since the row was read",),
        )
    return None


def _moment(value: Any) -> str | None:
    """Return the server's time in the form that rows have; `None` for none, or a zero date."""
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError):
        return None


def _missing(values: Mapping[str, Any], model: Any, prefix: str) -> list[str]:
    """List the required fields that a new record lacks."""
    found = []
    for name, is_required, inner in _shape(model):
        value = values.get(name)
        if is_required and value is None:
            found += [f"{prefix}{name}"] if inner is None else _missing({}, inner, f"{prefix}{name}.")
        elif inner is not None and isinstance(value, Mapping):
            found += _missing(value, inner, f"{prefix}{name}.")
    return found


@typed_cache
def _shape(model: Any) -> tuple[tuple[str, bool, Any], ...]:
    """Return the fields that have to be looked at: name, whether it is required, and the model of an object."""
    names, types = api_names(model), field_types(model)
    found = []
    for one in attrs.fields(model):
        core = core_type(types[one.name])
        inner = core if is_model(core) else None
        if one.default is attrs.NOTHING or inner is not None:
            found.append((names[one.name], one.default is attrs.NOTHING, inner))
    return tuple(found)


def _required(record: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return the fields of a record that the batch endpoint wants in every row."""
    names = api_names(model)
    required = [names[one.name] for one in attrs.fields(model) if one.default is attrs.NOTHING]
    return {name: record[name] for name in required if record.get(name) is not None}


def _missing_beside(row: CheckedRow, target: BulkTarget) -> list[str]:
    return [name for name in target.writes.required_beside if not row.beside.get(name)]


def _nested(row: CheckedRow, target: BulkTarget) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in row.beside.items():
        *objects, last = target.writes.beside[name]
        within = made
        for part in objects:
            within = within.setdefault(part, {})
        within[last] = value
    return made


def _name(key: Key | None) -> str:
    return "row" if key is None else key.name


def _text(value: object) -> str | None:
    return None if value is None else str(value)
