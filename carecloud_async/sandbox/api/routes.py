"""From a path to the operation that answers there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from re import Pattern
from typing import Final

import attrs
from starlette.routing import compile_path

from carecloud_async.sandbox.api.calls import Interface, Operation

ROOT: Final = "/webservice/rest-api/"
VERSION: Final = "v1.0"


@attrs.frozen(kw_only=True)
class Address:
    """The parts of a path.

    Attributes:
        interface: The interface, or `None` if the path is not the API's.
        segment: The segment that names the interface.
        resource: The path below the version, or the whole path if it is not the API's.
    """

    interface: Interface | None
    segment: str
    resource: str


def address_of(path: str) -> Address:
    """Split a path into its parts: `/webservice/rest-api/{interface}/v1.0/{resource}`."""
    segment, _, rest = path.removeprefix(ROOT).partition("/")
    version, _, resource = rest.partition("/")
    known = {one.value: one for one in Interface}
    if not path.startswith(ROOT) or version != VERSION or segment not in known:
        return Address(interface=None, segment=segment, resource=path)
    return Address(interface=known[segment], segment=segment, resource=f"/{resource}")


@attrs.frozen(kw_only=True)
class Route:
    """A path template that fits a path.

    Attributes:
        template: The template.
        values: The values of its parameters.
        by_method: Its operations.
    """

    template: str
    values: dict[str, str] = attrs.field(repr=False)
    by_method: dict[str, Operation]


class Routes:
    """All operations, found by path.

    Args:
        operations: The operations of most requests; no path of theirs is among the others.
        others: Gives the others, when a path is not found: making them takes a moment that most sandboxes can spare.
    """

    def __init__(
        self, operations: Iterable[Operation], *, others: Callable[[], Iterable[Operation]] = lambda: ()
    ) -> None:
        self._first = _Templates(operations)
        self._make_others = others
        self._others: _Templates | None = None

    def find(self, resource: str) -> Route | None:
        """The template that fits a path below the version."""
        found = self._first.find(resource)
        if found is not None:
            return found
        if self._others is None:
            self._others = _Templates(self._make_others())
        return self._others.find(resource)


class _Templates:
    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations: dict[str, dict[str, Operation]] = defaultdict(dict)
        for operation in operations:
            self._operations[operation.template][operation.method] = operation
        self._patterns: dict[int, list[tuple[Pattern[str], str]]] = defaultdict(list)
        # Templates with fewer places come first: `/customers/actions` is never a customer id.
        for template in sorted(self._operations, key=lambda one: one.count("{")):
            self._patterns[template.count("/")].append((compile_path(template)[0], template))

    def find(self, resource: str) -> Route | None:
        for pattern, template in self._patterns.get(resource.count("/"), ()):
            match = pattern.match(resource)
            if match is not None:
                return Route(template=template, values=match.groupdict(), by_method=self._operations[template])
        return None
