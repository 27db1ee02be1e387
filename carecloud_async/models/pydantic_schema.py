"""Models as pydantic sees them, for FastAPI. The one module that imports pydantic, at the first such use.

The schema is built from the models' own field types. A read model is validated by identity or by the codec's lenient
rules; an input is validated by pydantic, strictly by its own names: a value dropped would be deleted on the server.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Literal

import attrs
from pydantic_core import core_schema

from carecloud_async._base.codec.answers import structure
from carecloud_async._base.codec.fields import UNSET, Unset, api_names, field_types
from carecloud_async.models.field_docs import RecordDoc
from carecloud_async.models.input_fields import UPLOADS


def model_schema(cls: type[Any], source: Any, handler: Any) -> Any:
    """Build the schema of a read model.

    Args:
        cls: the model class.
        source: the class, or a parametrised generic one such as `Page[Customer]`.
        handler: pydantic's handler, asked for the fields' schemas.
    """

    def validate(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"not a {cls.__name__} and not an object")  # noqa: TRY004  (pydantic's protocol)
        return structure(value, source)

    fields = _field_schemas(source, handler)
    return core_schema.no_info_plain_validator_function(
        validate,
        ref=_ref(source),
        json_schema_input_schema=_object_schema(cls, fields, required=(), extra="ignore"),
        serialization=_serialization(cls, _object_schema(cls, fields, required=tuple(fields), extra="ignore")),
    )


def input_schema(cls: type[Any], source: Any, handler: Any) -> Any:
    """Build the schema of an input class; the arguments are those of `model_schema`."""
    names = api_names(cls)
    fields_of = {name: field for field, name in names.items()}
    required = tuple(names[field.name] for field in attrs.fields(cls) if field.default is attrs.NOTHING)
    fields = _object_schema(cls, _field_schemas(source, handler), required=required, extra="forbid")

    def build(value: Any, validate_fields: Any) -> Any:
        if isinstance(value, cls):
            return value
        return cls(**{fields_of[name]: checked for name, checked in validate_fields(value).items()})

    return core_schema.no_info_wrap_validator_function(
        build, fields, ref=_ref(source), serialization=_serialization(cls, fields)
    )


def _ref(source: Any) -> str:
    """Name a type as pydantic does, so that it becomes a component of the OpenAPI document."""
    origin = typing.get_origin(source) or source
    arguments = ",".join(_ref(argument) for argument in typing.get_args(source))
    name = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', origin)}:{id(origin)}"
    return f"{name}[{arguments}]" if arguments else name


def _serialization(cls: type[Any], schema: Any) -> Any:
    names = tuple(api_names(cls).items())

    def named(value: Any) -> dict[str, Any]:
        return {name: kept for field, name in names if (kept := getattr(value, field)) is not UNSET}

    return core_schema.plain_serializer_function_ser_schema(named, return_schema=schema)


def _field_schemas(source: Any, handler: Any) -> dict[str, Any]:
    names = api_names(source)
    return {names[field]: handler.generate_schema(_in_json(hint)) for field, hint in field_types(source).items()}


def _object_schema(
    cls: type[Any], fields: dict[str, Any], *, required: Collection[str], extra: Literal["ignore", "forbid"]
) -> Any:
    written = vars(cls).get("__doc__")
    description = {"description": written.text} if isinstance(written, RecordDoc) else {}
    return core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schema, required=name in required) for name, schema in fields.items()},
        cls=cls,
        cls_name=cls.__name__,
        extra_behavior=extra,
        metadata={"pydantic_js_updates": description},
    )


def _in_json(hint: Any) -> Any:
    """Return a field's type as a JSON document has it: without `Unset` and `Decimal`, an `Upload` as text only."""
    parts = typing.get_args(hint)
    left_out = {Unset, Decimal}
    if UPLOADS.issubset(parts):
        left_out |= UPLOADS - {str}
    if left_out.isdisjoint(parts):
        return hint
    return typing.Union[tuple(part for part in parts if part not in left_out)]  # noqa: UP007  (built at run time)
