"""The manifest: the facts of the API as text, one a line, in an order that makes a difference easy to read.

    getCards GET /cards paged enterprise -> 200 list cards Card
    getCards ?customer_id string
    postCard POST /cards -> 201
    postCard <card Card required
    postCard >card_id string
    putCard PUT /cards/{card_id} -> 204
    Card.valid_from string(timestamp) required enum=[…]
    Reward : object readonly

`?` is a query parameter, `<` a field of the body, `>` a field of the answer, `.` a field of a schema. `paged` stands
for the four parameters of paging where they are the usual ones. The usual statuses of failures are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import evolve

from tests.contract.facts import PAGING, Answer, Facts, Operation, Schema, Value

__all__ = ["MANIFEST", "dumps", "load", "loads"]

#: The manifest that the suite holds the code to.
MANIFEST = Path(__file__).with_name("manifest.txt")

_HEADER = (
    "# What the API offers: see tests/contract/manifest.py. Made by: python -m tests.contract --write-manifest FILE"
)
_PAGING = (
    Value(name="count", type="integer"),
    Value(name="offset", type="integer"),
    Value(name="sort_field", type="string"),
    Value(name="sort_direction", type="string", enum=("ASC", "DESC")),
)
_FAILURES = ("400", "401", "403", "404", "405", "429", "500", "503")
_FLAGS = {"required": "required", "readonly": "read_only", "nullable": "nullable", "deprecated": "deprecated"}
_TYPE = re.compile(r"(?P<type>.+?)(?:\((?P<format>[\w-]+)\))?")


def dumps(facts: Facts) -> str:
    """Write facts as text."""
    lines = [line for one in facts.operations.values() for line in _operation(one)]
    lines += [line for _, one in sorted(facts.schemas.items()) for line in _schema(one)]
    return "\n".join([_HEADER, *lines, ""])


def load(path: Path = MANIFEST) -> Facts:
    """Read a manifest from a file."""
    return loads(path.read_text(encoding="utf-8"))


def loads(text: str) -> Facts:
    """Read facts from text.

    Raises:
        ValueError: a line is not understood.
    """
    operations: dict[str, Operation] = {}
    schemas: dict[str, Schema] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            _take(line, operations, schemas)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(f"line {number} of the manifest is not understood: {line}") from error
    return Facts(operations=operations, schemas=schemas)


def _take(line: str, operations: dict[str, Operation], schemas: dict[str, Schema]) -> None:
    subject, rest = line.split(" ", 1)
    if rest[0] in "?<>":
        operations[subject] = _with(operations[subject], rest[0], _value_of(rest[1:]))
    elif rest[0] == ":":
        value = _value_of(f"schema {rest[2:]}")
        schemas[subject] = Schema(name=subject, type=value.type, read_only=value.read_only, enum=value.enum)
    elif " -> " in rest:
        operations[subject] = _operation_of(subject, rest)
    else:
        name, field = subject.split(".", 1)
        schema = schemas.get(name) or Schema(name=name)
        schemas[name] = evolve(schema, fields=(*schema.fields, _value_of(f"{field} {rest}")))


def _operation(one: Operation) -> Iterator[str]:
    usual = one.query[: len(PAGING)] == _PAGING
    failures = tuple(status for status in _FAILURES if one.authorized or status != "401")
    words = [
        *(["paged"] if usual else []),
        *([one.interface] if one.interface != "both" else []),
        *(["no-token"] if not one.authorized else []),
        *(["deprecated"] if one.deprecated else []),
        "->",
        ",".join(one.answer.statuses) or "-",
        *(["list", one.answer.key] if one.answer.key else []),
        *([one.answer.type] if one.answer.type else []),
        *([f"failures={','.join(one.failures)}"] if one.failures != failures else []),
    ]
    yield " ".join([one.operation_id, one.verb, one.path, *words])
    for mark, values in (("?", one.query[len(PAGING) :] if usual else one.query), ("<", one.body)):
        yield from (f"{one.operation_id} {mark}{_line(value)}" for value in values)
    yield from (f"{one.operation_id} >{_line(value)}" for value in one.answer.fields)


def _operation_of(operation_id: str, rest: str) -> Operation:
    before, after = rest.split(" -> ", 1)
    verb, path, *words = before.split()
    statuses, *result = after.split()
    authorized = "no-token" not in words
    failures = tuple(status for status in _FAILURES if authorized or status != "401")
    if result and result[-1].startswith("failures="):
        failures = tuple(filter(None, result.pop().removeprefix("failures=").split(",")))
    key = ""
    if result[:1] == ["list"]:
        key, *result = result[1:]
    return Operation(
        operation_id=operation_id,
        verb=verb,
        path=path,
        interface=next((word for word in words if word in {"enterprise", "customer"}), "both"),
        authorized=authorized,
        deprecated="deprecated" in words,
        path_names=tuple(re.findall(r"\{([^}]+)\}", path)),
        query=_PAGING if "paged" in words else (),
        answer=Answer(
            statuses=() if statuses == "-" else tuple(statuses.split(",")), key=key, type=result[0] if result else ""
        ),
        failures=failures,
    )


def _with(one: Operation, mark: str, value: Value) -> Operation:
    if mark == "?":
        return evolve(one, query=(*one.query, value))
    if mark == "<":
        return evolve(one, body=(*one.body, value))
    return evolve(one, answer=evolve(one.answer, fields=(*one.answer.fields, value)))


def _schema(one: Schema) -> Iterator[str]:
    if one.read_only or one.enum or not one.fields or one.type != "object":
        yield f"{one.name} : {_line(Value(name='', type=one.type, read_only=one.read_only, enum=one.enum)).strip()}"
    yield from (f"{one.name}.{_line(value)}" for value in one.fields)


def _line(value: Value) -> str:
    kind = f"{value.type}({value.format})" if value.format else value.type
    words: Iterable[str] = (word for word, name in _FLAGS.items() if getattr(value, name))
    enum = [f"enum={json.dumps(value.enum, ensure_ascii=False)}"] if value.enum else []
    return " ".join([value.name, kind, *words, *enum])


def _value_of(text: str) -> Value:
    text, _, enum = text.partition(" enum=")
    name, kind, *flags = text.split(" ")
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise ValueError(kind)
    return Value(
        name=name,
        type=match["type"],
        format=match["format"] or "",
        enum=tuple(json.loads(enum)) if enum else (),
        **{_FLAGS[flag]: True for flag in flags},
    )
