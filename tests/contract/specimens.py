"""Values from a description's schemas: its own examples."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Description"]

_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
_CLASSES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
_DEEPEST = 5


class Description:
    """A description, asked for values.

    Args:
        document: the whole file.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._places = {
            entry["operationId"]: (path, verb)
            for path, item in document["paths"].items()
            for verb, entry in item.items()
            if isinstance(entry, dict) and "operationId" in entry
        }

    def operation(self, operation_id: str) -> Mapping[str, Any]:
        """Return an operation as the file has it."""
        path, verb = self._places[operation_id]
        operation: Mapping[str, Any] = self.document["paths"][path][verb]
        return operation

    def body_pointer(self, operation_id: str) -> str | None:
        """Return where the schema of an operation's body stands, as a JSON pointer."""
        if "requestBody" not in self.operation(operation_id):
            return None
        path, verb = self._places[operation_id]
        place = path.replace("~", "~0").replace("/", "~1")
        return f"/paths/{place}/{verb}/requestBody/content/application~1json/schema"

    def parameters(self, operation_id: str, place: str) -> dict[str, Any]:
        """Return the examples of the parameters in the path or in the query, by name without brackets."""
        own = map(self.resolved, self.operation(operation_id).get("parameters", ()))
        return {
            item["name"].removesuffix("[]"): self.example({"example": item.get("example"), **item["schema"]})
            for item in own
            if item["in"] == place
        }

    def body(self, operation_id: str) -> dict[str, Any]:
        """Return an example of a body, without what the server alone writes."""
        request = self.operation(operation_id).get("requestBody")
        if request is None:
            return {}
        body: dict[str, Any] = self.example(request["content"]["application/json"]["schema"], write=True)
        return body

    def answer(self, operation_id: str) -> tuple[int, Mapping[str, Any] | None]:
        """Return the status of success and the schema of its body."""
        responses = self.operation(operation_id)["responses"]
        status, response = next((s, r) for s, r in sorted(responses.items()) if str(s).startswith("2"))
        content = self.resolved(response).get("content")
        return int(status), content["application/json"]["schema"] if content else None

    def resolved(self, thing: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a reference to what it stands for, and put together what a schema is made of."""
        while "$ref" in thing:
            target: Any = self.document
            for part in thing["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            thing = target
        if "allOf" in thing:
            parts = [self.resolved(part) for part in thing["allOf"]]
            properties = {name: item for part in parts for name, item in part.get("properties", {}).items()}
            required = [name for part in parts for name in part.get("required", ())]
            thing = {"type": "object", "properties": properties, "required": required}
        return thing

    def example(self, schema: Mapping[str, Any], *, write: bool = False, depth: int = 0) -> Any:
        """Return a value that fits a schema, from the file's examples where there are fitting ones."""
        schema = self.resolved(schema)
        if "properties" in schema:
            return {
                name: self.example(item, write=write, depth=depth + 1)
                for name, item in self._inside(schema, depth, write=write)
            }
        kind = schema.get("type") or ("array" if "items" in schema else None)
        given = _json(schema.get("example"))
        if kind == "array" and not (isinstance(given, list) and given):
            return [] if depth > _DEEPEST else [self.example(schema.get("items", {}), write=write, depth=depth + 1)]
        if "enum" in schema and given not in schema["enum"]:
            return next(item for item in schema["enum"] if item is not None)
        if given is not None and _is(given, kind):
            return given
        if "oneOf" in schema:
            return self.example(schema["oneOf"][0], write=write, depth=depth + 1) if given is None else given
        if kind == "string" and "YYYY-MM-DD HH:MM:SS" in schema.get("description", ""):
            return "2026-01-31 10:00:00"
        return {} if kind == "object" else _PLAIN.get(str(kind), "text")

    def _inside(self, schema: Mapping[str, Any], depth: int, *, write: bool = False) -> Iterator[tuple[str, Any]]:
        for name, prop in schema["properties"].items():
            whole = self.resolved(prop)
            deep = depth > _DEEPEST and "properties" in self.resolved(whole.get("items", whole))
            if not deep and not (write and (prop.get("readOnly") or whole.get("readOnly"))):
                yield name, prop


def _json(value: Any) -> Any:
    """Return an example as JSON has it: YAML makes dates of some."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        return [_json(item) for item in value]
    return {name: _json(item) for name, item in value.items()} if isinstance(value, dict) else value


def _is(value: Any, kind: Any) -> bool:
    if kind not in _CLASSES:
        return kind is None
    return isinstance(value, _CLASSES[kind]) and (kind == "boolean" or not isinstance(value, bool))
