"""Checks of the bodies that methods send: inputs where inputs belong, and no read models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from carecloud_async._base.runtime.validators import expected
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.base import Input, Model


def require_input(value: Any, wanted: type[Input]) -> None:
    """Raise unless a value is an input. A read model is none: sending it would delete what it does not show.

    Raises:
        ConfigurationError: naming what to do instead.
    """
    if isinstance(value, Model):
        raise _read_model(wanted.__name__, value)
    if not isinstance(value, wanted):
        raise ConfigurationError(expected(wanted.__name__, value))


def refuse_read_models(value: Any, where: str) -> None:
    """Refuse read models at any depth of a body.

    Args:
        value: the body or a part of it.
        where: the name of the part.

    Raises:
        ConfigurationError: there is one.
    """
    if isinstance(value, Model):
        raise _read_model(where, value)
    if isinstance(value, Input):
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
        f"{where}: expected an input, got {type(value).__name__}, which was read: to change parts of a record as it "
        "was read, use update(), which keeps the rest"
    )
