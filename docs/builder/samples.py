"""A call of each operation and the sandbox's answer, as the reference shows them beside the method."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import anyio
import attrs
import httpx

from carecloud_async import CareCloud, CareCloudError
from carecloud_async._base.codec.fields import UNSET, api_names, core_types
from carecloud_async.models.base import Input
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.declare import Declared
from carecloud_async.sandbox import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    OTHER_CUSTOMER_APPLICATION_ID,
    USER_ID,
    USER_LOGIN,
    Sandbox,
)
from carecloud_async.sandbox.state.facts import (
    ApiOperation,
    Field,
    TablePlan,
    api_facts,
    api_plans,
    fields_of,
    known_values,
)
from carecloud_async.sandbox.state.made_up import Draw
from carecloud_async.sandbox.state.tables import RecordMaker

#: Lines of an answer that are shown, characters of a text in it, and of a line of code.
_LINES, _TEXT, _WIDTH = 10, 60, 88

_KNOWN: Mapping[str, Any] = {
    "customer_id": FIRST_CUSTOMER_ID,
    "original_customer_id": FIRST_CUSTOMER_ID,
    "customer_source_id": CUSTOMER_SOURCE_IDS[0],
    "external_application_id": OTHER_CUSTOMER_APPLICATION_ID,
    "user_external_application_id": CUSTOMER_APPLICATION_ID,
    "user_id": USER_ID,
    "login": USER_LOGIN,
    "password": CUSTOMER_PASSWORD,
    "login_type": "email",
    "login_value": FIRST_CUSTOMER_EMAIL,
    "email": FIRST_CUSTOMER_EMAIL,
}
_FORMATS = {"date": "2026-11-28", "timestamp": "2026-11-28 10:00:00", "time": "10:00:00"}
_SCALARS = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "object": {}, "any": "text"}


@dataclass(frozen=True)
class Sample:
    """A call, and what the server answered.

    Attributes:
        call: the call as Python.
        answer: the beginning of the answer's `data` as JSON; empty if it has none.
    """

    call: str
    answer: str


def samples() -> dict[str, Sample]:
    """Return a sample of each operation that an API user may call, by its dotted name from the client."""
    return anyio.run(_samples)


async def _samples() -> dict[str, Sample]:
    facts = {operation.operation_id: operation for operation in api_facts().operations}
    made: dict[str, Sample] = {}
    for operation in OPERATIONS.values():
        sample = await _sample(operation.call, facts[operation.operation_id])
        if sample is not None:
            made[operation.call] = sample
    return made


async def _sample(name: str, api: ApiOperation) -> Sample | None:
    """Return the sample of one operation; `None` if a user of the sandbox cannot make the call."""
    if api.interface == "customer" or api.template.startswith(("/tokens", "/users/actions")):
        return None
    sandbox = Sandbox(customers=5, records=5, seed=1, untidy=False)
    transport = _Keeping(sandbox)
    values = _Values(sandbox, api)
    async with CareCloud("sandbox.example", auth=sandbox.credentials(), transport=transport) as client:
        place, text = _place(client, name, values)
        method = getattr(place, name.rpartition(".")[2])
        try:
            arguments = values.arguments(method.declared)
            made = method(*arguments.positional, **arguments.named)
            await (made.page() if api.key else made)
        except (CareCloudError, TypeError):
            return None  # the operation needs more than its required arguments
    call = _call(f"await {text}.{name.rpartition('.')[2]}", arguments.written, ".page()" if api.key else "")
    return Sample(call=call, answer=_shown(transport.last))


class _Keeping(httpx.AsyncBaseTransport):
    """The sandbox, whose last answer is kept."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._inner = sandbox.transport()
        self.last = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        self.last = await response.aread()
        return response


@dataclass(frozen=True)
class _Arguments:
    positional: list[Any]
    named: dict[str, Any]

    @property
    def written(self) -> list[str]:
        """The arguments as they are written in Python."""
        return [*map(_written, self.positional), *(f"{name}={_written(value)}" for name, value in self.named.items())]


