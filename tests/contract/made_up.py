"""A small made-up description, for the tests of the tool."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

__all__ = ["description", "write"]

_TEXT = {"type": "string"}
_ERRORS = {status: {"description": "No."} for status in ("400", "401", "403", "404", "405", "429", "500", "503")}

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
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["boat"],
                                "properties": {"boat": {"$ref": "#/components/schemas/Boat"}, "note": _TEXT},
                            }
                        }
                    }
                },
                "responses": {
                    "201": {
                        "content": {
                            "application/json": {
                                "schema": {"properties": {"data": {"type": "object", "properties": {"boat_id": _TEXT}}}}
                            }
                        }
                    },
                    **_ERRORS,
                },
            },
        },
        "/boats/{boat_id}": {
            "get": {
                "operationId": "getBoat",
                "parameters": [{"name": "boat_id", "in": "path", "required": True, "schema": _TEXT}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"properties": {"data": {"$ref": "#/components/schemas/Boat"}}}
                            }
                        }
                    },
                    **_ERRORS,
                },
            },
            "delete": {"operationId": "deleteBoat", "responses": {"204": {"description": "Gone."}, **_ERRORS}},
        },
    },
    "components": {
        "parameters": {"count": {"name": "count", "in": "query", "schema": {"type": "integer"}}},
        "responses": {
            "Boats": {
                "content": {
                    "application/json": {
                        "schema": {
                            "properties": {
                                "data": {
                                    "properties": {
                                        "boats": {"type": "array", "items": {"$ref": "#/components/schemas/Boat"}},
                                        "total_items": {"type": "integer"},
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
        "schemas": {
            "Boat": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "boat_id": {**_TEXT, "readOnly": True},
                    "name": _TEXT,
                    "length": {"type": "number"},
                    "launched": {**_TEXT, "example": "2020-02-03", "description": "The day."},
                    "kind": {"type": "integer", "enum": [1, 2]},
                    "owner": {"$ref": "#/components/schemas/Owner"},
                },
            },
            "Owner": {"type": "object", "properties": {"owner_id": _TEXT}},
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
