"""The types of the fields of models, read off their annotations."""

import types
import typing

import attrs

from carecloud_async.models import Input, Model, Unset


def parts(hint):
    """The alternatives of a hint, without null and absence."""
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return [part for option in typing.get_args(hint) for part in parts(option)]
    return [] if hint in {type(None), Unset} else [hint]


def takes_null(hint):
    """Whether a field may be null."""
    return type(None) in typing.get_args(hint)


def hints_of(model):
    """The types of a model's fields, by the names of the API."""
    hints = typing.get_type_hints(model)
    return {field.metadata.get("api_name", field.name): hints[field.name] for field in attrs.fields(model)}


def is_record(kind):
    """Whether a type is a read model or an input."""
    return isinstance(kind, type) and issubclass(kind, Model | Input)
