"""What the methods of all families need for the bodies they send and receive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from carecloud_async.errors import ConfigurationError
from carecloud_async.models import Input
from carecloud_async.models.base import Model


def drop_unset(absent: Any = None, /, **values: Any) -> dict[str, Any]:
    """Keep the values that were given, that is, are not `absent`."""
    return {name: value for name, value in values.items() if value is not absent}


def no_content(body: bytes) -> None:
    """Decode an answer that says nothing."""
    del body


def require_input(value: Any, wanted: type[Input]) -> None:
    """Refuse what is no input, above all a read model: it would delete what it does not show.

    Raises:
        ConfigurationError: naming what to do instead.
    """
    if isinstance(value, Model) and not isinstance(value, Input):
        raise _read_model(wanted.__name__, value)
    if not isinstance(value, wanted):
        raise ConfigurationError(f"a {wanted.__name__} is due, not {type(value).__name__}")


def refuse_read_models(value: Any, where: str) -> None:
    """Refuse read models at any depth of a body.

    Args:
        value: the body or a part of it.
        where: what the part is called.

    Raises:
        ConfigurationError: there is one.
    """
    if isinstance(value, Model):
        if not isinstance(value, Input):
            raise _read_model(where, value)
        for name in (field.name for field in attrs.fields(type(value))):  # type: ignore[arg-type]
            refuse_read_models(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            refuse_read_models(item, f"{where}.{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            refuse_read_models(item, where)


def _read_model(where: str, value: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: an input is due, not {type(value).__name__}, which was read: to change parts of a record as it was "
        "read, use update(), which keeps the rest"
    )
