"""The models against the manifest: every schema has its classes, with the same fields, types and values."""

import datetime
import enum
import types
import typing

import attrs
import pytest
from every import every

import carecloud_async
from carecloud_async import models
from tests.contract import manifest
from tests.contract.deviations import BESIDES, ELSEWHERE, ENUMS, INPUTS, SENT_BESIDES, TYPES
from tests.contract.naming import ANSWERS, NOT_MODELS, class_name, reachable, writable

KNOWN = manifest.load()
TIMES = {datetime.date, datetime.datetime, datetime.time}
SCALARS = {"string": {str}, "integer": {int}, "number": {int, float}, "boolean": {bool}}
FORMATS = {"date": {datetime.date}, "timestamp": {datetime.datetime}, "time": {datetime.time}}
UNNAMED = [operation.operation_id for operation in KNOWN.operations.values() if len(operation.answer.fields) > 1]
READ = [name for name in reachable(KNOWN, written=False) if name not in NOT_MODELS]
WRITTEN = [name for name in reachable(KNOWN, written=True) if name not in NOT_MODELS]


def top(values):
    """The fields that stand in an object itself."""
    return [value for value in values if "." not in value.name]


def class_of(name):
    """A class of the models."""
    if not hasattr(models, name):
        pytest.fail(f"carecloud_async.models has no {name}", pytrace=False)
    return getattr(models, name)


def names(cls):
    """The fields of a class or of a typed dict, by the API's names: `from_` is `from`."""
    own = cls.__annotations__ if typing.is_typeddict(cls) else [field.name for field in attrs.fields(cls)]
    return {name.removesuffix("_") for name in own}


def core(hint):
    """A hint without `None` and without annotations, and whether it is a list."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        hint = next(argument for argument in typing.get_args(hint) if argument is not type(None))
    if typing.get_origin(hint) is tuple:
        return core(typing.get_args(hint)[0])[0], True
    return hint, False


def fits(value, hint):
    """Whether a field's hint can hold what the manifest says that the field is."""
    if "|" in value.type or value.item in {"object", "any"}:
        return True
    kind, many = core(hint)
    if value.item in KNOWN.schemas:
        schema = KNOWN.schemas[value.item]
        expected = {class_of(class_name(value.item))} if schema.fields else SCALARS[schema.type]
    elif value.format in FORMATS:
        expected = FORMATS[value.format]
    else:
        # Dates have no format, and not all have an example.
        expected = SCALARS[value.item] | (TIMES if value.type == "string" else set())
    return many == value.many and kind in expected


def check_fields(cls, values, besides=frozenset()):
    """Compare a class with the fields that it should have."""
    assert names(cls) == {value.name for value in values} | set(besides)
    hints = {name.removesuffix("_"): hint for name, hint in typing.get_type_hints(cls).items()}
    wrong = [
        value.name for value in values if (cls.__name__, value.name) not in TYPES and not fits(value, hints[value.name])
    ]
    assert wrong == []


@every("name", READ)
def test_a_schema_has_its_read_model(name):
    """A read model has the schema's fields with fitting types, and the same ones are read-only."""
    schema, cls, besides = KNOWN.schemas[name], class_of(class_name(name)), BESIDES.get(name, set())
    check_fields(cls, top(schema.fields), besides)
    if schema.read_only:
        return  # the fields that hold such a record are read-only, which keeps the whole out of what is sent
    records = {
        value.name
        for value in top(schema.fields)
        if value.item in KNOWN.schemas and KNOWN.schemas[value.item].read_only
    }
    only = {value.name for value in top(schema.fields) if value.read_only} | records
    assert {
        field.name.removesuffix("_") for field in attrs.fields(cls) if field.metadata.get("read_only")
    } == only | besides


@pytest.mark.parametrize("operation_id", UNNAMED)
def test_an_unnamed_answer_has_its_model(operation_id):
    """An answer of several fields that has no name has a class of ours, by the table `ANSWERS`."""
    if operation_id not in ANSWERS:
        pytest.fail("name the answer in tests/contract/naming.py", pytrace=False)
    check_fields(class_of(ANSWERS[operation_id]), top(KNOWN.operations[operation_id].answer.fields))


@every("name", WRITTEN)
def test_a_written_schema_has_its_input(name):
    """An input has the schema's writable fields and requires the same ones."""
    schema = KNOWN.schemas[name]
    if name in ELSEWHERE:
        cls = getattr(carecloud_async, ELSEWHERE[name])
    else:
        cls = class_of(INPUTS.get(name) or f"{class_name(name)}Input")
    fields = writable(KNOWN, schema)
    assert names(cls) == {value.name for value in fields} | SENT_BESIDES.get(name, set())
    required = {field.name.removesuffix("_") for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    if name not in ELSEWHERE:
        assert required == {value.name for value in fields if value.required}


@pytest.mark.parametrize(
    "operation",
    [operation for operation in KNOWN.operations.values() if operation.verb == "PUT"],
    ids=lambda record: record.operation_id,
)
def test_a_put_has_its_changes(operation):
    """Each record that a PUT replaces has its changes."""
    for value in top(operation.body):
        if value.required and value.item in KNOWN.schemas and value.item not in ELSEWHERE:
            class_of(f"{class_name(value.item)}Changes")


@pytest.mark.parametrize(("owner", "field"), ENUMS)
def test_an_enum_has_the_known_values(owner, field):
    """An enum holds exactly the values that are known today."""
    cls = class_of(ENUMS[owner, field])
    assert issubclass(cls, enum.Enum)
    values = KNOWN.schemas[owner].fields if owner in KNOWN.schemas else KNOWN.operations[owner].body
    (value,) = (value for value in values if value.name == field)
    assert {member.value for member in cls} == set(value.enum)
