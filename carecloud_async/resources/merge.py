"""Changes merged into a record as the server wrote it: the body of an update's PUT, and which fields it changes.

Nothing here touches the network: bulk writes use it with records that they read in lists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import tzinfo
from functools import partial
from typing import Any, TypeAlias

from attrs import field, frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import (
    UNSET,
    api_names,
    core_type,
    core_types,
    element_type,
    is_model,
    meant_field,
    typed_cache,
)
from carecloud_async._base.codec.json_text import NULL, RawJson, elements, exact, members
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Input, Model
from carecloud_async.models.input_fields import keepers
from carecloud_async.models.read_only import read_only_names

#: A record as nested mappings: an object that a model knows is a mapping, any other value the server's JSON.
Tree: TypeAlias = Mapping[str, Any]

#: What servers write in place of an object that is empty.
_EMPTY = frozenset({NULL, RawJson(b"[]"), RawJson(b'""')})


@frozen(kw_only=True)
class MergeRules:
    """How one family's records and changes become the body of its PUT; see `Updating._merge_rules`.

    Attributes:
        part: the name of the record in the body.
        model: the input class that knows the fields of record and changes.
        extra_fields: fields of the body next to the record; they are never read back and are sent only if named.
        ids_in_record: ids of the path that the record repeats.
        required_objects: objects that every record has.
        superseded: object → its old field and its new one: the API ignores the old one if the new one is sent.
    """

    part: str
    model: type[Input]
    extra_fields: Collection[str] = ()
    ids_in_record: Collection[str] = ()
    required_objects: Collection[str] = ()
    superseded: Mapping[str, tuple[str, str]] = field(factory=dict)


@frozen(kw_only=True, repr=False)
class MergedRecord:
    """A record with changes merged in.

    Attributes:
        body: the body of the PUT, for `json=` of a call; without empty fields next to which the API ignores others.
        changed: the fields that the PUT changes, nested ones dotted; empty if the record already has all values.
            A field that is never read back counts as changed.
        base: the record without the changes, as it would be sent.
        target: the record with the changes, as reading it shows it once they are stored.
        tree_of: brings a record that is read later into the form of `base` and `target`.
    """

    body: Mapping[str, Any]
    changed: tuple[str, ...]
    base: Tree
    target: Tree
    tree_of: Callable[[RawJson], Tree]

    @property
    def is_visible(self) -> bool:
        """Whether reading the record shows that it was stored: not if only unreadable fields change."""
        return any(differences(self.target, self.base)) or not self.changed


def merge(
    record: RawJson,
    changes: Mapping[str, Any],
    *,
    rules: MergeRules,
    ids: Mapping[str, str],
    zone: tzinfo | None = None,
    allow_unknown: bool = False,
) -> MergedRecord:
    """Merge changes into a record as the server wrote it.

    The named fields change; all others are sent byte for byte as the server wrote them, unknown ones included. Fields
    that the PUT does not take are omitted, and so are nulls of known fields: the API reads an omitted field as null. A
    number that the server wrote for a known text is sent as text.

    Args:
        record: the record, as from `raw_data` or `listing.raw()`: `RawJson(line)`.
        changes: the new values by the API's names; objects merge deeply, lists are replaced whole, `None` is null.
        rules: of the family: `type(client.customers)._merge_rules()`.
        ids: the ids in the path of the PUT, by its names.
        zone: the project's time zone, needed for a datetime with an offset.
        allow_unknown: accept names that the SDK does not know.

    Raises:
        ConfigurationError: a name is unknown or read-only, or a value cannot be sent; values are never quoted.
        Malformed: the record is no JSON object.
    """
    encode = partial(_encoded, zone=zone)
    path_ids = {name: encode(ids[name]) for name in rules.ids_in_record}

    def sendable(raw: RawJson) -> dict[str, Any]:
        return {**tree_of(raw, rules.model), **path_ids}

    base = sendable(record)
    change = _Changes(allow_unknown=allow_unknown, encode=encode)
    target = change.merged(base, changes, rules.model, "") | path_ids
    named = [name for name in rules.extra_fields if name in target and _is_named(changes, name)]
    extra = {name: target.pop(name) for name in named}
    changed = tuple(differences(target, base))
    return MergedRecord(
        body={rules.part: _as_sent(target, changes, changed, rules.superseded), **extra},
        changed=(*changed, *extra),
        base=base,
        target=target,
        tree_of=sendable,
    )


@frozen(kw_only=True)
class _Changes:
    """The rules by which changes are merged into a record."""

    allow_unknown: bool
    encode: Callable[[Any], RawJson]

    def merged(self, base: Any, changes: Any, model: type[Input], path: str) -> dict[str, Any]:
        """Return an object with what the changes name; neither argument is changed."""
        merged = dict(base) if isinstance(base, Mapping) else {}
        types, keep = core_types(model), _keepers(model)
        for name, change in _items_of(changes, path):
            where = f"{path}.{name}" if path else str(name)
            self._check(name, model, where)
            kept = keep[name](change) if name in keep else change
            merged[name] = self._value(merged.get(name), kept, types.get(name, Any), where)
        return merged

    def _check(self, name: Any, model: type[Input], where: str) -> None:
        if name in core_types(model):
            return
        if model.reads is not None and name in read_only_names(model.reads):
            raise ConfigurationError(f"{where} is read-only: the server alone writes it")
        if not self.allow_unknown:
            parent = where.rpartition(".")[0]
            hint = meant_field(str(name), model, within=f"{parent}." if parent else "")
            raise ConfigurationError(f"{where} is not a field of this record{hint}")

    def _value(self, base: Any, change: Any, hint: Any, where: str) -> Any:
        if change is None:
            return NULL
        if is_model(hint):
            return self.merged(base, change, hint, where)
        element = element_type(hint)
        if is_model(element):
            # Changes are merged twice, and a generator would be empty the second time.
            if not isinstance(change, Collection):
                raise ConfigurationError(f"{where} takes a list")
            items = enumerate(change)
            change = [self.merged({}, item, element, f"{where}[{index}]") for index, item in items]
        elif isinstance(change, Model):
            raise _read_model(where)
        return self.encode(change)


def _items_of(changes: Any, path: str) -> list[tuple[Any, Any]]:
    """Return the names that changes set, a dict or an input, with their values."""
    if isinstance(changes, Mapping):
        items: Iterable[tuple[Any, Any]] = changes.items()
    elif isinstance(changes, Input):
        items = ((name, getattr(changes, field)) for field, name in api_names(type(changes)).items())
    elif isinstance(changes, Model):
        raise _read_model(path or "changes")
    else:
        raise ConfigurationError(f"{path or 'changes'} takes a dict of the fields to change")
    return [(name, conceal(value)) for name, value in items if value is not UNSET]


def _read_model(where: str) -> ConfigurationError:
    return ConfigurationError(f"{where} is a read model: name the changed fields in a dict instead")


@typed_cache
def _keepers(model: Any) -> dict[str, Callable[[Any], Any]]:
    names = api_names(model)
    return {names[field]: keep for field, keep in keepers(model).items()}


def _is_named(changes: Any, *path: str) -> bool:
    """Return whether changes, dicts or inputs, name a field."""
    for name in path:
        changes = changes.get(name, UNSET) if isinstance(changes, Mapping) else getattr(changes, name, UNSET)
    return changes is not UNSET


def _as_sent(
    target: Tree, changes: Any, changed: Collection[str], superseded: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Return a record as the PUT takes it: without empty fields next to which the API would ignore others."""
    sent = {**target}
    for part, (ignored, preferred) in superseded.items():
        if _is_named(changes, part, preferred):
            continue
        is_changed = any(f"{name}.".startswith(f"{part}.{ignored}.") for name in changed)
        kept = _without_empty(_as_tree(target.get(part)), part, ignored, preferred, is_changed=is_changed)
        if kept:
            sent[part] = kept
    return sent


