"""Make entries of calls: what is put is checked at once, so that a mistake is the caller's error."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from attrs import frozen

from carecloud_async._base.codec.fields import core_type, is_model
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.codec.write import unstructure
from carecloud_async._calls.call.caller import Caller
from carecloud_async.bulk.check import RowChecker
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.convert import Converter
from carecloud_async.bulk.decide import missing_fields
from carecloud_async.bulk.errors import ConversionError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.rows import CheckedRow, pack
from carecloud_async.bulk.sources.source import row_of
from carecloud_async.fixes import Fix
from carecloud_async.models.base import Input
from carecloud_async.outbox.errors import NotForOutboxError
from carecloud_async.outbox.family import CallFamily, CallKind
from carecloud_async.outbox.kinds import KINDS
from carecloud_async.outbox.queue import NewEntry
from carecloud_async.resources.declare import Declared, Resource, declared
from carecloud_async.resources.families import Families
from carecloud_async.resources.updating import Updating

__all__ = ["Entries", "Target"]

_NO_METHOD: Final = "put takes a method of the client and its arguments: put(client.purchases.send_purchase, bill, …)"
_UPDATE: Final = "update "
_GIVE_REFERENCE: Final = Fix(
    "give {reference}, such as the bill's number, which finds them again in the customer's history"
)
_NO_REFERENCE: Final = Fix("leave {reference} out")


@frozen(kw_only=True)
class Target:
    """Where the entries of one kind are written.

    Attributes:
        key: the key that finds what an entry has made, or the record that it changes.
        options: the options of the engine.
    """

    family: Family
    key: Key
    options: BulkWriteOptions


@frozen(kw_only=True)
class _ExactConverter(Converter):
    """Converts arguments of a program, where a text is no number and a number no text, as they may be in a file.

    `10.0` becomes `10`, as `Decimal(10)` does, so that the same call has the same body.
    """

    def convert(self, value: Any, hint: Any, *, enumeration: str | None = None) -> Any:
        """See `Converter.convert`."""
        made = super().convert(value, hint, enumeration=enumeration)
        takes_any = Any in typing.get_args(core_type(hint))
        if not takes_any and not isinstance(value, Decimal) and isinstance(made, str) != isinstance(value, str):
            raise ConversionError("not a text" if isinstance(made, str) else "a text, where the API takes none")
        return int(made) if isinstance(made, float) and made.is_integer() else made


class Entries:
    """Makes entries of the calls of one client, and knows where each is written.

    Args:
        caller: makes the calls.
        concurrency: requests under way at once.
    """

    def __init__(self, caller: Caller, *, concurrency: int) -> None:
        self._caller = caller
        self._concurrency = concurrency
        self._targets: dict[str, Target] = {}

    def target(self, kind: str) -> Target:
        """Return where the entries of a kind are written.

        Raises:
            NotForOutboxError: another version of this package put it, which knew more kinds.
        """
        if kind not in self._targets:
            self._targets[kind] = self._make_target(kind)
        return self._targets[kind]

    def claim(self, kind: str, key: str) -> str | None:
        """Return what is claimed before the key of an entry is looked up; `None` if its kind is not known."""
        try:
            target = self.target(kind)
        except NotForOutboxError:
            return None
        return target.key.claim(target.family.facts.family, key)

    def _make_target(self, kind: str) -> Target:
        if kind.startswith(_UPDATE):
            resource: type[Updating[Any, Any]] = getattr(Families, kind.removeprefix(_UPDATE)).resource
            family = resource(self._caller)._as_family()
            key = _id_key(family)
            mode: Any = "update"
        else:
            call_kind = next((known for known in KINDS if known.name == kind), None)
            if call_kind is None:
                raise NotForOutboxError(f"this version of carecloud-async cannot send {kind}: use a newer one")
            calls = CallFamily(call_kind, self._caller)
            family, key, mode = calls, calls.key, "upsert"
        options = BulkWriteOptions(match=key.name, mode=mode, concurrency=self._concurrency)
        return Target(family=family, key=key, options=options)

    def make(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], reference: str | None) -> NewEntry:
        """Make the entry of a call.

        Args:
            method: a method of this client.
            args: its arguments; the record, such as the bill, may come first without its name.
            kwargs: those with a name.
            reference: the key, for calls that have none of their own.

        Raises:
            NotForOutboxError: the call cannot be looked up afterwards.
            ConfigurationError: an argument is of the wrong type, or the key is missing.
            InterfaceError: the identity may not make the call.
            TypeError: the arguments do not fit the method.
        """
        resource = getattr(method, "__self__", None)
        if not isinstance(resource, Resource) or not callable(method):
            raise NotForOutboxError(_NO_METHOD)
        if resource._caller.context is not self._caller.context or resource._caller.tokens is not self._caller.tokens:
            raise NotForOutboxError("put takes methods of the client (and identity) that the outbox was made with")
        if isinstance(resource, Updating) and method.__name__ == "update":
            return self._update(resource, args, kwargs, reference)
        called = declared(method) if hasattr(method, "declared") else None
        kinds = [] if called is None else [kind for kind in KINDS if declared(kind.method) is called]
        if called is None or not kinds:
            raise NotForOutboxError(_why_not(type(resource), method))
        self._caller.require(called.operation)
        has_record = bool(args) and len(called.inputs) == 1 and isinstance(args[0], (Input, Mapping))
        if has_record and not called.signature.positional:
            kwargs = {_argument(called): args[0], **kwargs}
            args = args[1:]
        path, _, body = called.bind(resource, args, dict(kwargs))
        return self._call(kinds, called, dict(path), body or {}, reference)

    def _call(
        self, kinds: list[CallKind], method: Declared, path: Mapping[str, Any], given: JsonObject, reference: str | None
    ) -> NewEntry:
        if kinds[0].takes_reference != (reference is not None):
            call = method.operation.call
            if kinds[0].takes_reference:
                raise NotForOutboxError(f"{call} needs a key, as the API gives its records none", fix=_GIVE_REFERENCE)
            raise NotForOutboxError(f"{call} takes no other key: its records have one", fix=_NO_REFERENCE)
        body = self._checked(method, given, kinds[0].unseen)
        kinds[0].prepare(body, reference)
        for kind in kinds:
            values = kind.key_of(body, reference)
            key = self.target(kind.name).key
            if all(value is not None and key.normal(value) for value in values):
                return self._entry(kind, key, tuple(map(str, values)), path, body)
        names = " or ".join(kind.key for kind in kinds)
        raise NotForOutboxError(
            f"{method.operation.call} needs {names}: without a key nothing shows whether it was made"
        )

    def _entry(
        self, kind: CallKind, key: Key, values: tuple[str, ...], path: Mapping[str, Any], body: JsonObject
    ) -> NewEntry:
        text = key.text(values)
        call = kind.name.partition(" ")[0]
        follows = kind.follows(body)
        return NewEntry(
            kind=kind.name,
            key=text,
            once=self._once(kind, text),
            lane=kind.lane(body) or self._once(kind, key.text(follows or values)),
            follows=None if follows is None else self._once(kind, key.text(follows)),
            label=f"{call} {values[-1]}" if kind.names_key else call,
            body=pack(CheckedRow(key=values, changes={"path": dict(path), "body": body})),
        )

    def _once(self, kind: CallKind, text: str) -> str:
        return f"{kind.claimed_as} {kind.key} {text}"

    def _checked(self, method: Declared, given: JsonObject, unseen: Sequence[str]) -> dict[str, Any]:
        """Return a body as the API takes it, each value of the type that its field has.

        Args:
            method: the method.
            given: its arguments.
            unseen: those that it must not have.
        """
        zone = self._caller.context.project.timezone
        converter = _ExactConverter(timezone=zone, textual=False)
        plain: dict[str, Any] = unstructure(given, zone=zone)
        made: dict[str, Any] = {}
        missing: list[str] = []
        for argument, place in method.signature.outside_path.items():
            value = plain.get(place)
            if value is None:
                missing += [place] if argument in method.signature.required else []
                continue
            if place in unseen:
                if value is not False:
                    raise NotForOutboxError(f"an outbox cannot send {place}: nothing shows afterwards if it was set")
                continue
            hint = method.signature.hint(argument)
            made[place] = _converted(converter, value, hint, place)
            if is_model(core_type(hint)):
                missing += missing_fields(made[place], core_type(hint), f"{place}.")
        if missing:
            raise NotForOutboxError(f"{method.operation.call} needs {', '.join(missing)}: None is no value of it")
        return made

    def _update(
        self, resource: Updating[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], reference: str | None
    ) -> NewEntry:
        call = declared(type(resource).replace).operation.call.rpartition(".")[0]  # type: ignore[attr-defined]
        if resource._bound:
            raise NotForOutboxError(f"an outbox does not send {call}.update yet: it belongs to another record")
        if reference is not None or kwargs.keys() - {"changes"} or len(args) + len(kwargs) != 2:
            raise NotForOutboxError(f"put(client.{call}.update, id, changes) takes no other arguments")
        target = self.target(_UPDATE + call)
        record_id, changes = args[0], kwargs.get("changes", args[-1])
        if not isinstance(record_id, str) or not record_id.strip() or not isinstance(changes, Mapping):
            raise NotForOutboxError(f"put(client.{call}.update, id, changes) takes a text and a mapping")
        self._caller.require(declared(type(resource).replace).operation)  # type: ignore[attr-defined]
        family, key = target.family, target.key
        columns = Columns(family, renamed={}, ignored=())
        # the fix of a value names settings of bulk writes, which `put` does not have
        checker = RowChecker(family, columns, key=key, options=target.options, reason=attrgetter("problem"))
        try:
            loaded = checker.check(row_of({**changes, key.name: record_id}))
        except UnknownColumnError as error:
            field = error.problem.removeprefix("the column ")
            raise NotForOutboxError(f"put(client.{call}.update, id, changes): {field}") from None
        checked = loaded.checked
        reasons = [*checked.refused, *(f"{path}: {why}" for path, why in checked.faults.items())]
        reasons += [f"{path}: not a field of the record" for path in (*checked.parts, *checked.create_fields)]
        if reasons or loaded.key is None:
            raise NotForOutboxError("; ".join(reasons) or f"{key.name}: missing")
        lane = f"customer {record_id.casefold()}" if call == "customers" else f"{call} {record_id.casefold()}"
        label = f"{call}.update {record_id}"
        return NewEntry(kind=_UPDATE + call, key=loaded.key, lane=lane, label=label, body=pack(checked))


def _id_key(family: Family) -> Key:
    key = next((key for key in family.facts.writes.keys if key.by_id), None)
    if key is None:
        raise NotForOutboxError(
            f"{family.facts.name} cannot be updated from an outbox: nothing finds a record by its id"
        )
    return key


def _argument(method: Declared) -> str:
    """Return the name of the argument that is the record."""
    ((place, _),) = method.inputs
    return next(name for name, other in method.signature.outside_path.items() if other == place)


def _converted(converter: Converter, value: Any, hint: Any, place: str) -> Any:
    """Return a value in the form of its field; the message of an error names the field.

    Raises:
        NotForOutboxError: it is of another kind.
    """
    try:
        return converter.convert(value, hint)
    except ConversionError as error:
        raise NotForOutboxError(f"{place}: {error.problem}") from None


def _why_not(family: type[Resource], method: Any) -> str:
    """Say why no outbox sends a method, and what it sends."""
    name = method.__name__
    called = declared(method) if hasattr(method, "declared") else None
    call = name if called is None else called.operation.call
    if called is not None and called.operation.safe_to_repeat and called.operation.method == "GET":
        return f"{call} only reads: an outbox sends writes"
    if name == "replace" and issubclass(family, Updating):
        return f"{call} would undo what others wrote while it waited: put update() with the fields that change"
    known = ", ".join(dict.fromkeys(kind.name.partition(" ")[0] for kind in KINDS))
    return (
        f"{call} cannot wait in an outbox: after a lost answer nothing shows whether it was done. "
        f"An outbox sends {known}, and update of a family"
    )
