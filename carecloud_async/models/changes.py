"""Changes named by a user, merged into a record as the server has it: what `update` sends back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs

from carecloud_async._base.codec.fields import (
    UNSET,
    api_names,
    core_types,
    element_type,
    is_model,
    meant_field,
    typed_cache,
)
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Input, Model
from carecloud_async.models.input_fields import keepers
from carecloud_async.models.read_only import read_only_names, without_read_only

__all__ = ["merge_changes"]


def merge_changes(
    record: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    model: type[Input],
    allow_unknown: bool = False,
    leaf: Callable[[Any], Any] = copy.deepcopy,
) -> dict[str, Any]:
    """Merge changes into a record, without its read-only fields.

    Objects merge deeply, lists are replaced whole, `None` becomes null, `UNSET` changes nothing. Unknown fields of the
    record are kept. Neither argument is changed, and nothing in the result is shared with them.

    Args:
        record: the record as the server has it, plain JSON values. Values that no change names may be of any type.
        changes: the parts to change; nested dicts or input models.
        model: the input class of the record.
        allow_unknown: accept names that the model does not know.
        leaf: converts a value of the changes that is not merged further.

    Returns:
        plain values, except dates and input models inside lists, which the codec writes.

    Raises:
        ConfigurationError: a name is unknown or read-only, or a value is of another type; values are never quoted.
    """
    base = copy.deepcopy(dict(record))
    if model.reads is not None:
        base = without_read_only(base, model.reads)
    return _Merge(allow_unknown=allow_unknown, leaf=leaf).into_object(base, changes, model, "")


@attrs.frozen(kw_only=True)
class _Merge:
    allow_unknown: bool
    leaf: Callable[[Any], Any]

    def into_object(self, base: Any, changes: Any, model: type[Input], path: str) -> dict[str, Any]:
        merged = dict(base) if isinstance(base, dict) else {}
        types, keep = core_types(model), _keepers(model)
        for name, change in _named(changes, path):
            where = f"{path}.{name}" if path else str(name)
            self.check(name, model, where)
            kept = keep[name](change) if name in keep else change
            merged[name] = self.value(merged.get(name), kept, types.get(name, Any), where)
        return merged

    def check(self, name: Any, model: type[Input], where: str) -> None:
        known = core_types(model)
        if name in known:
            return
        if model.reads is not None and name in read_only_names(model.reads):
            raise ConfigurationError(f"{where} is read-only: the server alone writes it")
        if not self.allow_unknown:
            parent = where.rpartition(".")[0]
            hint = meant_field(str(name), model, within=f"{parent}." if parent else "")
            raise ConfigurationError(f"{where} is not a field of this record{hint}")

    def value(self, base: Any, change: Any, hint: Any, where: str) -> Any:
        if change is None:
            return self.leaf(None)
        if _is_input(hint):
            return self.into_object(base, change, hint, where)
        element = element_type(hint)
        if element is not None and _is_input(element):
            return self.leaf(self.whole_list(change, element, where))
        if isinstance(change, Model):
            raise ConfigurationError(f"{where} is a read model: name the changed fields in a dict instead")
        return self.leaf(change)

    def whole_list(self, change: Iterable[Any], model: type[Input], where: str) -> list[Any]:
        # Changes are merged twice, and a generator would be empty the second time.
        if not isinstance(change, Collection):
            raise ConfigurationError(f"{where} takes a list")
        return [self.into_object({}, item, model, f"{where}[{index}]") for index, item in enumerate(change)]


def _named(changes: Any, path: str) -> list[tuple[Any, Any]]:
    """List the names that `changes` sets, whether it is a dict or an input model."""
    if isinstance(changes, Mapping):
        items: Iterable[tuple[Any, Any]] = changes.items()
    elif isinstance(changes, Input):
        items = ((name, getattr(changes, field)) for field, name in api_names(type(changes)).items())
    elif isinstance(changes, Model):
        raise ConfigurationError(f"{path or 'changes'} is a read model: name the changed fields in a dict instead")
    else:
        raise ConfigurationError(f"{path or 'changes'} takes a dict of the fields to change")
    return [(name, conceal(value)) for name, value in items if value is not UNSET]


@typed_cache
def _keepers(model: Any) -> dict[str, Callable[[Any], Any]]:
    names = api_names(model)
    return {names[field]: keep for field, keep in keepers(model).items()}


def _is_input(hint: Any) -> bool:
    return is_model(hint) and issubclass(hint, Input)
