"""Compare the values of a row with those of a record.

Values of known fields are equal if the API treats them as equal (`1`, `"1"`, `true`). Values that cannot be converted,
and those of unknown fields, are equal only if their texts are (`as_text`). Keys are compared by `Key.form`.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Final

import attrs
import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model, typed_cache
from carecloud_async.bulk.spellings import ZERO_DATE, day_of

#: Amounts that differ by less are equal: servers keep two decimals, rounded or cut off.
_CENT: Final = Decimal("0.01")
#: A number of JSON as text.
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def changed_fields(record: Any, changes: Mapping[str, Any], model: Any, prefix: str = "") -> list[str]:
    """List the dotted fields of `changes` in which a record differs; `1`, `"1"` and `true` count as equal.

    A value of any kind, such as that of a property, is compared as a whole, since `merge` replaces it whole.

    Args:
        record: the record, without its read-only fields.
        changes: the fields that a row names.
        model: the input class of the record; `None` if that is not known.
        prefix: put before the names.
    """
    changed = []
    kinds = {} if model is None else kinds_of(model)
    for name, value in changes.items():
        now, kind = record.get(name) if isinstance(record, Mapping) else None, kinds.get(name, _UNKNOWN)
        if kind.is_any:
            is_same = is_same_value(now, value)
        elif isinstance(value, Mapping):
            changed += changed_fields(now, value, kind.model, f"{prefix}{name}.")
            continue
        else:
            is_same = _is_same(now, value, kind.element)
        if not is_same:
            changed.append(f"{prefix}{name}")
    return changed


@frozen(kw_only=True)
class _Kind:
    """The kind of value that a field holds.

    Attributes:
        is_any: whether it may be a value of any kind.
        model: the class of its object; `None` if it holds none.
        element: the class of the objects in its list; `None` if it holds no list of objects.
        is_required: whether a new object needs it.
    """

    is_any: bool = False
    model: Any = None
    element: Any = None
    is_required: bool = False


#: A field that the SDK does not know.
_UNKNOWN: Final = _Kind()


@typed_cache
def kinds_of(model: Any) -> Mapping[str, _Kind]:
    """Return the kinds of a model's fields: found once, since types are slow to take apart."""
    names, kinds = api_names(model), {}
    required = {names[field.name] for field in attrs.fields(model) if field.default is attrs.NOTHING}
    for name, core in core_types(model).items():
        element = core_type(element_type(core))
        kinds[name] = _Kind(
            is_any=core is Any or (typing.get_origin(core) is typing.Union and Any in typing.get_args(core)),
            model=core if is_model(core) else None,
            element=element if is_model(element) else None,
            is_required=name in required,
        )
    return kinds


def only_fields(changes: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> dict[str, Any]:
    """Return the part of `changes` that these dotted fields are in."""
    made: dict[str, Any] = {}
    for name, value in changes.items():
        path = f"{prefix}{name}"
        if path in names:
            made[name] = value
        elif isinstance(value, Mapping) and any(name.startswith(f"{path}.") for name in names):
            made[name] = only_fields(value, names, f"{path}.")
    return made


def known_elements(record: Any, model: Any) -> Any:
    """Return a record without the unknown fields of the elements of its lists.

    A list is replaced whole, and formats such as Parquet do not hold the unknown fields. A row that repeats the known
    fields counts as unchanged.
    """
    if not isinstance(record, Mapping):
        return record
    made = dict(record)
    for name, kind in kinds_of(model).items():
        if name not in made:
            continue
        if kind.model is not None:
            made[name] = known_elements(made[name], kind.model)
        elif kind.element is not None and isinstance(made[name], list):
            known = set(api_names(kind.element).values())
            made[name] = [
                {inner_name: value for inner_name, value in item.items() if inner_name in known}
                if isinstance(item, Mapping)
                else item
                for item in made[name]
            ]
    return made


def drop_if_equal(changes: dict[str, Any], base: Any, path: str, normal: Callable[[Any], str]) -> bool:
    """Remove from `changes` a change that would write the value already there; return whether it was removed.

    Args:
        changes: the changes; edited.
        base: the record.
        path: the dotted field.
        normal: brings a value into the form in which values are compared.
    """
    now, given = value_at(base, path), value_at(changes, path)
    if now is None or given is None or normal(now) != normal(given):
        return False
    *objects, name = path.split(".")
    parent = changes
    for part in objects:
        copy = dict(parent[part])  # the row keeps its own
        parent[part] = copy
        parent = copy
    del parent[name]
    return True


def has_value(base: Any, path: str, value: Any) -> bool:
    """Return whether a record has a value in a dotted field."""
    now = value_at(base, path)
    return as_text(now) == as_text(value) or _is_spelled(now, value)


def value_at(record: Any, path: str) -> Any:
    """Return the value of a dotted field; `None` if the record has none."""
    for part in path.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record


def digests(record: Any, paths: Iterable[str]) -> dict[str, str]:
    """Return digests of the values of dotted fields, by which a later look sees whether they are still the same."""
    return {path: digest(value_at(record, path)) for path in paths}


def digest(value: Any) -> str:
    """Return a digest of a value of a record."""
    return blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=8).hexdigest()


