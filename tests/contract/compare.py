"""What is to be done when the description changes, worst first: one line for each thing, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from tests.contract.facts import Facts, Operation, Schema, Value

__all__ = ["BREAKS", "NEW", "Task", "compare"]

#: What a caller notices, worst first.
BREAKS = (
    "operation removed",
    "moved",
    "interface narrowed",
    "schema removed",
    "name removed",
    "type changed",
    "answer changed",
    "now required",
    "now read-only",
    "value removed",
)
#: What only adds something.
NEW = ("new operation", "new schema", "new name", "new value", "widened", "noted", "format")
_RANK = {name: rank for rank, name in enumerate((*BREAKS, *NEW))}


@frozen(kw_only=True)
class Task:
    """One line of the list.

    Attributes:
        kind: one of `BREAKS` or `NEW`.
        subjects: the operations or schemas it concerns.
        text: what to do.
    """

    kind: str
    subjects: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        mark = "breaks" if self.kind in BREAKS else "new"
        return f"{mark:6}  {', '.join(self.subjects)}: {self.text}"


def compare(known: Facts, found: Facts) -> list[Task]:
    """List what is to be done so that the SDK, which knows `known`, fits `found`; worst first."""
    tasks = [*_operations(known, found), *_schemas(known, found)]
    merged: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        merged.setdefault((task.kind, task.text), []).extend(task.subjects)
    together = [
        Task(kind=kind, text=text, subjects=tuple(dict.fromkeys(subjects))) for (kind, text), subjects in merged.items()
    ]
    return sorted(together, key=lambda task: (_RANK[task.kind], task.subjects))


def _operations(known: Facts, found: Facts) -> Iterator[Task]:
    places = {(one.verb, one.path): one for one in found.operations.values()}
    renamed: dict[str, str] = {}
    for name, was in known.operations.items():
        now = found.operations.get(name) or places.get((was.verb, was.path))
        if now is None:
            text = f"remove the operation and its method: {was.verb} {was.path} is gone"
            yield Task(kind="operation removed", subjects=(name,), text=text)
            continue
        if now.operation_id != name:
            renamed[now.operation_id] = name
            yield Task(
                kind="noted",
                subjects=(name,),
                text=f"rename the operation to {now.operation_id}; nothing is sent otherwise",
            )
        yield from (Task(kind=kind, subjects=(name,), text=text) for kind, text in _operation(was, now))
    for name, now in found.operations.items():
        if name not in known.operations and name not in renamed:
            text = f"add {now.verb} {now.path}"
            yield Task(kind="new operation", subjects=(name,), text=text)


def _operation(was: Operation, now: Operation) -> Iterator[tuple[str, str]]:
    if (was.verb, was.path) != (now.verb, now.path):
        yield "moved", f"send {now.verb} {now.path} instead of {was.verb} {was.path}"
    if was.authorized != now.authorized:
        yield "moved", "send the token" if now.authorized else "send no token any more"
    if was.interface != now.interface:
        only = f"{now.interface.capitalize()} API only" if now.interface != "both" else "both interfaces"
        kind = "widened" if now.interface == "both" else "interface narrowed"
        yield kind, f"declare it for {only} (was {was.interface})"
    if now.deprecated and not was.deprecated:
        yield "noted", "say in the docstring that it is deprecated"
    yield from _values(was.query, now.query, what="query parameter", sent=True)
    yield from _values(was.body, now.body, what="body field", sent=True)
    yield from _answer(was, now)


def _answer(was: Operation, now: Operation) -> Iterator[tuple[str, str]]:
    before, after = was.answer, now.answer
    if before.kind != after.kind or before.type != after.type:
        yield "answer changed", f"return {_said(now)} instead of {_said(was)}"
    elif before.key != after.key:
        yield "answer changed", f"read the list from `{after.key}` instead of `{before.key}`"
    else:
        yield from _values(before.fields, after.fields, what="answer field", sent=False)
    if before.statuses != after.statuses:
        yield "noted", f"expect {' or '.join(after.statuses) or 'no success'} instead of {' or '.join(before.statuses)}"
    for status in sorted({*now.failures} - {*was.failures}):
        yield "noted", f"see that the failure {status} has its error class; it is announced now"


def _said(one: Operation) -> str:
    answer = one.answer
    if answer.kind == "list":
        return f"a list of {answer.type}"
    if answer.kind == "fields":
        return f"an answer of {', '.join(value.name for value in answer.fields)}"
    return answer.type or "nothing"


def _schemas(known: Facts, found: Facts) -> Iterator[Task]:
    written = _written(found)
    for name, was in known.schemas.items():
        now = found.schemas.get(name)
        if now is None:
            yield Task(kind="schema removed", subjects=(name,), text="remove its classes: the schema is gone")
            continue
        for kind, text in _schema(was, now, sent=name in written):
            yield Task(kind=kind, subjects=(name,), text=text)
    for name, now in found.schemas.items():
        if name not in known.schemas:
            names = ", ".join(value.name for value in now.fields) or now.type
            yield Task(kind="new schema", subjects=(name,), text=f"add its classes ({names})")


def _schema(was: Schema, now: Schema, *, sent: bool) -> Iterator[tuple[str, str]]:
    if was.type != now.type:
        yield "type changed", f"make it {now.type} instead of {was.type}"
    if now.read_only and not was.read_only:
        yield "now read-only", "leave it out of every input: only the server writes it now"
    if was.read_only and not now.read_only:
        yield "widened", "it may be written now: give it an input"
    yield from _listed(was.enum, now.enum, "it")
    yield from _values(was.fields, now.fields, what="field", sent=sent and not now.read_only)


def _values(was: Iterable[Value], now: Iterable[Value], *, what: str, sent: bool) -> Iterator[tuple[str, str]]:
    """Compare what has a name; `sent` says whether a caller sends it."""
    before, after = {value.name: value for value in was}, {value.name: value for value in now}
    for name in before.keys() - after.keys():
        if not _parent_gone(name, before, after):
            yield "name removed", f"remove the {what} `{name}`: it is gone"
    for name, value in after.items():
        if name in before:
            yield from _value(before[name], value, what, sent=sent)
        elif sent and value.required and not value.read_only and "." not in name:
            yield "now required", f"add the {what} `{name}` ({_shown(value)}): it is new, and must be sent"
        else:
            yield "new name", f"add the {what} `{name}` ({_shown(value)})"


def _value(was: Value, now: Value, what: str, *, sent: bool) -> Iterator[tuple[str, str]]:
    name = f"the {what} `{now.name}`"
    if was.type != now.type:
        yield "type changed", f"make {name} {_shown(now)} instead of {_shown(was)}"
    elif was.format != now.format:
        yield (
            "format",
            f"see whether {name} is {now.format or 'plain text'}: its example was {was.format or 'plain text'}",
        )
    if was.read_only != now.read_only:
        if now.read_only:
            yield "now read-only", f"leave {name} out of inputs and changes: only the server writes it now"
        else:
            yield "widened", f"add {name} to inputs and changes: it may be written now"
    writable = sent and not now.read_only
    if now.required and not was.required:
        yield (
            ("now required" if writable else "noted"),
            f"make {name} required" if writable else f"{name} is always there now",
        )
    if was.required and not now.required:
        yield ("widened" if writable else "noted"), f"give {name} a default: it is required no more"
    if now.nullable and not was.nullable:
        yield "noted", f"let {name} be null"
    if now.deprecated and not was.deprecated:
        yield "noted", f"say in the docstring that {name} is deprecated"
    yield from _listed(was.enum, now.enum, name)


def _listed(
    was: tuple[str | int | float, ...], now: tuple[str | int | float, ...], name: str
) -> Iterator[tuple[str, str]]:
    if was and not now:
        yield "widened", f"{name} takes any value now: see whether its enum still helps"
    elif now and not was:
        yield "noted", f"give {name} an enum of its values: {_list(now)}"
    else:
        gone, more = [one for one in was if one not in now], [one for one in now if one not in was]
        if gone:
            yield "value removed", f"{name} no longer takes {_list(gone)}: remove it from the enum"
        if more:
            yield "new value", f"add {_list(more)} to the enum of {name}"


def _parent_gone(name: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    """Whether a field is gone only because the object that held it is, or has got a schema of its own."""
    parent = name.rpartition(".")[0].removesuffix("[]")
    return bool(parent) and (parent not in after or after[parent].type != before[parent].type)


def _written(facts: Facts) -> set[str]:
    """The schemas that a body holds, directly or within another."""
    queue = [value.item for one in facts.operations.values() for value in one.body]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in facts.schemas and name not in seen:
            seen.add(name)
            queue += [
                facts.schemas[name].type,
                *(value.item for value in facts.schemas[name].fields if not value.read_only),
            ]
    return seen


def _shown(value: Value) -> str:
    return f"{value.type}, {value.format}" if value.format else value.type


def _list(values: Iterable[str | int | float]) -> str:
    return ", ".join(map(repr, values))
