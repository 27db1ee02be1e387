"""Resources by name, and `ListOptions`: the list that a command line means, with its filters and fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import frozen
from typer import Context

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime import suggestions
from carecloud_async._calls.call.filters import Kind
from carecloud_async._calls.call.operation import PAGING, Operation
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.cli.parameters import OF, argument, option
from carecloud_async.client import CareCloud
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.declare import declared
from carecloud_async.resources.lookup.by_name import (
    all_families,
    find_method,
    listable,
    missing_filters,
    plain_name,
    require_bulk,
)

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def filter_names(operation: Operation) -> list[str]:
    """Return the names of an operation's filters."""
    return [name for name in operation.parameters if name not in PAGING]


def read_filters(operation: Operation, filters: Iterable[str], *, allow_unknown: bool = False) -> dict[str, Any]:
    """Read `name=value` pairs; a filter that takes several values may be repeated, or hold commas.

    Args:
        filters: the pairs.
        allow_unknown: whether a name may be none of the operation's filters; its values are then sent as text.

    Raises:
        UsageError: a pair is not readable, its name is unknown, or its value is of the wrong kind.
    """
    known = filter_names(operation)

    def refuse(name: str) -> None:
        if not allow_unknown:
            hint = f": {nearest(name, known)}" if known else ", and no other either"
            raise UsageError(f"{_short(operation)} has no filter {name!r}{hint}")

    kinds = {name: operation.kinds[name] for name in known}
    return read_values(filters, kinds, refuse, option="--filter", example="last_name=Smith")


def read_values(
    pairs: Iterable[str], kinds: Mapping[str, Kind], refuse: Callable[[str], None], *, option: str, example: str
) -> dict[str, Any]:
    """Read `name=value` pairs into values of their kinds; texts of a name without a kind are left as they are.

    Args:
        pairs: the pairs.
        kinds: what each known name takes.
        refuse: raises for a name that is not taken.
        option, example: for messages.

    Raises:
        UsageError: a pair is not readable, or a value is of the wrong kind.
    """
    values: dict[str, Any] = {}
    for name, texts in read_pairs(pairs, option=option, example=example).items():
        if name in kinds:
            values[name] = read_value(f"{option} {name}", texts, kinds[name])
        else:
            refuse(name)
            values[name] = texts if len(texts) > 1 else texts[0]
    return values


def split_fields(fields: str) -> list[str]:
    """Return the names in the value of `--fields`.

    Raises:
        UsageError: one is empty.
    """
    names = [name.strip() for name in fields.split(",")]
    if not all(names):
        raise UsageError("--fields has an empty name: write them as customer_id,last_change")
    return names


def read_pairs(pairs: Iterable[str], *, option: str, example: str) -> dict[str, list[str]]:
    """Read `name=value` pairs into the texts given for each name; `name[]` means `name`.

    Raises:
        UsageError: a pair is not `name=value`.
    """
    texts_of: dict[str, list[str]] = {}
    for pair in pairs:
        name, text = split_pair(option, pair, example=example)
        texts_of.setdefault(name.strip().removesuffix("[]"), []).append(text)
    return texts_of


def split_pair(option: str, pair: str, *, example: str) -> tuple[str, str]:
    """Return name and value of `name=value`.

    Raises:
        UsageError: it is written in another way.
    """
    name, equals, text = pair.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{option} {pair!r} is not name=value, such as {example}")
    return name, text


def read_value(option: str, texts: list[str], kind: Kind) -> Any:
    """Return the value that texts on the command line mean.

    Args:
        option: the option, for messages.
        texts: what was given for one name.
        kind: what the name takes.

    Raises:
        UsageError: it takes another kind of value.
    """
    if kind.several and (not kind.single or len(texts) > 1):
        parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        if not parts:
            raise UsageError(f"{option}= is empty, which the API would read as no filter at all: leave it out")
        value: Any = [_single(option, part, kind) for part in parts]
    elif len(texts) > 1:
        raise UsageError(f"{option} is given twice, and takes one value")
    else:
        value = _single(option, texts[0], kind)
    try:
        kind.check(option, value)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    return value


