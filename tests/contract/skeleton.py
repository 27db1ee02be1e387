"""The code to begin an operation with: a declared method, and the models that are not there yet; to be formatted."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from tests.contract.deviations import SEVERAL
from tests.contract.facts import PAGING, Facts, Operation, Schema, Value
from tests.contract.naming import ANSWERS, NOT_MODELS, class_name, options, snake, writable

__all__ = ["skeleton"]

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "JsonObject"}
_FORMATS = {"date": "date", "timestamp": "LocalDatetime", "time": "time"}
_ARGUMENTS = {"date": "date | str", "timestamp": "datetime | str", "time": "time | str"}
_DECORATORS = {"GET": "gets", "POST": "posts", "PUT": "puts", "DELETE": "deletes"}
_PLAIN = {"GET": "get", "POST": "create", "PUT": "replace", "DELETE": "delete"}
_INTERFACES = {"enterprise": "ENTERPRISE_ONLY", "customer": "CUSTOMER_ONLY"}


def skeleton(facts: Facts, operation_id: str) -> str:
    """Return the method of an operation, then the classes of its schemas that the SDK lacks."""
    operation = facts.operations[operation_id]
    parts = [_method(facts, operation)]
    if operation.answer.kind == "fields" and len(operation.answer.fields) > 1 and operation_id not in ANSWERS:
        answer = Schema(name=_answer_name(operation), fields=operation.answer.fields)
        parts.append(_model(facts, answer))
    read = _closure(facts, [operation.answer.type, *(value.type for value in operation.answer.fields)], written=False)
    parts += [_model(facts, facts.schemas[name]) for name in read if not _exists(class_name(name))]
    sent = _closure(facts, [value.type for value in operation.body], written=True)
    parts += [_input(facts, facts.schemas[name]) for name in sent if not _exists(f"{class_name(name)}Input")]
    if operation.verb == "PUT":
        parts += [_changes(facts, facts.schemas[name]) for name in sent if not _exists(f"{class_name(name)}Changes")]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _exists(name: str) -> bool:
    from carecloud_async import models

    return hasattr(models, name)


def _closure(facts: Facts, types: list[str], *, written: bool) -> list[str]:
    """Return the schemas that types mention, those that others need first."""
    found: list[str] = []
    for kind in types:
        for name in options(kind):
            if name in facts.schemas and name not in found and name not in NOT_MODELS:
                schema = facts.schemas[name]
                fields = writable(facts, schema) if written else schema.fields
                mentioned = [value.type for value in fields if name not in options(value.type)]
                found += [one for one in _closure(facts, mentioned, written=written) if one not in found]
                found.append(name)
    return found


def _method(facts: Facts, operation: Operation) -> str:
    lists = operation.answer.kind == "list"
    arguments = ", ".join(["self", *_arguments(facts, operation)])
    only = {"enterprise": " Enterprise API only.", "customer": " Customer API only."}.get(operation.interface, "")
    lines = [
        _decorator(facts, operation),
        f"{'' if lists else 'async '}def {_name(operation)}({arguments}) -> {_result(facts, operation)}:",
        f'    """TODO (`{operation.verb} {operation.path}`).{only}"""',
    ]
    return "\n".join(f"    {line}" for line in lines)


def _decorator(facts: Facts, operation: Operation) -> str:
    answer = operation.answer
    words = [f'"{operation.operation_id}"', f'"{operation.path}"']
    if answer.kind == "list":
        words += [] if answer.key == snake(operation.path.rpartition("/")[2]) else [f'"{answer.key}"']
        words.append(f"id_field={_key(facts, operation)}")
        words += ['method="POST"'] if operation.verb == "POST" else []
        words += [] if operation.paged else ["paged=False"]
    elif answer.kind == "fields" and len(answer.fields) == 1:
        words.append(f'unwrap="{answer.fields[0].name}"')
    if operation.verb == "DELETE" and operation.body:
        words.append("has_body=True")
    if operation.interface in _INTERFACES:
        words.append(f"interfaces={_INTERFACES[operation.interface]}")
    if not operation.authorized:
        words.append("authorized=False")
    if operation.verb == "POST" and answer.kind != "list" and _only_reads(operation):
        words.append("safe_to_repeat=True")
    name = "lists" if answer.kind == "list" else _DECORATORS[operation.verb]
    return f"@{name}({', '.join(words)})"


def _only_reads(operation: Operation) -> bool:
    return bool(re.search(r"/(validate|check|verify)-", operation.path))


def _key(facts: Facts, operation: Operation) -> str:
    """Guess the field that names a record."""
    singular = re.sub(r"ies$", "y", operation.answer.key).removesuffix("s")
    schema = facts.schemas.get(operation.answer.type)
    names = [value.name for value in schema.fields if value.name.endswith("_id")] if schema else []
    guess = f"{singular}_id" if f"{singular}_id" in names else next(iter(names), None)
    return f'"{guess}"' if guess else "None"


def _name(operation: Operation) -> str:
    last = [part for part in operation.path.split("/") if not part.startswith("{")][-1]
    if "/actions/" in operation.path or last == "batch":
        name = snake(last)
        return _safe(name)
    return "list" if operation.answer.kind == "list" else _PLAIN[operation.verb]


def _arguments(facts: Facts, operation: Operation) -> Iterator[str]:
    own = (
        operation.path_names
        if operation.path.count("/") <= 2 or "/actions/" in operation.path
        else operation.path_names[1:]
    )
    yield from (f"{name}: str" for name in own)
    record = next((value for value in operation.body if value.required and value.item in facts.schemas), None)
    if record is not None:
        yield f"{record.name}: {_argument(facts, record, operation)}"
    paging = operation.paged and {*PAGING} <= {value.name for value in operation.query}
    query = [value for value in operation.query if not (paging and value.name in PAGING)]
    body = [value for value in operation.body if "." not in value.name and value is not record]
    values = sorted((*query, *body), key=lambda value: not value.required)
    if values:
        yield "*"
    for value in values:
        kind = _argument(facts, value, operation)
        yield f"{value.name}: {kind}" if value.required else f"{value.name}: {kind} | None = None"
    if paging:
        yield "**paging: Unpack[Paging]"


def _argument(facts: Facts, value: Value, operation: Operation) -> str:
    if value.format in _ARGUMENTS and not value.many:
        return _ARGUMENTS[value.format]
    if value.name in SEVERAL.get(operation.operation_id, ()):
        return "str | Sequence[str]"
    kinds = [_kind(facts, option, suffix="Input", listed="Sequence[{}]") for option in value.type.split("|")]
    return " | ".join(dict.fromkeys(kinds))


def _kind(facts: Facts, kind: str, *, suffix: str, listed: str) -> str:
    if kind.endswith("[]"):
        return listed.format(_kind(facts, kind[:-2], suffix=suffix, listed=listed))
    if kind in facts.schemas:
        schema = facts.schemas[kind]
        return (
            f"{class_name(kind)}{suffix}" if schema.fields else _kind(facts, schema.type, suffix=suffix, listed=listed)
        )
    return _SCALARS.get(kind, "JsonValue")


def _result(facts: Facts, operation: Operation) -> str:
    answer = operation.answer
    if answer.kind == "list":
        return f"Listing[{class_name(answer.type)}]"
    if answer.kind == "schema":
        return class_name(answer.type)
    if answer.kind == "nothing":
        return "None"
    if len(answer.fields) == 1:
        return _field_type(facts, answer.fields[0])
    return ANSWERS.get(operation.operation_id) or _answer_name(operation)


def _answer_name(operation: Operation) -> str:
    return class_name(re.sub(r"^(get|post|put|delete)", "", operation.operation_id))


def _model(facts: Facts, schema: Schema) -> str:
    lines = ["@frozen(kw_only=True, repr=False)", f"class {class_name(schema.name)}(Model):", '    """TODO."""', ""]
    for value in _named(schema):
        kind = _field_type(facts, value)
        if value.name == f"{snake(class_name(schema.name))}_id" and value.read_only:
            lines += [f"    {value.name}: {kind} = field(metadata=READ_ONLY)", '    """TODO."""']
            continue
        if value.many:
            default = "()"
        elif value.item in facts.schemas and facts.schemas[value.item].fields:
            default = f"{class_name(value.item)}()"
        else:
            kind, default = f"{kind} | None", "None"
        only = value.read_only or schema.read_only
        lines.append(
            f"    {_safe(value.name)}: {kind} = "
            + (f"field(default={default}, metadata=READ_ONLY)" if only else default)
        )
        lines.append('    """TODO."""')
    return "\n".join(lines)


def _field_type(facts: Facts, value: Value) -> str:
    if value.format in _FORMATS and not value.many:
        return _FORMATS[value.format]
    kinds = [_kind(facts, option, suffix="", listed="tuple[{}, ...]") for option in value.type.split("|")]
    return " | ".join(dict.fromkeys(kinds)) if len(kinds) == 1 else "JsonValue"


def _input(facts: Facts, schema: Schema) -> str:
    name = class_name(schema.name)
    lines = ["@frozen(kw_only=True, repr=False)", f"class {name}Input(Input, reads={name}):", '    """TODO."""', ""]
    for value in sorted(writable(facts, schema), key=lambda one: not one.required):
        kind = _written_type(facts, value, "Input")
        lines.append(f"    {_safe(value.name)}: {kind}" + ("" if value.required else " | Unset | None = UNSET"))
    return "\n".join(lines)


def _changes(facts: Facts, schema: Schema) -> str:
    name = f"{class_name(schema.name)}Changes"
    fields = [(value.name, f"{_written_type(facts, value, 'Changes')} | None") for value in writable(facts, schema)]
    lines = [f"class {name}(TypedDict, total=False):", '    """TODO."""', ""]
    return "\n".join([*lines, *(f"    {_safe(field)}: {kind}" for field, kind in fields)])


def _written_type(facts: Facts, value: Value, suffix: str) -> str:
    if value.format in _ARGUMENTS and not value.many:
        return _ARGUMENTS[value.format]
    kinds = [_kind(facts, option, suffix=suffix, listed="Sequence[{}]") for option in value.type.split("|")]
    return kinds[0] if len(kinds) == 1 else "JsonValue"


def _named(schema: Schema) -> list[Value]:
    """Return the fields that stand in the schema itself."""
    return [value for value in schema.fields if "." not in value.name]


def _safe(name: str) -> str:
    """Return a name that an attribute may have; `from` needs care everywhere else as well."""
    return f"{name}_" if keyword.iskeyword(name) else name
