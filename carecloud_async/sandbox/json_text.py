"""JSON as the sandbox holds and writes it."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_bytes(value: Any) -> bytes:
    """Write compact JSON in UTF-8."""
    return _COMPACT.encode(value).encode()


def escaped_json_bytes(value: Any) -> bytes:
    r"""Write compact JSON as many PHP servers do: `\u` escapes for characters outside ASCII, `\/` for a slash."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


def merged(record: JsonObject, changes: JsonObject) -> JsonObject:
    """Return a record with some fields changed; objects within it are merged in the same way."""
    after = dict(record)
    for name, value in changes.items():
        before = after.get(name)
        after[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return after
