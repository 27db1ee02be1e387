"""The dicts that updates take have the fields of their inputs."""

import types
import typing

from every import every

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, field_types
from carecloud_async.models import Input, Unset

CHANGES = [name for name in models.__all__ if name.endswith("Changes")]


def input_of(name):
    """The input of the same record: what an update may name, where that is more or less than a PUT's record."""
    record = name.removesuffix("Changes")
    return getattr(models, f"{record}UpdateInput", None) or getattr(models, f"{record}Input")


def kinds(hint):
    """What a field takes, without null and absence; a record is a record whichever way it is given."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return frozenset().union(*map(kinds, typing.get_args(hint)))
    if hint in {type(None), Unset}:
        return frozenset()
    if typing.get_origin(hint) is not None:
        return frozenset({(typing.get_origin(hint), *map(kinds, typing.get_args(hint)))})
    is_record = typing.is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, Input))
    return frozenset({"record" if is_record else hint})


@every("name", CHANGES)
def test_changes_are_equal_to_their_input(name):
    """The dict that an update takes has the fields of the input, under the API's names, and each takes the same."""
    changes, record = typing.get_type_hints(getattr(models, name)), input_of(name)
    own = {api: field_types(record)[field] for field, api in api_names(record).items()}
    assert {field: kinds(hint) for field, hint in changes.items()} == {
        field: kinds(hint) for field, hint in own.items()
    }