def is_same_value(now: Any, value: Any) -> bool:
    """Return whether the value of a property is the one of a row, whose cells are texts: `true` is true."""
    if isinstance(now, (list, dict)):
        value = _parsed(value)
    elif isinstance(value, (list, dict)):  # of a cell, where the record has a text
        now = _parsed(now)
    if isinstance(now, str) and isinstance(value, str) and day_of(now) == day_of(value):
        return True  # days of rows are written as `YYYY-MM-DD`
    given = as_text(value)
    return _is_same(now, value) or as_text(now) == (given.casefold() if isinstance(now, bool) else given)


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _is_same(now: Any, value: Any, element: Any = None) -> bool:
    """Compare two values; of lists of objects, `element` is the input class of their elements."""
    if now == value:
        return True
    if value is None or now is None:
        return value is None and _is_nothing(now)
    if isinstance(value, Mapping):
        return isinstance(now, Mapping) and all(_is_same(now.get(name), value.get(name)) for name in {**now, **value})
    if isinstance(value, (list, tuple)):
        return isinstance(now, list) and _is_same_list(now, value, element)
    if isinstance(now, (Mapping, list)):
        return False
    return _scalar_text(now) == _scalar_text(value) or _is_spelled(now, value)


def _is_nothing(now: Any) -> bool:
    """Return whether a value of a record stands for none, as untidy data has it: an empty text or a zero date."""
    return isinstance(now, str) and (not now or ZERO_DATE.fullmatch(now) is not None)


def _is_same_list(now: Sequence[Any], value: Sequence[Any], element: Any) -> bool:
    if len(now) != len(value):
        return False
    return all(_is_same_element(old, new, element) for old, new in zip(now, value, strict=True))


def _is_same_element(old: Any, new: Any, element: Any) -> bool:
    if not isinstance(new, Mapping):
        return _is_same(old, new)
    if not isinstance(old, Mapping):
        return False
    # A list is replaced whole: fields that an element omits would be deleted.
    omits = any(value is not None for name, value in old.items() if name not in new)
    return not omits and not changed_fields(old, new, element)


def _is_spelled(now: Any, value: Any) -> bool:
    """Return whether one of two values is a text that spells the other, a number.

    Servers write decimals as texts (`"1.50"`), and cells of CSV exports have the server's digits: `1.50`, `1,50`. A
    comma that separates thousands makes another number.
    """
    if isinstance(now, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _NUMBER.fullmatch(now) is not None and as_decimal(now) == as_decimal(value)
    if not (isinstance(now, float) and isinstance(value, str)):
        return False
    digits = value if "." in value else value.replace(",", ".", 1)
    return _NUMBER.fullmatch(digits) is not None and float(digits) == now


def _scalar_text(value: Any) -> str:
    """Return a scalar as text for comparing: `1`, `"1"` and `true` count as equal, since the API mixes them."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


def as_decimal(value: Any) -> Decimal | None:
    """Return an amount that is a number or a text, with a decimal point or comma; `None` if it is none."""
    try:
        number = Decimal(str(value).strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def is_same_amount(shown: Any, sent: Any, *, has_sign: bool = True) -> bool:
    """Return whether two amounts differ by less than a cent.

    Args:
        shown: the amount in a record.
        sent: the amount that was sent.
        has_sign: whether the record shows amounts with their signs.
    """
    now, given = as_decimal(shown), as_decimal(sent)
    if now is None or given is None:
        return False
    return abs(now - given if has_sign else abs(now) - abs(given)) < _CENT


def as_text(value: Any) -> str:
    """Return a value as text; what is no text as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