class _Values:
    """Values for a call of one operation, which exist on the sandbox."""

    def __init__(self, sandbox: Sandbox, api: ApiOperation) -> None:
        self._sandbox = sandbox
        self._api = api
        self._maker = RecordMaker(seed=1, refer=self._refer, untidy=False)
        self.ids = self._path_ids()

    def arguments(self, declared: Declared) -> _Arguments:
        """Return the arguments that a method needs; its parents' ids are bound already."""
        signature = declared.signature
        fields = {field.name: field for field in (*self._api.body, *self._api.query)}
        positional, named = [], {}
        for argument in signature.required:
            if argument in signature.in_path:
                value: Any = self.ids[signature.in_path[argument]]
            else:
                field = fields[signature.outside_path[argument]]
                value = _built(self._value(field), _hint(declared, argument))
            if argument in signature.positional:
                positional.append(value)
            else:
                named[argument] = value
        return _Arguments(positional, named)

    def _value(self, field: Field) -> Any:
        if field.name in _KNOWN and not field.many:
            return _KNOWN[field.name]
        if field.many:
            return [self._value(attrs.evolve(field, name="", type=field.item))]
        if fields_of(field.item):
            return self._record(field.item)
        if known := known_values(field):
            return known[0]
        table = api_plans().table_of_id.get(field.name)
        if table is not None:
            return self._refer(table, Draw("sample"), 0)
        return _FORMATS.get(field.format, _SCALARS.get(field.type.split("|")[0].removesuffix("[]"), "text"))

    def _record(self, schema: str) -> dict[str, Any]:
        """Return a record as the sandbox would make it, with the fields alone that must be sent."""
        made = self._maker.record(TablePlan(name="/samples", schema=schema, id_field=None), 1, record_id="", parent={})
        fields = [
            field for field in fields_of(schema) if field.required and not field.read_only and "." not in field.name
        ]
        record = {}
        for field in fields:
            is_plain = not fields_of(field.item) and field.name not in _KNOWN and made.get(field.name) is not None
            record[field.name] = made[field.name] if is_plain else self._value(field)
        return record

    def _path_ids(self) -> dict[str, str]:
        ids: dict[str, str] = {}
        for name, collection in self._api.path_records:
            ids[name] = self._first_id(name, collection, ids)
        return ids

    def _first_id(self, name: str, collection: str, parents: Mapping[str, str]) -> str:
        if name in _KNOWN and collection in {"/customers", "/users"}:
            return str(_KNOWN[name])
        plan = api_plans().lists[collection]
        resource = collection.replace("{" + str(plan.parent_name) + "}/", "")
        of = parents[str(plan.parent_name)] if plan.is_parents_table else None
        return self._sandbox.records(resource, of=of).ids()[0]

    def _refer(self, table: str, draw: Draw, number: int) -> str:
        del draw, number
        if table == "/customers":
            return FIRST_CUSTOMER_ID
        if table == "/users":
            return USER_ID
        return self._sandbox.tables.table(table, None).ids()[0]


def _place(client: CareCloud, name: str, values: _Values) -> tuple[Any, str]:
    """Return the family of an operation, bound to its parents, and how it is written."""
    place: Any = client
    text, ids = "client", list(values.ids.values())
    for part in name.split(".")[:-1]:
        place, text = getattr(place, part), f"{text}.{part}"
        if callable(place):
            parent = ids.pop(0)
            place, text = place(parent), f"{text}({_written(parent)})"
    return place, text


def _hint(declared: Declared, argument: str) -> Any:
    try:
        return declared.signature.hint(argument)
    except NameError:  # a type that is imported for type checkers alone is no input
        return None


def _built(value: Any, hint: Any) -> Any:
    """Return JSON as what an argument takes: inputs where these are due."""
    options = [hint, *get_args(hint)]
    if isinstance(value, list):
        inner = next((argument for option in options for argument in get_args(option)), None)
        return [_built(item, inner) for item in value]
    cls = next((option for option in options if isinstance(option, type) and issubclass(option, Input)), None)
    if cls is None or not isinstance(value, dict):
        return value
    types = core_types(cls)
    return cls(**{name: _built(value[known], types[name]) for name, known in api_names(cls).items() if known in value})


def _written(value: Any) -> str:
    if isinstance(value, Input):
        fields = [(field.alias, getattr(value, field.name)) for field in attrs.fields(type(value))]  # type: ignore[arg-type]
        arguments = ", ".join(f"{name}={_written(given)}" for name, given in fields if given is not UNSET)
        return f"{type(value).__name__}({arguments})"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(key)}: {_written(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _call(head: str, arguments: list[str], tail: str) -> str:
    """Return a call on one line, or with an argument a line."""
    line = f"{head}({', '.join(arguments)}){tail}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{head}(", *(f"    {_lines(argument, 4)}," for argument in arguments), f"){tail}"])


def _lines(code: str, indent: int) -> str:
    """Return code on one line, or, if it is too wide, with each item of its brackets on a line of its own."""
    opened = re.match(r'[\w.="]*(?:: )?[(\[{]', code)
    if indent + len(code) < _WIDTH or opened is None:
        return code
    start, end = opened[0], code[-1]
    items = [f"{' ' * (indent + 4)}{_lines(item, indent + 4)}," for item in _items(code[len(start) : -1])]
    return "\n".join([start, *items, f"{' ' * indent}{end}"])


def _items(code: str) -> list[str]:
    """Split at the commas that are in no brackets and in no text."""
    parts, depth = [""], 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|.', code):
        depth += (mark in {"(", "[", "{"}) - (mark in {")", "]", "}"})
        if mark == "," and not depth:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts if part.strip()]


def _shown(body: bytes) -> str:
    """Return the beginning of an answer's `data` as indented JSON."""
    if not body:
        return ""
    data = json.loads(body)["data"]
    for value in data.values() if isinstance(data, dict) else ():
        if isinstance(value, list):
            del value[1:]
    lines = json.dumps(data, indent=2, ensure_ascii=False).splitlines()
    lines = [re.sub(rf'("[^"]{{{_TEXT}}})[^"]*"', r'\1…"', line) for line in lines]
    return "\n".join([*lines[:_LINES], "…"] if len(lines) > _LINES else lines)
