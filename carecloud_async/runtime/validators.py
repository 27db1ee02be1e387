"""Checks of numbers that users give."""

from __future__ import annotations

from typing import Any

from carecloud_async.errors import ConfigurationError


def require_int(name: str, value: Any, *, least: int) -> None:
    """Refuse what is no whole number from `least` up; a boolean is none.

    Raises:
        ConfigurationError: naming what was given.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number from {least} up")
