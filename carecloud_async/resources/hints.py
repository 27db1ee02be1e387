"""What to write where a method or an argument does not exist."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, cast

from carecloud_async._base.runtime.secret_text import conceal_body
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._calls.call.filters import Kind
from carecloud_async.models.paths import paths_to

__all__ = ["changes_in_a_dict", "no_such_method", "with_unpacked"]

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, None]])

#: What the API does not do with a family that lacks the method.
_VERBS = {
    "create": "creates no",
    "delete": "deletes no",
    "get": "gives no single",
    "list": "lists no",
    "remove": "deletes no",
    "replace": "replaces no",
    "update": "changes no",
}


def no_such_method(resource: Any, name: str) -> str:
    """Return the message about a method that a family does not have: what the API does not do, or the nearest name."""
    cls = type(resource)
    call = cls.operations[0].call.rpartition(".")[0] if cls.operations else cls.__name__
    message = f"client.{call} has no {name!r}"
    if name.startswith("_"):
        return message
    if name in _VERBS:
        return f"{message}: the API {_VERBS[name]} {call.rpartition('.')[2].replace('_', ' ')}"
    close = nearest(name, [method for method in dir(cls) if not method.startswith("_")])
    return f"{message}: did you mean {close}?" if close else message


def with_unpacked(doc: str | None, unpacked: Mapping[str, Kind]) -> str | None:
    """Return a docstring with the arguments that `**paging: Unpack[Paging]` stands for, which `help()` leaves out."""
    if doc is None or not unpacked:
        return doc
    arguments = "".join(f"\n    {name}: {kind.wanted}" for name, kind in unpacked.items())
    return f"{inspect.cleandoc(doc)}\n\nFurther arguments:{arguments}\n"


def changes_in_a_dict(update: F) -> F:
    """Let an `update` that is given fields as arguments raise with the dict to write."""

    @functools.wraps(update)
    async def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = conceal_body(args), {name: conceal_body(value) for name, value in kwargs.items()}
        model = self.merge_rules().model
        for name in kwargs:
            path = next(iter(paths_to(name, model)), None)
            if path is None and name not in {field.name for field in model.__attrs_attrs__}:
                continue
            parts = [*(path.split(".") if path else []), name]
            written = "".join(f'{{"{part}": ' for part in parts) + "…" + "}" * len(parts)
            where = f"{type(self).__name__}.update()"
            raise TypeError(f"{where} takes the changed fields in a dict: write update(record_id, {written})")
        await update(self, *args, **kwargs)

    return cast("F", checked)
