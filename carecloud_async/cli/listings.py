"""Lists by name: what can be listed, which filters it takes, and the listing that a command line means."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from carecloud_async.calls.operation import PAGING, Operation
from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.client import CareCloud
from carecloud_async.paging.listing import Listing
from carecloud_async.resources import OPERATIONS

_SUFFIX = ".list"
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def resources() -> dict[str, Operation]:
    """Return the paged lists of the project that need no id to be asked for, by their names on the client."""
    return {
        operation.call.removesuffix(_SUFFIX): operation
        for operation in OPERATIONS.values()
        if operation.paged and operation.call.endswith(_SUFFIX) and "{" not in operation.path
    }


def find(name: str) -> Operation:
    """Return the list operation of a resource; `product-groups` means `product_groups`.

    Raises:
        UsageError: there is none; the message has the nearest name.
    """
    known = resources()
    operation = known.get(name.replace("-", "_"))
    if operation is None:
        raise UsageError(f"there is no resource {name!r} to list: {nearest(name, known)}")
    return operation


def open_listing(client: CareCloud, operation: Operation, filters: Iterable[str], **options: Any) -> Listing[Any]:
    """Make the listing.

    Args:
        client: whom to ask.
        operation: the list operation.
        filters: `name=value` each.
        **options: paging and sorting; `None` is left out.

    Raises:
        UsageError: a filter is unknown or not readable.
    """
    method: Any = client
    for name in operation.call.split("."):
        method = getattr(method, name)
    kinds = {name: str(parameter.annotation) for name, parameter in inspect.signature(method).parameters.items()}
    given = {name: value for name, value in options.items() if value is not None}
    listing: Listing[Any] = method(**read_filters(operation, filters, kinds), **given)
    return listing


def read_filters(operation: Operation, filters: Iterable[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Read `name=value` pairs; a filter that takes several values may be repeated, or hold commas.

    Args:
        operation: the list operation.
        filters: the pairs.
        kinds: the annotations of the method's arguments.
    """
    known = [name for name in operation.parameters if name not in PAGING]
    values: dict[str, Any] = {}
    for pair in filters:
        name, equals, text = pair.partition("=")
        name = name.strip().removesuffix("[]")
        if not equals:
            raise UsageError(f"--filter {pair!r} is not name=value, such as last_name=Smith")
        if name not in known:
            raise UsageError(f"{operation.call} has no filter {name!r}: {nearest(name, known)}")
        kind = kinds.get(name, "str")
        if "Sequence" in kind:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            if not parts:
                raise UsageError(
                    f"--filter {name}= is empty, which the API would read as no filter at all: leave it out"
                )
            values[name] = [*values.get(name, []), *parts]
        elif name in values:
            raise UsageError(f"--filter {name} is given twice, and takes one value")
        else:
            values[name] = _value(name, text, kind)
    return values


def _value(name: str, text: str, kind: str) -> Any:
    words = {word.strip() for word in kind.split("|")}
    if "bool" in words:
        if text.lower() not in _TRUTH:
            raise UsageError(f"--filter {name} is true or false, not {text!r}")
        return _TRUTH[text.lower()]
    if "int" in words and "str" not in words:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"--filter {name} is a whole number, not {text!r}") from None
    return text
