"""Decide what a row does: create a record, change one, or nothing; or why it is refused or in conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from carecloud_async._base.codec.fields import typed_cache
from carecloud_async.bulk.compare import as_text, digests, drop_if_equal, has_value, kinds_of, value_at
from carecloud_async.bulk.family import Family, FamilyFacts, Key, normal_phone
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import CheckedRow, Plan
from carecloud_async.bulk.spellings import lacks_only_prefix, phone_paths

_UNKNOWN = "a field that the SDK does not know cannot be changed"
_ONLY_NEW = "the record has another one, and the API has no way to change it"


def decide(
    row: CheckedRow,
    records: Sequence[bytes],
    *,
    family: Family,
    key: Key | None,
    options: BulkWriteOptions,
    read_at: float = 0.0,
) -> RowResult | Plan:
    """Return what a row does to the records that were found for its key; `read_at` is when, see `Plan`."""
    try:
        records = family.matching(row, records)
    except ValueError as error:
        return refused(str(error))
    if not records:
        return _create(row, family, key, options, read_at)
    assert key is not None  # noqa: S101  (records are found by keys)
    if len(records) > 1:
        return RowResult(outcome=Outcome.CONFLICT, reasons=(f"{key.name}: {len(records)} records have this key",))
    return _change(row, records[0], family, key, options, read_at)


def _create(
    row: CheckedRow, family: Family, key: Key | None, options: BulkWriteOptions, read_at: float
) -> RowResult | Plan:
    facts = family.facts
    if key is not None:
        if options.mode == "update":
            return refused(f"{key.name}: no record has this key")
        if key.by_id:
            return refused(f"{key.name}: no record has this id; the server gives ids itself")
        if facts.create_model is None:
            return refused(f"{key.name}: no record has this key, and the API creates none here")
        if not facts.can_set(key):
            return refused(f"{key.name}: no record has this key, and a new record cannot be given it")
    record = _joined(row.defaults, row.changes)
    missing = missing_fields(record, facts.create_model, "")
    missing += [name for name in facts.writes.required_create_fields if not row.create_fields.get(name)]
    reasons = [
        *(f"{path}: {reason}" for path, reason in row.faults.items()),
        *(f"{path}: {_UNKNOWN}" for path in row.unknown),
        *(f"{path}: required" for path in missing),
    ]
    if reasons:
        return refused(*reasons)
    if family.batch is not None:
        return Plan(kind="batch", body=record, read_at=_of_batch(key, read_at))
    return Plan(kind="create", body=record, create_fields=_nested(row, facts), read_at=read_at)


def _change(
    row: CheckedRow, record: bytes, family: Family, key: Key, options: BulkWriteOptions, read_at: float
) -> RowResult | Plan:
    facts = family.facts
    base = msgspec.json.decode(record)
    record_id = facts.id_of(base)
    result = partial(RowResult, record_id=record_id)
    if options.mode == "create":
        return result(outcome=Outcome.CONFLICT, reasons=(f"{key.name}: a record has this key already",))
    if facts.id_field is not None and not record_id:
        return refused(f"{key.name}: the record with this key has no id")
    changes = dict(row.changes)
    for number, path in enumerate(key.paths):
        # The record may spell its key in another way, such as an e-mail address in lower case.
        drop_if_equal(changes, base, path, partial(key.form, number))
    for path in row.faults:
        drop_if_equal(changes, base, path, as_text)
    drop_same_phones(changes, base, facts)
    # The record's own value is no fault of its row, nor is a default of a known record.
    faults = {
        path: why
        for path, why in row.faults.items()
        if value_at(row.defaults, path) is None and not _is_dropped(path, row.changes, changes)
    }
    faults |= {path: _UNKNOWN for path, value in row.unknown.items() if not has_value(base, path, value)}
    faults |= dict.fromkeys(_given_anew(changes, base, facts.writes.only_new), _ONLY_NEW)
    if faults:
        return result(outcome=Outcome.REFUSED, reasons=tuple(f"{path}: {why}" for path, why in faults.items()))
    try:
        merged = family.merge(record, changes)
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
    before = digests(base, merged.changed)
    plan = partial(Plan, record_id=record_id, changed=merged.changed, base=before, is_new=False)
    if family.update is not None and record_id:
        return plan(kind="update", body=merged.body, read_at=read_at)
    if facts.writes.batch_updates and family.batch is not None and facts.can_set(key):
        # The endpoint finds its record by the key, so that the key is sent also where it is equal.
        keys = {path: value for path in key.paths if (value := value_at(row.changes, path)) is not None}
        body = {**_required(base, facts.create_model), **_with_paths(changes, keys)}
        return plan(kind="batch", body=body, read_at=_of_batch(key, read_at))
    reason = "the record exists and differs, and the API has no way to change it"
    return result(outcome=Outcome.REFUSED, reasons=(reason,))


def _of_batch(key: Key | None, read_at: float) -> float:
    """Return when a batch was looked up: 0 by a list, whose reading may take long. A batch replaces no record."""
    return 0.0 if key is not None and key.needs_list else read_at


def _given_anew(changes: dict[str, Any], base: Any, only_new: Mapping[str, str]) -> list[str]:
    """Remove from `changes` the fields that only a new record takes, and return those of which the record has another.

    What the record does not show counts as equal.
    """
    given = {name: changes.pop(name) for name in only_new if name in changes}
    shown = {name: value_at(base, only_new[name]) for name in given}
    return [
        name for name, value in given.items() if shown[name] and str(shown[name]).casefold() != str(value).casefold()
    ]


def _is_dropped(path: str, given: Any, changes: Any) -> bool:
    return value_at(given, path) is not None and value_at(changes, path) is None


def drop_same_phones(changes: dict[str, Any], base: Any, facts: FamilyFacts) -> None:
    """Remove from `changes` the phone numbers that are those of the record, spelled in another way."""
    for path in phone_paths(facts.create_model or facts.update_model):
        drop_if_equal(changes, base, path, partial(_spelled_as, normal_phone(str(value_at(base, path)))))


def _spelled_as(known: str, value: Any) -> str:
    """Return the digits of a phone number: those of the record if it is the record's number without its prefix."""
    digits = normal_phone(str(value))
    return known if lacks_only_prefix(digits, known) else digits


