"""From a path to the operations that answer there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import attrs

from carecloud_async.sandbox.api.calls import Interface
from carecloud_async.sandbox.state.facts import ApiOperation, api_facts

_PATH: Final = re.compile(r"/webservice/rest-api/(enterprise|customer)-interface/v1\.0/(.*)", re.DOTALL)


@attrs.frozen(kw_only=True)
class Route:
    """What a path leads to.

    Attributes:
        interface: The interface, or `None` if the path is not the API's.
        template: The path template; where no operation has the path, its first segment, since the others may be secret.
        values: Values of the path template.
        by_method: The operations; none where no operation has the path.
    """

    interface: Interface | None
    template: str
    values: dict[str, str] = attrs.field(factory=dict, repr=False)
    by_method: Mapping[str, ApiOperation] = attrs.field(factory=dict, repr=False)


def route_of(path: str) -> Route:
    """Find the operations of a path, such as `/webservice/rest-api/enterprise-interface/v1.0/customers`."""
    matched = _PATH.fullmatch(path)
    interface: Any = matched[1] if matched else None
    resource = matched[2] if matched else path
    parts = resource.split("/")
    for template, by_method in _templates().get((parts[0], len(parts)), ()) if matched else ():
        pairs = list(zip(template.split("/")[1:], parts, strict=True))
        if all(part != "" if name.startswith("{") else name == part for name, part in pairs):
            values = {name[1:-1]: part for name, part in pairs if name.startswith("{")}
            return Route(interface=interface, template=template, values=values, by_method=by_method)
    first, _, rest = resource.strip("/").partition("/")
    return Route(interface=interface, template=f"/{first}/…" if rest else f"/{first}")


@cache
def _templates() -> dict[tuple[str, int], list[tuple[str, dict[str, ApiOperation]]]]:
    """The path templates and their operations, by first segment and number of segments."""
    operations: dict[str, dict[str, ApiOperation]] = defaultdict(dict)
    for api in api_facts().operations:
        operations[api.template][api.method] = api
    found = defaultdict(list)
    # Templates with fewer placeholders come first: `/customers/actions` is never a customer id.
    for template in sorted(operations, key=lambda one: one.count("{")):
        found[template.split("/")[1], template.count("/")].append((template, operations[template]))
    return found
