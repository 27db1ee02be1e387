"""A small made-up description, for the tests of the tool."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

__all__ = ["description", "write"]

_TEXT = {"type": "string"}
_ERRORS = {status: {"description": "No."} for status in ("400", "401", "403", "404", "405", "429", "500", "503")}


def _json(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _answer(data: Any) -> dict[str, Any]:
    return _json({"properties": {"data": data}})


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_BOAT = {"$ref": "#/components/schemas/Boat"}
_DESCRIPTION: dict[str, Any] = {
    "openapi": "3.0.2",
    "security": [{"bearerAuth": []}],
    "paths": {
        "/boats": {
            "get": {
                "operationId": "getBoats",
                "description": "Boats, all of them. See [POST /boats](there) (Enterprise API only).",
                "parameters": [
                    {"$ref": "#/components/parameters/count"},
                    {"name": "offset", "in": "query", "schema": {"type": "integer"}},
                    {"name": "sort_field", "in": "query", "schema": _TEXT},
                    {"name": "sort_direction", "in": "query", "schema": {**_TEXT, "enum": ["ASC", "DESC"]}},
                    {"name": "name", "in": "query", "schema": _TEXT},
                    {"name": "boat_ids", "in": "query", "schema": {"type": "array", "items": _TEXT}},
                ],
                "responses": {"200": {"$ref": "#/components/responses/Boats"}, **_ERRORS},
            },
            "post": {
                "operationId": "postBoat",
                "description": "Adds a boat.\n⚠️ Endpoint is available only in Enterprise API.",
                "requestBody": _json({**_object(boat=_BOAT, note=_TEXT), "required": ["boat"]}),
                "responses": {"201": _answer(_object(boat_id=_TEXT)), **_ERRORS},
            },
        },
        "/boats/{boat_id}": {
            "get": {
                "operationId": "getBoat",
                "parameters": [{"name": "boat_id", "in": "path", "required": True, "schema": _TEXT}],
                "responses": {"200": _answer(_BOAT), **_ERRORS},
            },
            "delete": {"operationId": "deleteBoat", "responses": {"204": {"description": "Gone."}, **_ERRORS}},
        },
    },
    "components": {
        "parameters": {"count": {"name": "count", "in": "query", "schema": {"type": "integer"}}},
        "responses": {
            "Boats": _answer(_object(boats={"type": "array", "items": _BOAT}, total_items={"type": "integer"}))
        },
        "schemas": {
            "Boat": {
                "required": ["name"],
                **_object(
                    boat_id={**_TEXT, "readOnly": True},
                    name=_TEXT,
                    length={"type": "number"},
                    launched={**_TEXT, "example": "2020-02-03", "description": "The day."},
                    kind={"type": "integer", "enum": [1, 2]},
                    owner={"$ref": "#/components/schemas/Owner"},
                ),
            },
            "Owner": _object(owner_id=_TEXT),
        },
    },
}


def description() -> dict[str, Any]:
    """Return the description, to be changed at will."""
    return copy.deepcopy(_DESCRIPTION)


def write(path: Path, value: Any) -> Path:
    """Write a description as JSON, which is YAML as well."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
