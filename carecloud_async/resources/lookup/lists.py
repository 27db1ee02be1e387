"""Lists by name: what an enterprise user may list, and the listing that a name means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Model
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.declare import declared
from carecloud_async.resources.families import Families
from carecloud_async.resources.lookup.families import bind

__all__ = ["find_list", "find_method", "list_model", "listable", "missing_filters", "open_list"]

#: A method of a family that returns a listing, such as `client.cards.list`.
ListMethod: TypeAlias = Callable[..., Listing[Any]]


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
        ConfigurationError: there is none; the message has the nearest name.
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
    """Return the client's method of an operation, and the ids that it takes itself.

    Args:
        of: the ids of its path, outermost first.
    """
    ids = list(of)
    *owners, last = operation.call.split(".")
    return getattr(bind(client, owners, ids), last), ids


def missing_filters(operation: Operation, method: ListMethod, given: Iterable[str]) -> list[str]:
    """Return the filters without which a list cannot be asked for, and that are not given."""
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
    unknown = sorted(one for one in params if one not in operation.parameters)
    if unknown:
        raise ConfigurationError(f"{name} has no filter {unknown[0]}{did_you_mean(unknown[0], operation.parameters)}")
    return method(**params)
