"""The facts that the sandbox makes its tables from: the manifest without what a server of made-up records can spare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from tests.contract import manifest
from tests.contract.deviations import SEVERAL
from tests.contract.facts import Facts, Operation, Schema, Value

__all__ = ["FILE", "dumps"]

#: The facts as the package carries them.
FILE = Path(__file__).parents[2] / "carecloud_async" / "sandbox" / "state" / "facts.txt"

_HEADER = "# Facts of the API: see facts.py beside this file. Made by: python -m tests.contract --sandbox-tables"
_FAILURES = ("400", "401", "403", "404", "405", "429", "500", "503")


def dumps(facts: Facts) -> str:
    """Write the facts that the sandbox needs as text, in the manifest's form."""
    operations = {name: _operation(one) for name, one in facts.operations.items()}
    schemas = {name: _schema(facts.schemas[name]) for name in sorted(_reachable(facts))}
    _, lines = manifest.dumps(Facts(operations=operations, schemas=schemas)).split("\n", 1)
    return f"{_HEADER}\n{lines}"


def _operation(one: Operation) -> Operation:
    several = SEVERAL.get(one.operation_id, set())
    query = tuple(evolve(value, type="string|string[]") if value.name in several else value for value in one.query)
    failures = tuple(status for status in _FAILURES if one.authorized or status != "401")
    return evolve(
        one,
        deprecated=False,
        failures=failures,
        query=tuple(_kept(value) for value in query),
        body=tuple(_kept(value) for value in one.body),
    )


def _schema(one: Schema) -> Schema:
    return evolve(one, read_only=False, fields=tuple(_kept(value) for value in one.fields))


def _kept(value: Value) -> Value:
    return evolve(value, deprecated=False)


def _reachable(facts: Facts) -> set[str]:
    waiting = [name for one in facts.operations.values() for name in _named(one)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in facts.schemas and name not in found:
            found.add(name)
            waiting += [value.item for value in facts.schemas[name].fields]
            waiting.append(facts.schemas[name].type)
    return found


def _named(one: Operation) -> Iterator[str]:
    yield one.answer.type
    yield from (value.item for value in (*one.body, *one.answer.fields))