def _single(option: str, text: str, kind: Kind) -> Any:
    if kind.of != "bool":
        return text
    if text.lower() not in _TRUTH:
        raise UsageError(f"{option} is true or false, not {text!r}")
    return _TRUTH[text.lower()]


@cache
def readable() -> Mapping[str, Operation]:
    """Return the operation that reads one record of each resource that has one, by the name of the resource."""
    return {
        operation.call.removesuffix(".get"): operation
        for operation in OPERATIONS.values()
        if operation.method == "GET" and not operation.result_key and Interface.ENTERPRISE in operation.interfaces
    }


def list_names() -> list[str]:
    """Return the name of each list, with the option for the id of its parent if it has one."""
    return [
        " ".join([name, *(f"--of {parent.upper()}" for parent in operation.placeholders)])
        for name, operation in sorted(listable().items())
    ]


def find_list(name: str) -> Operation:
    """Return the list operation of a resource.

    Args:
        name: the dotted name; `product-groups` means `product_groups`, and `customers/cards` means `customers.cards`.

    Raises:
        UsageError: there is none; the message has the nearest name, or the command that prints all.
    """
    return _find(name, listable(), verb="list")


def find_record(name: str) -> Operation:
    """Return the operation that reads one record of a resource; see `find_list`."""
    return _find(name, readable(), verb="get")


def _find(name: str, known: Mapping[str, Operation], *, verb: str) -> Operation:
    operation = known.get(plain_name(name))
    if operation is None and plain_name(name) in all_families():
        hint = f": carecloud list {name} reads them all" if plain_name(name) in listable() else ""
        raise UsageError(f"the API has no call to {verb} {name}{hint}")
    if operation is None:
        close = suggestions.nearest(name, known)
        hint = f"did you mean {close}?" if close else "carecloud list prints the names"
        raise UsageError(f"there is no resource {name!r} to {verb}: {hint}")
    return operation


def list_path_values(operation: Operation, of: Sequence[str]) -> dict[str, str]:
    """Return the values of a list's path.

    Args:
        operation: the list operation.
        of: the ids of the parents, outermost first, from `--of`.

    Raises:
        UsageError: there are too few or too many; the message has the option to give or to leave out.
    """
    return _path_values(_short(operation), operation.placeholders, of)


def check_bulk_family(name: str, of: Sequence[str]) -> None:
    """Check that a family can be written in bulk, and that there is an id for each of its parents.

    Raises:
        ConfigurationError: it cannot.
        UsageError: there are too few ids or too many; see `list_path_values`.
    """
    require_bulk(name)
    parents = all_families()[name][0].placeholders[: name.count(".")]
    _path_values(name, parents, of)


def record_path_values(operation: Operation, of: Sequence[str], record_id: str | None) -> dict[str, str]:
    """Return the values of the path of one record; see `list_path_values`.

    Args:
        operation: the operation that reads it.
        of: the ids of the parents, outermost first.
        record_id: the id of the record; `None` where there is only one.
    """
    name = _short(operation)
    *parents, last = [*operation.placeholders] or [""]
    if last and record_id is None:
        raise UsageError(f"give the id of the record: carecloud get {name} ID")
    if not last and record_id is not None:
        raise UsageError(f"{name} is read without an id: leave {record_id} out")
    own = {} if record_id is None else _path_values(name, [last], [record_id])
    return _path_values(name, parents, of) | own


def _short(operation: Operation) -> str:
    return operation.call.removesuffix(".list").removesuffix(".get")


