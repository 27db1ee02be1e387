"""Where in a record a name is a field, for messages that say what was probably meant."""

from __future__ import annotations

from typing import Any

from carecloud_async._base.codec.fields import core_types, is_model
from carecloud_async._base.runtime.suggestions import did_you_mean

__all__ = ["meant_field", "paths_to"]

#: Objects within objects that are searched.
_DEPTH = 3


def paths_to(name: str, model: Any, *, depth: int = _DEPTH) -> list[str]:
    """Return the dotted paths of the objects within a record that have a field of this name, such as `address`."""
    if not depth:
        return []
    objects = {field: inner for field, inner in core_types(model).items() if is_model(inner)}
    own = [field for field, inner in objects.items() if name in core_types(inner)]
    deeper = [(field, paths_to(name, inner, depth=depth - 1)) for field, inner in objects.items()]
    return own + [f"{field}.{path}" for field, paths in deeper for path in paths]


def meant_field(name: str, model: Any, *, within: str = "") -> str:
    """Return the end of an error's sentence: the path of the field that was probably meant, if there is one.

    Args:
        name: the name that is no field of the model.
        model: the class of the record, or of an object within it.
        within: the path of that object, with a dot at its end.
    """
    paths = paths_to(name, model)
    return f": did you mean {within}{paths[0]}.{name}?" if paths else did_you_mean(name, core_types(model))
