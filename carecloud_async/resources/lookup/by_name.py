"""Finds families and lists by their names, such as `customers.addresses`, and their objects in a client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Model
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import declared
from carecloud_async.resources.families import Families
from carecloud_async.resources.hints import why_not_in_bulk

#: A method of a family that returns a listing, such as `client.cards.list`.
ListMethod: TypeAlias = Callable[..., Listing[Any]]


@cache
def bulk_families() -> Mapping[str, type[BulkWriting]]:
    """Return the families that can be written in bulk, by their names such as `customers.addresses`."""
    len(OPERATIONS)  # imports all families
    return {cls._operations[0].call.rpartition(".")[0]: cls for cls in _subclasses(BulkWriting) if cls._operations}


@cache
def all_families() -> Mapping[str, Sequence[Operation]]:
    """Return the operations of every family, by its name such as `customers.addresses`."""
    by_family: dict[str, list[Operation]] = {}
    for operation in OPERATIONS.values():
        by_family.setdefault(operation.call.rpartition(".")[0], []).append(operation)
    return by_family


def plain_name(name: str) -> str:
    """Return the name of a family as the client spells it: `product_groups` for `product-groups`."""
    return name.replace("-", "_").replace("/", ".")


def require_bulk(name: str) -> None:
    """Check that a family can be written in bulk.

    Raises:
        ConfigurationError: it cannot, and the message says why, or there is no family of that name.
    """
    if name in bulk_families():
        return
    operations = all_families().get(name)
    if operations is None:
        known = bulk_families()
        hint = did_you_mean(name, known) or f": there are {', '.join(sorted(known))}"
        raise ConfigurationError(f"there is no resource {name!r} to write in bulk{hint}")
    raise ConfigurationError(f"{name} cannot be written in bulk: {why_not_in_bulk(name, operations)}")


def require_parents(name: str, of: Sequence[str]) -> None:
    """Check that there is an id for each parent of a family.

    Raises:
        ConfigurationError: there are more or fewer ids than parents.
    """
    wanted = name.count(".")
    if len(of) != wanted:
        raise ConfigurationError(f"of= takes the ids of the parents of {name!r}: {wanted}, not {len(of)}")


def _subclasses(cls: type[BulkWriting]) -> Iterator[type[BulkWriting]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def open_family(client: Families, name: str, of: Sequence[str]) -> BulkWriting:
    """Return a family of the client that can be written in bulk, bound to its parents' ids, outermost first."""
    family: BulkWriting = bind(client, name.split("."), list(of))
    return family


def bind(client: Families, names: Sequence[str], ids: list[str]) -> Any:
    """Return the object that the client has under a dotted name, bound to the ids of its parents.

    Args:
        client: the client.
        names: the parts of the name.
        ids: ids, outermost first; those of the parents are removed from the list.
    """
    resource: Any = client
    for name in names:
        resource = getattr(resource, name)
        if callable(resource):
            resource = resource(ids.pop(0))
    return resource


@cache
def listable() -> Mapping[str, Operation]:
    """Return every list that an enterprise user may ask for, by its name, such as `cards` or `customers.cards`."""
    return {
        operation.call.removesuffix(".list"): operation
        for operation in OPERATIONS.values()
        if operation.method == "GET" and operation.result_key and Interface.ENTERPRISE in operation.interfaces
    }


def find_list(name: object) -> Operation:
    """Return the list operation of a resource.

    Args:
        name: its name from the client, such as `cards` or `products.tags`.

    Raises:
        ConfigurationError: there is no such list; the message has the nearest name.
    """
    known = listable()
    operation = known.get(name) if isinstance(name, str) else None
    if operation is None:
        raise ConfigurationError(f"there is no list {name!r}{did_you_mean(str(name), known)}")
    return operation


def list_model(operation: Operation) -> type[Model]:
    """Return the model of the records of a family's own list, such as `cards.list`."""
    family, _, method = operation.call.partition(".")
    model: type[Model] = declared(getattr(getattr(Families, family).resource, method)).into
    return model


def find_method(client: Families, operation: Operation, *, of: Iterable[str] = ()) -> tuple[ListMethod, list[str]]:
    """Return the client's method of a list, bound to the ids of its parents, and the ids that are left to be passed.

    Args:
        client: the client.
        operation: the list operation.
        of: the ids of its path, outermost first.
    """
    ids = list(of)
    *owners, last = operation.call.split(".")
    return getattr(bind(client, owners, ids), last), ids


def missing_filters(operation: Operation, method: ListMethod, given: Iterable[str]) -> list[str]:
    """Return the filters that a list requires and that are not given."""
    return [name for name in declared(method).signature.required if name in operation.parameters and name not in given]


def open_list(client: Families, operation: Operation, **params: Any) -> Listing[Any]:
    """Make the listing of a list operation that belongs to no parent.

    Args:
        operation: the list operation.
        **params: filters and paging, as the method takes them.

    Raises:
        ConfigurationError: an argument is unknown, missing or of the wrong kind; the message says which.
    """
    name = operation.call.removesuffix(".list")
    if operation.placeholders:
        raise ConfigurationError(f"{name} belong to a parent: they can be listed only for one of them")
    method, _ = find_method(client, operation)
    missing = missing_filters(operation, method, params)
    if missing:
        raise ConfigurationError(f"{name} can be listed only with the filters {', '.join(missing)}: give them")
    unknown = sorted(param for param in params if param not in operation.parameters)
    if unknown:
        raise ConfigurationError(f"{name} has no filter {unknown[0]}{did_you_mean(unknown[0], operation.parameters)}")
    return method(**params)