def _without_empty(record: Tree, where: str, ignored: str, preferred: str, *, is_changed: bool) -> Tree:
    """Return an object without a field that is empty and next to which the API would ignore another one.

    Args:
        record: the object.
        where: its name.
        ignored: the field that the API ignores next to the other one.
        preferred: the other one.
        is_changed: whether the ignored one changes.

    Raises:
        ConfigurationError: the ignored one changes, and the preferred one has values, which would be lost.
    """
    if _is_empty(record.get(preferred, NULL)):
        is_idle = _is_empty(record.get(ignored, NULL)) and not is_changed
        return record if is_idle else {name: value for name, value in record.items() if name != preferred}
    if is_changed:
        raise ConfigurationError(
            f"{where}.{ignored}: the record has {where}.{preferred}, and the API ignores {where}.{ignored} next to it: "
            f"name {where}.{preferred} in its place"
        )
    return record


def _is_empty(value: Any) -> bool:
    return not value if isinstance(value, Mapping) else value in _EMPTY


def require_shown(record: RawJson, rules: MergeRules) -> None:
    """Check that a record shows the objects that every record has: the PUT would empty what the server leaves out.

    Args:
        record: one record.
        rules: of the family.

    Raises:
        ConfigurationError: it does not.
        Malformed: the record is no JSON object.
    """
    shown = members(record)
    for name in rules.required_objects:
        value = shown.get(name, NULL)
        if value == NULL or not value[1:-1].strip():  # an empty object, list or text
            raise ConfigurationError(
                f"{name}: the server does not show it of this record, and the change would empty it: ask the server's "
                "operator for the right to read it"
            )


