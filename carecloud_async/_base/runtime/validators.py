"""Checks of the user's values, with one message for each kind of mistake."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from carecloud_async._base.runtime.secret_text import kind_name
from carecloud_async.errors import ConfigurationError

#: A value that is quoted in an error is cut to this length.
MAX_QUOTED = 60


def is_unicode(text: str) -> bool:
    """Return whether text can be encoded. Lone surrogates cannot: Python reads them from bytes that are not UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def require_int(name: str, value: Any, *, least: int) -> None:
    """Raise unless `value` is a whole number from `least` up; a boolean is not one.

    Raises:
        ConfigurationError: naming the setting.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number from {least} up, not {quoted(value)}")


def require_bool(name: str, value: Any) -> None:
    """Raise unless `value` is True or False: a text such as "no" would count as true.

    Raises:
        ConfigurationError: naming the setting.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {quoted(value)}")


def require_number(name: str, value: Any, *, least: float | None = None) -> None:
    """Raise unless `value` is a finite number: greater than 0, or from `least` up if that is given.

    Raises:
        ConfigurationError: naming the setting.
    """
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or (value <= 0 if least is None else value < least):
        bound = "greater than 0" if least is None else f"from {least:g} up"
        raise ConfigurationError(f"{name} must be a number {bound}, not {quoted(value)}")


def whole_number(*, least: int) -> Callable[[Any, Any, Any], None]:
    """Return an attrs validator that applies `require_int`; the error names the class and the attribute."""
    return _validator(partial(require_int, least=least))


def number(*, least: float | None = None) -> Callable[[Any, Any, Any], None]:
    """Return an attrs validator that applies `require_number`; the error names the class and the attribute."""
    return _validator(partial(require_number, least=least))


def _validator(require: Callable[[str, Any], None]) -> Callable[[Any, Any, Any], None]:
    return lambda instance, attribute, value: require(f"{type(instance).__name__}: {attribute.name}", value)


def quoted(value: Any) -> str:
    """Return a value's `repr`, cut to a length that fits into an error."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  (a user's own __repr__)
        text = type(value).__name__
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"


def expected(what: str, got: Any) -> str:
    """Return the text "expected X, got Y", where Y is the type of the value; the value is not shown."""
    if isinstance(got, type):
        return f"expected {what}, got the class {got.__name__}"
    return f"expected {what}, got {'None' if got is None else kind_name(got)}"
