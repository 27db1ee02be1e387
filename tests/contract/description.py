"""Read an OpenAPI description into facts: references followed, order and prose left behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.contract.facts import PAGING, Answer, Facts, Operation, Schema, Value
from tests.contract.prose import interface

__all__ = ["DESCRIPTION", "UnreadableError", "facts_of", "load", "read"]

#: Where the vendor's file is looked for: beside the project.
DESCRIPTION = Path(__file__).parents[2].parent / "shared/api/openapi.yaml"

_VERBS = ("get", "head", "post", "put", "patch", "delete")
_FORMATS = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "timestamp": re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?"),
    "time": re.compile(r"\d{2}:\d{2}:\d{2}"),
}
#: Formats that say nothing about how a value is read.
_IDLE = {"float", "double", "int32", "int64", "password", "email", "uri", "uuid"}
_DEEPEST = 12


class UnreadableError(Exception):
    """The file cannot be read as a description."""


def load(path: Path) -> dict[str, Any]:
    """Read a description as it is.

    Raises:
        UnreadableError: the file is absent, not YAML, or not a description.
    """
    try:
        import yaml
    except ImportError:
        raise UnreadableError("PyYAML is not installed") from None
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableError(f"cannot read {path}: {type(error).__name__}") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise UnreadableError(f"{path} is not an OpenAPI description: it has no paths")
    return document


def read(path: Path) -> Facts:
    """Read the facts of a description.

    Raises:
        UnreadableError: the file is absent, not YAML, or not a description.
    """
    description = load(path)
    try:
        return facts_of(description)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{path} is not a description that can be understood: {error!r}") from error


def facts_of(description: Mapping[str, Any]) -> Facts:
    """Return the facts of a description that has been read."""
    reader = _Reader(description)
    operations = sorted(
        reader.operations(), key=lambda operation: (operation.path, _VERBS.index(operation.verb.lower()))
    )
    names = sorted(description.get("components", {}).get("schemas", {}))
    return Facts(
        operations={operation.operation_id: operation for operation in operations},
        schemas={name: reader.schema(name) for name in names},
    )


class _Reader:
    """Reads one description.

    Args:
        description: the whole file.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._description = description
        self._security = description.get("security", [])

    def operations(self) -> Iterator[Operation]:
        """Every operation."""
        for path, item in self._description["paths"].items():
            for verb in _VERBS:
                if isinstance(item.get(verb), dict):
                    yield self.operation(verb, path, item[verb], item.get("parameters", ()))

    def operation(self, verb: str, path: str, described: Mapping[str, Any], shared: Any) -> Operation:
        """Return one operation."""
        own = [self._resolved(parameter) for parameter in (*shared, *described.get("parameters", ()))]
        parameters = {(parameter["in"], parameter["name"]): parameter for parameter in own}  # the last one counts
        statuses = {str(status): self._resolved(answer) for status, answer in described.get("responses", {}).items()}
        body = self._json(self._resolved(described.get("requestBody", {})))
        security = described.get("security", self._security)
        return Operation(
            operation_id=described.get("operationId") or f"{verb} {path}".replace(" ", ":"),
            verb=verb.upper(),
            path=path,
            interface=interface(described.get("summary", ""), described.get("description", "")),
            authorized=bool(security) and {} not in security,
            deprecated=bool(described.get("deprecated")),
            path_names=tuple(re.findall(r"\{([^}]+)\}", path)),
            query=_paging_first(
                self._parameter(parameter) for (place, _), parameter in parameters.items() if place == "query"
            ),
            body=self.fields(body),
            answer=self._answer({s: self._json(a) for s, a in statuses.items() if s.startswith("2")}),
            failures=tuple(sorted(status for status in statuses if not status.startswith("2"))),
        )

    def schema(self, name: str) -> Schema:
        """Return one named schema."""
        schema = self._description["components"]["schemas"][name]
        if "$ref" in schema:
            return Schema(name=name, type=_name(schema["$ref"]))
        fields = self.fields(schema)
        return Schema(
            name=name,
            type="object" if fields else self._type(schema),
            read_only=bool(schema.get("readOnly")),
            enum=_enum(schema),
            fields=fields,
        )

    def fields(self, schema: Mapping[str, Any], prefix: str = "", depth: int = 0) -> tuple[Value, ...]:
        """Return the fields of an object, those of objects without a name inside it as well, in the file's order."""
        if depth > _DEEPEST:
            raise ValueError(f"objects are nested too deeply at {prefix!r}")
        properties, required = self._properties(schema)
        values: list[Value] = []
        for name, prop in properties.items():
            values.append(self._value(f"{prefix}{name}", prop, required=name in required))
            for inner, mark in _inner(prop):
                values += self.fields(inner, f"{prefix}{name}{mark}.", depth + 1)
        return tuple(values)

    def _properties(self, schema: Mapping[str, Any], depth: int = 0) -> tuple[dict[str, Any], set[str]]:
        """Return the properties and the required names of a schema and all that it is made of."""
        if depth > _DEEPEST:
            raise ValueError("schemas are made of each other in a circle")
        schema = self._resolved(schema)
        properties, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
        parts = [self._properties(part, depth + 1) for part in schema.get("allOf", ())]
        for more, names in parts:
            properties = {**more, **properties} if not properties else {**properties, **more}
            required |= names
        return properties, required

    def _parameter(self, parameter: Mapping[str, Any]) -> Value:
        schema = {**parameter.get("schema", {})}
        if "example" in parameter:
            schema["example"] = parameter["example"]
        schema["deprecated"] = parameter.get("deprecated", schema.get("deprecated", False))
        return self._value(parameter["name"].removesuffix("[]"), schema, required=bool(parameter.get("required")))

    def _value(self, name: str, schema: Mapping[str, Any], *, required: bool) -> Value:
        kind = self._type(schema)
        return Value(
            name=name,
            type=kind,
            format=_format(schema, kind),
            pattern=schema.get("pattern", ""),
            required=required,
            read_only=bool(schema.get("readOnly")),
            nullable=bool(schema.get("nullable")) or "null" in _types(schema),
            deprecated=bool(schema.get("deprecated")),
            enum=_enum(schema),
        )

    def _type(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            return _name(schema["$ref"])
        options = schema.get("oneOf") or schema.get("anyOf")
        if options:
            return "|".join(dict.fromkeys(self._type(option) for option in options))
        parts = schema.get("allOf")
        if parts:
            named = [part for part in parts if "$ref" in part]
            alone = len(named) == 1 and not any(part.get("properties") for part in parts)
            return _name(named[0]["$ref"]) if alone else "object"
        types = [kind for kind in _types(schema) if kind != "null"]
        if types == ["array"] or "items" in schema:
            inner = self._type(schema.get("items") or {})
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        return "|".join(types) or ("object" if "properties" in schema else "any")

    def _answer(self, successes: Mapping[str, Mapping[str, Any]]) -> Answer:
        statuses = tuple(sorted(successes))
        data = next((body for _, body in sorted(successes.items()) if body), {})
        data = self._properties(data)[0].get("data", {})
        if "$ref" in data:
            return Answer(statuses=statuses, type=_name(data["$ref"]))
        fields = self.fields(data)
        lists = [value for value in fields if value.many and "." not in value.name]
        if "total_items" in {value.name for value in fields} and len(lists) == 1:
            return Answer(statuses=statuses, key=lists[0].name, type=lists[0].item)
        return Answer(statuses=statuses, fields=fields, type="" if fields or not data else self._type(data))

    def _json(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema of a body, whatever its media type."""
        content = message.get("content") or {}
        media: Any = content.get("application/json") or next(iter(content.values()), {})
        return self._resolved(media.get("schema", {}))

    def _resolved(self, thing: Any) -> dict[str, Any]:
        """Follow references to what they stand for."""
        for _ in range(_DEEPEST):
            if "$ref" not in thing:
                return dict(thing)
            target: Any = self._description
            for part in thing["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            thing = target
        raise ValueError(f"references go round in a circle at {thing['$ref']}")


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the objects without a name in a field, with what marks a list."""
    if "$ref" in schema:
        return
    if "properties" in schema or any("properties" in part for part in schema.get("allOf", ())):
        yield schema, ""
    if isinstance(schema.get("items"), dict):
        for inner, mark in _inner(schema["items"]):
            yield inner, f"[]{mark}"
    for option in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _inner(option)


def _paging_first(values: Iterable[Value]) -> tuple[Value, ...]:
    """Put the parameters of paging in front, in the usual order."""
    return tuple(sorted(values, key=lambda value: PAGING.index(value.name) if value.name in PAGING else len(PAGING)))


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _enum(schema: Mapping[str, Any]) -> tuple[str | int | float, ...]:
    """Return the listed values; both truth values are no restriction."""
    source = schema if "enum" in schema else schema.get("items") or {}
    values = source.get("enum", ())
    if {*map(repr, values)} <= {"True", "False", "None"}:
        return ()
    return tuple(sorted((value for value in values if value is not None), key=lambda value: (str(type(value)), value)))


def _format(schema: Mapping[str, Any], kind: str) -> str:
    """Return a format that is named, or shown by the example."""
    named = schema.get("format") or (schema.get("items") or {}).get("format", "")
    if named in {"date-time", "datetime"}:
        return "timestamp"
    if named and named not in _IDLE:
        return str(named)
    if kind not in {"string", "string[]"}:
        return ""
    example = schema.get("example", (schema.get("items") or {}).get("example", ""))
    if isinstance(example, list):
        example = example[0] if example else ""
    return next((name for name, form in _FORMATS.items() if form.fullmatch(str(example).strip())), "")
