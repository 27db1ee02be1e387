"""What differs between two versions of the description: facts that are gone, and facts that are new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.contract.facts import Facts
from tests.contract.manifest import plain

__all__ = ["differences"]


def differences(known: Facts, now: Facts) -> list[str]:
    """Return a line for each fact that is gone (`-`) or new (`+`), sorted by operation or schema."""
    before, after = {*_lines(known)}, {*_lines(now)}
    changed = [*((line, "-") for line in before - after), *((line, "+") for line in after - before)]
    return [
        f"{sign} {line}" for line, sign in sorted(changed, key=lambda change: (change[0].split(": ")[0], change[1]))
    ]


def _lines(facts: Facts) -> Iterator[str]:
    """Yield each fact as a line; the order in which the description says them means nothing."""
    for name, subject in {**facts.operations, **facts.schemas}.items():
        own = _sorted(plain(subject))
        answer = own.get("answer", {})
        for part, values in (
            ("query parameter", own.pop("query", ())),
            ("body field", own.pop("body", ())),
            ("field", own.pop("fields", ())),
            ("answer field", answer.pop("fields", ())),
        ):
            yield from (f"{name}, {part} {value.pop('name')}: {json.dumps(value)}" for value in values)
        yield f"{name}: {json.dumps(own)}"


def _sorted(value: Any) -> Any:
    """Return a fact with its keys and its lists of texts and numbers in order."""
    if isinstance(value, dict):
        return {name: _sorted(member) for name, member in sorted(value.items())}
    if isinstance(value, list):
        members = [_sorted(member) for member in value]
        return members if any(isinstance(member, dict) for member in members) else sorted(members, key=str)
    return value
