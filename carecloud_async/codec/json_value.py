"""The names of open JSON in signatures: what the API leaves open, and a caller reads as it likes."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["JsonObject", "JsonValue"]

JsonValue: TypeAlias = Any
"""Any JSON value: an object (`dict`), a list, text, a number, a boolean or `None`."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object, as plain Python values."""
