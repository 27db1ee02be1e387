"""`update` of every record that has one: what is named changes, and nothing else."""

import copy
import importlib
import types
import typing
from datetime import date, datetime, time

import kit
import pytest
from resource_wire import Wire, answer

from carecloud_async._base import codec
from carecloud_async._base.codec.fields import api_names, field_types
from carecloud_async.errors import ConfigurationError, ConflictError
from carecloud_async.models import Input, Model, read_only_names
from carecloud_async.resources.declare import declared
from carecloud_async.resources.families import family_modules
from carecloud_async.resources.updating import Updating
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

for module in family_modules():
    importlib.import_module(module)

FAMILIES = sorted(
    (one for one in Updating.__subclasses__() if one.__module__.startswith("carecloud_async.")),
    key=lambda one: one.__name__,
)
TIMES = {date: "2026-01-02", datetime: "2026-01-02 03:04:05", time: "08:30:00"}
PLAIN = {str: "old", int: 1, float: 1.5, bool: True}
UNKNOWN = {"deep": [None, {"er": 0}], "null": None}

pytestmark = pytest.mark.anyio


def core(hint):
    """A hint without `None`, unset and annotations."""
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return core(typing.get_args(hint)[0])
    return hint


def untidy(model, depth=0):
    """A record as no schema has it: with unknown fields, nulls, numbers for texts, and read-only fields."""
    record = {"new_field": copy.deepcopy(UNKNOWN), "new_null": None}
    texts = 0
    for field, name in api_names(model).items():
        kind = core(field_types(model)[field])
        if isinstance(kind, type) and issubclass(kind, Model | Input):
            record[name] = untidy(kind, depth + 1)
        elif typing.get_origin(kind) is tuple:
            record[name] = []
        else:
            record[name] = TIMES.get(kind, PLAIN.get(kind))
            texts += kind is str
            if kind is str and name not in read_only_names(model):
                record[name] = {2: 420777123456, 3: None}.get(texts, record[name])
    return record


def tidied(record, model, reads):
    """The record without known nulls and what the PUT does not take, at any depth, with texts for texts."""
    kinds = {name: core(field_types(model)[field]) for field, name in api_names(model).items()}
    inner = {name: core(field_types(reads)[field]) for field, name in api_names(reads).items()}
    return {
        name: tidied(value, kinds[name], inner[name])
        if isinstance(value, dict) and issubclass(kinds.get(name, int), Model | Input)
        else str(value)
        if kinds.get(name) is str
        else copy.deepcopy(value)
        for name, value in record.items()
        if name not in inner or (name in kinds and value is not None)
    }


class Case:
    """A family with its record, on a wire that answers with it."""

    def __init__(self, family):
        how, write = family._merging, declared(family.replace)
        part = next(iter(write.signature.outside_path))
        self.family, self.write, self.part, self.how = family, write, part, how
        self.input = write.signature.model(how["model"]) if "model" in how else write.signature.hint(part)
        self.model = self.input.reads
        self.record = untidy(self.model)
        self.id = "old"
        self.ids = dict.fromkeys(parameter for parameter in placeholders(write.operation.path))
        own = list(write.signature.in_path.values())
        self.bound = {name: "parent" for name in self.ids if name not in own}

    def wire(self):
        if key := self.how.get("id_field"):
            operation = declared(self.family.list).operation
            page = [{**self.record, key: "another"}, self.record]
            return Wire(answer({operation.result_key: page, "total_items": 2}), b"")
        return Wire(answer(self.record), b"")

    def on(self, wire):
        return self.family(wire, **self.bound)

    def change(self, value):
        """A change of one plain field that may be null, inside an object if the record has nothing else."""
        return named(self.input, value) or pytest.fail(f"{self.input} has nothing to change")


def placeholders(path):
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def named(model, value):
    hints = {name: field_types(model)[field] for field, name in api_names(model).items()}
    for name, hint in hints.items():
        options = {*typing.get_args(hint), hint}
        takes = str in options and (value is not None or type(None) in options)
        if takes and not options & {date, datetime} and name != "password":
            return {name: value}
    for name, hint in hints.items():
        kind = core(hint)
        if isinstance(kind, type) and issubclass(kind, Model | Input) and (inner := named(kind, value)):
            return {name: inner}
    return None


def merged(record, changes):
    out = dict(record)
    for name, value in changes.items():
        out[name] = merged(record.get(name) or {}, value) if isinstance(value, dict) else value
    return out


def expected(case, changes):
    body = merged(tidied(case.record, case.input, case.model), changes)
    ids = {**case.bound, **dict.fromkeys(case.write.signature.in_path.values(), case.id)}
    body |= {name: ids[name] for name in case.how.get("ids_in_record", ())}
    for one in case.how.get("superseded", {}).values():  # it is empty, and would stand in front of the older field
        outer, _, name = one.partition(".")
        body[outer] = {field: value for field, value in body[outer].items() if field != name}
    return body


def test_every_put_that_can_be_read_has_an_update():
    """Thirteen records have one: all PUTs but that of a token, which nothing reads."""
    assert len(FAMILIES) == 13


each = pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.__name__)


@each
@pytest.mark.parametrize("value", ["new", None], ids=["set", "cleared"])
async def test_what_is_named_changes_and_nothing_else(family, value):
    """Unknown fields go back as they came, known texts as text; known nulls and read-only fields are left out."""
    case = Case(family)
    if value is None and named(case.input, None) is None:
        pytest.skip("nothing of this record may be null")
    changes, wire = case.change(value), case.wire()
    await case.on(wire).update(case.id, changes)
    title, _, params, sent = wire.calls[-1]
    assert title == case.write.operation.title
    assert not params
    assert sent == {case.part: expected(case, changes)}


@each
async def test_a_record_that_changed_meanwhile_is_left_alone(family):
    """With `if_unchanged` of an older record nothing is sent; with the present one the update goes through."""
    case = Case(family)
    wire, before = case.wire(), codec.structure(case.record, case.model)
    changes = case.change("new")
    older = codec.structure(merged(case.record, case.change("older")), case.model)
    with pytest.raises(ConflictError):
        await case.on(wire).update(case.id, changes, if_unchanged=older)
    assert [call[0].split()[0] for call in wire.calls] == ["GET"]
    await case.on(wire := case.wire()).update(case.id, changes, if_unchanged=before)
    assert [call[0].split()[0] for call in wire.calls] == ["GET", "PUT"]


@pytest.mark.parametrize("name", ["gender", "agreement"])
async def test_a_value_of_another_type_is_not_sent(name):
    """The error names the field and what it takes, and nothing is sent."""
    changes = {"gender": {"gender": "male"}, "agreement": {"agreement": {"agreement_gtc": "yes"}}}[name]
    sandbox = Sandbox(customers=1)
    async with kit.connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=rf"{name}\w* takes a whole number, not a string"):
            await client.customers.update(FIRST_CUSTOMER_ID, {"personal_information": changes})
    assert not sandbox.requests


@each
async def test_what_the_server_writes_cannot_be_changed(family):
    """A read-only name raises before anything is sent."""
    case, wire = Case(family), Wire()
    writable = set(api_names(case.input).values())
    name = next(one for one in sorted(read_only_names(case.model)) if one not in writable)
    with pytest.raises(ConfigurationError, match=name):
        await case.on(wire).update(case.id, {name: "x"})
    assert not wire.calls
