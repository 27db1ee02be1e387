"""Types for JSON whose structure the API does not define."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["JsonObject", "JsonValue"]

JsonValue: TypeAlias = Any
"""Any JSON value: an object (`dict`), a list, text, a number, a boolean or `None`."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as plain Python values."""