def _path_values(name: str, names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    if len(values) < len(names):
        missing = " ".join(f"--of {parent.upper()}" for parent in names[len(values) :])
        raise UsageError(f"{name} belong to a parent: give its id with {missing}")
    if len(values) > len(names):
        raise UsageError(f"{name} belong to no parent: leave --of {values[len(names)]} out{_owned(name)}")
    if not all(value.strip() for value in values):
        raise UsageError(f"{name}: an id is empty")
    return dict(zip(names, values, strict=True))


def _owned(call: str) -> str:
    """Return the names of the lists that a parent's id was probably meant for."""
    owned = [name for name in listable() if name.endswith(f".{call}")]
    return f", or name the list of a parent: {', '.join(owned)}" if owned else ""


def complete_list(incomplete: str) -> list[str]:
    """Return the lists whose name begins so."""
    return _beginning(incomplete, listable())


def complete_record(incomplete: str) -> list[str]:
    """Return the resources whose single records can be read, and whose name begins so."""
    return _beginning(incomplete, readable())


def complete_filter(ctx: Context, incomplete: str) -> list[str]:
    """Return the filters, with their `=`, of the list that the command line names before."""
    # While the option that is completed has no value yet, the words before it are not assigned to parameters.
    words = [str(ctx.params.get("resource") or ""), *ctx.args]
    names = (word.replace("-", "_").replace("/", ".") for word in words)
    operation = next((listable()[name] for name in names if name in listable()), None)
    return [] if operation is None else [f"{name}=" for name in _beginning(incomplete, filter_names(operation))]


def complete_path(incomplete: str) -> list[str]:
    """Return the paths of the API that begin so."""
    return _beginning(incomplete.lstrip("/"), {operation.path.lstrip("/") for operation in OPERATIONS.values()})


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


RESOURCE = argument("RESOURCE", "Such as cards, or customers.cards with --of.", autocompletion=complete_list)
FILTERS = option(
    "NAME=VALUE",
    "Only records that match, such as last_name=Smith; may be repeated.",
    "--filter",
    autocompletion=complete_filter,
)


@frozen(kw_only=True)
class ListOptions:
    """The options that choose the records of a list.

    Attributes:
        of: the ids of the parents, outermost first.
        filters: `name=value` each.
    """

    of: list[str] | None = OF
    filters: list[str] | None = FILTERS

    def find(self, resource: str) -> Operation:
        """Return the list operation of a resource, before anything is asked.

        Raises:
            UsageError: there is no such list, or the ids are too few or too many.
        """
        operation = find_list(resource)
        list_path_values(operation, self.of or [])
        return operation

    def listing(
        self, client: CareCloud, operation: Operation, *, allow_unknown: bool = False, **paging: Any
    ) -> Listing[Any]:
        """Make the listing.

        Args:
            client: the client.
            operation: the list operation.
            allow_unknown: whether filters that the SDK does not know are sent.
            **paging: count, offset and order; what is `None` is left out, and so is the count of a list without pages.

        Raises:
            UsageError: a filter is unknown or not readable, or an id is missing.
        """
        given = {name: value for name, value in paging.items() if value is not None}
        for name in given.keys() - set(operation.parameters):
            if name != "count":  # which the caller heeds by itself
                lacks = "have no pages" if name == "offset" else "cannot be sorted"
                raise UsageError(f"{_short(operation)} {lacks}: leave --{name.replace('_', '-')} out")
            del given[name]
        path_values = list_path_values(operation, self.of or [])
        method, ids = find_method(client, operation, of=path_values.values())
        values = read_filters(operation, self.filters or [], allow_unknown=allow_unknown)
        missing = missing_filters(operation, method, values)
        if missing:
            needed = " ".join(f"--filter {name}=…" for name in missing)
            raise UsageError(f"{_short(operation)} can be listed only for one of its owners: add {needed}")
        if values.keys() <= set(operation.parameters):
            return method(*ids, **values, **given)
        into, params = declared(method).into, values | given
        return client.listing(operation.path, into=into, path_params=path_values, params=params, allow_unknown=True)
