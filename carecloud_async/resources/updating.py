"""Updates over PUT: read the record, merge the changes in, send it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, TypedDict, TypeVar, Unpack, cast

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
from carecloud_async.runtime.secret_text import conceal

__all__ = ["Updating"]

Changes = TypeVar("Changes", bound=Mapping[str, Any])
Record = TypeVar("Record", bound=Model)


class Merging(TypedDict, total=False):
    """How the changes and the record become the body of the PUT; arguments of a family's class."""

    model: str
    """The name of the input class that knows all names, if it is not the one that `replace` takes."""
    beside: Collection[str]
    """Names that stand beside the record in the PUT, and are sent only if they are in the changes."""
    key: str
    """The field that names a record in the list, where there is no `get`."""
    only: bool
    """Whether the PUT takes the fields of the input class and no others."""
    inside: Collection[str]
    """The path's ids that the API wants inside the record as well."""


class Updating(Resource, Generic[Changes, Record]):
    """A resource with `replace`, and `get` or `list` to read what it replaces.

    `class Cards(Updating["CardChanges", "Card"], call="cards")`; the further arguments are those of `Merging`.
    """

    _merging: ClassVar[Merging] = {}

    def __init_subclass__(cls, *, call: str = "", **merging: Unpack[Merging]) -> None:
        super().__init_subclass__(call=call)
        cls._merging = merging or cls._merging

    async def update(
        self, record_id: str, /, changes: Changes, *, if_unchanged: Record | None = None, allow_unknown: bool = False
    ) -> None:
        """Change what is named of a record and nothing else: a GET, then a PUT of the whole record.

        The record is read as the server has it (from the list, where it has no GET of its own) and sent back with the
        changes merged in: unknown fields are kept, read-only ones left out. Dicts merge deeply, lists are replaced
        whole, `None` sends null. Whoever changes the record between the two requests is overwritten: the API has no
        way to prevent it.

        Args:
            record_id: id of the record.
            changes: the new values, by the API's names.
            if_unchanged: the record as it was read; if it is another one now, nothing is sent.
            allow_unknown: let names by that the SDK does not know.

        Raises:
            ConflictError: the record differs from `if_unchanged`; nothing was sent.
            ConfigurationError: a name is unknown (the message has the nearest one) or read-only, or there is no such
                record in the list.
            NotFoundError: there is no such record.
        """
        changes = conceal(changes)
        how = self._merging
        if if_unchanged is not None and (not isinstance(if_unchanged, Model) or isinstance(if_unchanged, Input)):
            raise ConfigurationError("if_unchanged takes the record as get() or list() returned it")
        write = declared(type(self).replace)  # type: ignore[attr-defined]
        part = next(iter(write.signature.elsewhere))
        wanted: type[Input] = write.signature.model(how["model"]) if "model" in how else write.signature.hint(part)
        # What is wrong with the changes should show before anything is sent.
        merge_changes({}, changes, model=wanted, allow_unknown=allow_unknown)
        ids = {**self._bound, **dict.fromkeys(write.signature.in_path.values(), record_id)}
        key = how.get("key")
        record = await (self._find(record_id, key) if key else self._read(ids))
        if if_unchanged is not None:
            _require_unchanged(record, if_unchanged, write.operation)
        merged = merge_changes(record, changes, model=wanted, allow_unknown=allow_unknown)
        merged |= {name: ids[name] for name in how.get("inside", ())}
        more = {name: merged.pop(name) for name in how.get("beside", ()) if name in changes and name in merged}
        if how.get("only"):
            merged = _only(merged, {*api_names(wanted).values(), *changes})
        await self._call(write.operation, decode=no_content, path_params=ids, json={part: merged, **more})

    async def _read(self, ids: Mapping[str, str]) -> dict[str, Any]:
        read = _method(self, "get")
        # Past the cache: what is sent back must be the record as it is now.
        call = self._caller.fresh.call
        return cast("dict[str, Any]", await call(read.operation, decode=_object, path_params=ids))

    async def _find(self, record_id: str, key: str) -> dict[str, Any]:
        async for line in self.list().fresh().raw():  # type: ignore[attr-defined]
            record = conceal(load(line))
            if isinstance(record, dict) and record.get(key) == record_id:
                return cast("dict[str, Any]", record)
        raise ConfigurationError(f"{_method(self, 'list').operation.call} holds no record with this {key}")


def _method(resource: Resource, name: str) -> Declared:
    return declared(getattr(type(resource), name))


def _object(body: bytes) -> dict[str, Any]:
    record = conceal(codec.data(body))
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