def tree_of(record: RawJson, model: type[Model | Input]) -> dict[str, Any]:
    """Split a record into nested mappings, one for each object that a model knows.

    Nulls of known fields are omitted. With an input class, fields that only its read model has are omitted too. Numbers
    of known texts become texts.

    Args:
        record: one record.
        model: its input class or read model.

    Raises:
        Malformed: the record is no JSON object.
    """
    left_out, hints = _shape(model)
    tree: dict[str, Any] = {}
    for name, value in members(record).items():
        if name in left_out or (name in hints and value == NULL):
            continue
        tree[name] = _known(value, hints[name]) if name in hints else value
    return tree


def differences(left: Tree, right: Tree, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the fields in which two trees differ; null is the same as nothing.

    Numbers are compared by value, to the last digit, and objects whatever the order of their fields.
    """
    for name in {**right, **left}:
        first, second = left.get(name, NULL), right.get(name, NULL)
        if first == second:
            continue
        if _is_tree(first, second) and _is_tree(second, first):
            yield from differences(_as_tree(first), _as_tree(second), f"{prefix}{name}.")
        elif isinstance(first, Mapping) or isinstance(second, Mapping) or exact(first) != exact(second):
            yield f"{prefix}{name}"


def _is_tree(value: Any, other: Any) -> bool:
    """Return whether a value is an object; what servers write for an empty object is one where the other value is."""
    return isinstance(value, Mapping) or (isinstance(other, Mapping) and value in _EMPTY)


def _as_tree(value: Any) -> Tree:
    return value if isinstance(value, Mapping) else {}


def _encoded(value: Any, zone: tzinfo | None = None) -> RawJson:
    return RawJson(codec.encode(value, zone=zone))


def _known(value: RawJson, hint: Any) -> Any:
    """Return a known field's value as it is sent."""
    if hint is str:
        return value.as_text() if value.is_number else value
    if is_model(hint):
        return tree_of(value, hint) if value.is_object else value
    element = core_type(element_type(hint))
    items = _items(value) if is_model(element) else None
    if items is None:
        return value
    # A list is replaced as a whole, so it becomes one value again.
    return _encoded([_known(item, element) for item in items if item != NULL])


def _items(value: RawJson) -> Collection[RawJson] | None:
    """Return the objects of a list; PHP writes one with gaps as an object. `None` for another value."""
    if value.is_list:
        return elements(value)
    items = members(value).values() if value.is_object else (value,)
    return items if all(item.is_object for item in items) else None


@typed_cache
def _shape(model: Any) -> tuple[frozenset[str], Mapping[str, Any]]:
    """Return the names of fields that are not sent, and the types of the known fields."""
    types, reads = core_types(model), getattr(model, "reads", None)
    left_out = frozenset() if reads is None else frozenset(api_names(reads).values()) - types.keys()
    return left_out, types
