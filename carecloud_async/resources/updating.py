"""Updates over PUT: read the record, merge the changes in, send it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar, cast

import attrs

from carecloud_async import codec
from carecloud_async.calls.operation import Operation
from carecloud_async.codec.fields import api_names
from carecloud_async.codec.repair import load
from carecloud_async.errors import ConfigurationError, ConflictError
from carecloud_async.models.base import Input, Model
from carecloud_async.models.changes import merge_changes
from carecloud_async.resources.answers import no_content
from carecloud_async.resources.declare import Declared, Resource, declared

__all__ = ["Updating"]

M = TypeVar("M", bound=Model)


class Updating(Resource):
    """A resource with `replace`, and `get` or `list` to read what it replaces."""

    async def _update(
        self,
        item_id: str,
        changes: Mapping[str, Any],
        *,
        model: type[Input] | None = None,
        beside: Collection[str] = (),
        key: str | None = None,
        only: bool = False,
        inside: Collection[str] = (),
        if_unchanged: Model | None = None,
        allow_unknown: bool = False,
    ) -> None:
        """Merge changes into a record: read-only fields are left out, unknown ones are kept.

        Args:
            item_id: the record.
            changes: what to change.
            model: the input class that knows all names, if it is not the one that `replace` takes.
            beside: names that stand beside the record in the PUT, and are sent only if they are in `changes`.
            key: the field that names a record in the list, where there is no `get`.
            only: whether the PUT takes the fields of the input class and no others.
            inside: the path's ids that the API wants inside the record as well.
            if_unchanged: the record as it was read; the update fails if it is another one now.
            allow_unknown: let names by that the SDK does not know.

        Raises:
            ConflictError: the record is not the one of `if_unchanged`; nothing was sent.
            ConfigurationError: a name is unknown or read-only, or no such record is in the list.
        """
        if if_unchanged is not None and (not isinstance(if_unchanged, Model) or isinstance(if_unchanged, Input)):
            raise ConfigurationError("if_unchanged takes the record as get() or list() returned it")
        write = declared(type(self).replace)  # type: ignore[attr-defined]
        part = next(iter(write.signature.elsewhere))
        wanted: type[Input] = model or write.signature.hint(part)
        # What is wrong with the changes should show before anything is sent.
        merge_changes({}, changes, model=wanted, allow_unknown=allow_unknown)
        ids = {**self._bound, **dict.fromkeys(write.signature.in_path.values(), item_id)}
        record = await (self._find(item_id, key) if key else self._read(ids))
        if if_unchanged is not None:
            _require_unchanged(record, if_unchanged, write.operation)
        merged = merge_changes(record, changes, model=wanted, allow_unknown=allow_unknown)
        merged |= {name: ids[name] for name in inside}
        more = {name: merged.pop(name) for name in beside if name in changes and name in merged}
        if only:
            merged = _only(merged, {*api_names(wanted).values(), *changes})
        await self._call(write.operation, decode=no_content, path_params=ids, json={part: merged, **more})

    async def _read(self, ids: Mapping[str, str]) -> dict[str, Any]:
        read = _method(self, "get")
        return cast("dict[str, Any]", await self._call(read.operation, decode=_object, path_params=ids))

    async def _find(self, item_id: str, key: str) -> dict[str, Any]:
        async for line in self.list().raw():  # type: ignore[attr-defined]
            record = load(line)
            if isinstance(record, dict) and record.get(key) == item_id:
                return cast("dict[str, Any]", record)
        raise ConfigurationError(f"{_method(self, 'list').operation.call} holds no record with this {key}")


def _method(resource: Resource, name: str) -> Declared:
    return declared(getattr(type(resource), name))


def _object(body: bytes) -> dict[str, Any]:
    record = codec.data(body)
    if not isinstance(record, dict):
        raise codec.Malformed("data is not an object")
    return cast("dict[str, Any]", record)


def _only(record: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name in names}


def _require_unchanged(record: Mapping[str, Any], before: Model, operation: Operation) -> None:
    now = codec.structure(record, type(before))
    if now == before:
        return
    fields = tuple(_differences(now, before, ""))
    raise ConflictError(
        f"{operation.title}: the record changed since it was read ({', '.join(fields)}); nothing was sent. "
        "Read it again and decide anew",
        fields=fields,
    )


def _differences(now: Model, before: Model, prefix: str) -> list[str]:
    found = []
    for field, name in api_names(type(now)).items():
        new, old = getattr(now, field), getattr(before, field)
        if new == old:
            continue
        nested = attrs.has(type(new)) and type(new) is type(old)
        found += _differences(new, old, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]
    return found
