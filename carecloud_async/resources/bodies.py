"""What the methods of all families need for the bodies they send and receive."""

from __future__ import annotations

from typing import Any

from carecloud_async.errors import ConfigurationError
from carecloud_async.models import Input


def given(absent: Any = None, /, **values: Any) -> dict[str, Any]:
    """Keep the values that were given, that is, are not `absent`."""
    return {name: value for name, value in values.items() if value is not absent}


def no_content(body: bytes) -> None:
    """Decode an answer that says nothing."""
    del body


def require_input(value: Any, wanted: type[Input]) -> None:
    """Refuse a read model where an input is due: it would delete what it does not show.

    Raises:
        ConfigurationError: naming what to do instead.
    """
    if not isinstance(value, wanted):
        raise ConfigurationError(
            f"a {wanted.__name__} is due, not {type(value).__name__}: to change parts of a record as it was read, use "
            "update(), which keeps the rest"
        )