def _is_newer(last_change: Any, than: str) -> bool:
    """Return whether the server's `last_change` is newer than a row's, which is compared to the minute without seconds.

    A record without a time, or with a zero date, is not newer.
    """
    try:
        changed_at = f"{datetime.fromisoformat(last_change):%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError):
        return False
    return than < changed_at[: len(than)]


def missing_fields(values: Mapping[str, Any], model: Any, prefix: str) -> list[str]:
    """List the required fields that a new record lacks."""
    missing = []
    for name, kind in _kinds_with_required(model):
        value = values.get(name)
        if kind.is_required and value is None:
            missing += [f"{prefix}{name}"] if kind.model is None else missing_fields({}, kind.model, f"{prefix}{name}.")
        elif kind.model is not None and isinstance(value, Mapping):
            missing += missing_fields(value, kind.model, f"{prefix}{name}.")
        elif kind.element is not None:
            for number, item in enumerate(value if isinstance(value, (list, tuple)) else (), 1):
                if item is None or isinstance(item, Mapping):  # another kind of value is a fault of its row already
                    missing += missing_fields(item or {}, kind.element, f"{prefix}{name}: item {number}: ")
    return missing


@typed_cache
def _kinds_with_required(model: Any) -> Sequence[tuple[str, Any]]:
    """Return the fields of a model that are required, or may have required fields in them."""
    kinds = kinds_of(model).items()
    return [(name, kind) for name, kind in kinds if kind.is_required or kind.model or kind.element]


def _required(record: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return the fields of a record that the batch endpoint requires in every row."""
    required = [name for name, kind in kinds_of(model).items() if kind.is_required]
    return {name: record[name] for name in required if record.get(name) is not None}


def _joined(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new record: those of its row, and the defaults for what it does not name."""
    made = {**defaults, **changes}
    for name, value in changes.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            made[name] = _joined(default, value)
    return made


def _with_paths(changes: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with values of dotted fields."""
    made = dict(changes)
    for path, value in values.items():
        *objects, name = path.split(".")
        parent = made
        for part in objects:
            parent[part] = dict(parent.get(part) or {})
            parent = parent[part]
        parent[name] = value
    return made


def _nested(row: CheckedRow, facts: FamilyFacts) -> dict[str, Any]:
    """Return the fields that a create sends next to the record, as they stand in its body."""
    paths = {".".join(facts.writes.create_fields[name]): value for name, value in row.create_fields.items()}
    return _with_paths({}, paths)
