"""`"auto"` in place of a number: how many records a page has, or how many pages are requested at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from carecloud_async._base.runtime.validators import quoted
from carecloud_async._calls.call.filters import Kind, check_filters
from carecloud_async.errors import ConfigurationError

__all__ = ["AUTO", "DEFAULT_COUNT", "Auto", "check_count", "problem_of", "require_int_or_auto"]

Auto: TypeAlias = Literal["auto"]
AUTO: Final[Auto] = "auto"

#: The records of a page if nothing is measured, and of the smallest page that a pace asks for: the API's own default.
DEFAULT_COUNT: Final = 100


def problem_of(name: str, value: Any) -> str | None:
    """Return what is wrong with a value that must be `"auto"` or a whole number from 1 up; `None` if nothing is."""
    if isinstance(value, str) and value == AUTO:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return None
    return f'{name} must be a whole number from 1 up, not {quoted(value)}; or "auto", which finds what is fastest'


def require_int_or_auto(name: str, value: Any) -> None:
    """Raise unless `value` is `"auto"` or a whole number from 1 up.

    Raises:
        ConfigurationError: naming the setting.
    """
    problem = problem_of(name, value)
    if problem is not None:
        raise ConfigurationError(problem)


def check_count(kinds: Mapping[str, Kind], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the query of a list as `check_filters` does, where `count` may be `"auto"` too.

    Raises:
        ConfigurationError: see `check_filters`.
    """
    if "count" in params:
        require_int_or_auto("count", params["count"])
    return check_filters({name: kind for name, kind in kinds.items() if name != "count"}, params)
