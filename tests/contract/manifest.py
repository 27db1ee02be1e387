"""The manifest: the facts of the API as JSON, one parameter or field a line, so that a difference is easy to read.

It is in the package, where the sandbox makes its tables of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec

from tests.contract.facts import Facts, Operation, Schema

__all__ = ["MANIFEST", "dumps", "load", "loads", "plain"]

#: The manifest that the suite compares the code with.
MANIFEST = Path(__file__).parents[2] / "carecloud_async" / "sandbox" / "state" / "facts.json"


@attrs.frozen
class _File:
    operations: tuple[Operation, ...]
    schemas: tuple[Schema, ...]


def dumps(facts: Facts) -> str:
    """Write facts as JSON."""
    schemas = [schema for _, schema in sorted(facts.schemas.items())]
    document = {"operations": [*map(plain, facts.operations.values())], "schemas": [*map(plain, schemas)]}
    return "".join(_pretty(document, "")) + "\n"


def load(path: Path = MANIFEST) -> Facts:
    """Read a manifest from a file."""
    return loads(path.read_text(encoding="utf-8"))


def loads(text: str) -> Facts:
    """Read facts from JSON.

    Raises:
        ValueError: it is no manifest; the message says where.
    """
    file = msgspec.json.decode(text, type=_File)
    return Facts(
        operations={operation.operation_id: operation for operation in file.operations},
        schemas={schema.name: schema for schema in file.schemas},
    )


def plain(value: Any) -> Any:
    """Return facts as dicts and lists, without what is the default."""
    if isinstance(value, tuple):
        return [*map(plain, value)]
    if not attrs.has(type(value)):
        return value
    members = {field.name: (getattr(value, field.name), field.default) for field in attrs.fields(type(value))}
    return {name: plain(member) for name, (member, default) in members.items() if member not in (default, (), "")}


def _pretty(value: Any, indent: str) -> Iterator[str]:
    if not _holds_facts(value):
        yield json.dumps(value, ensure_ascii=False)
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    deeper = indent + " "
    between = opening
    for name, member in value.items() if isinstance(value, dict) else ((None, item) for item in value):
        yield f"{between}\n{deeper}" + ("" if name is None else f"{json.dumps(name)}: ")
        yield from _pretty(member, deeper)
        between = ","
    yield f"\n{indent}{closing}"


def _holds_facts(value: Any) -> bool:
    """Return whether a value is or holds a list of objects, which are written on lines of their own."""
    if isinstance(value, dict):
        return any(map(_holds_facts, value.values()))
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)
