"""`update` of every record that has one: what is named changes, and nothing else."""

import inspect
import typing
from contextlib import nullcontext
from datetime import date, datetime, time

import attrs
import pytest
from every import every
from model_hints import hints_of, is_record, parts
from resource_wire import Wire, answer

from carecloud_async import models
from carecloud_async.errors import ConfigurationError, ConflictError
from carecloud_async.resources import OPERATIONS

pytestmark = pytest.mark.anyio

#: The families with an update, as they are reached from the client: all PUTs but that of a token, which nothing reads.
FAMILIES = sorted(
    {operation.call.removesuffix(".replace") for operation in OPERATIONS.values() if operation.method == "PUT"}
    - {"tokens"}
)
VALUES = {
    str: "old",
    int: 1,
    float: 1.5,
    bool: True,
    date: "2026-01-02",
    datetime: "2026-01-02 03:04:05",
    time: "08:30:00",
}
#: Bodies that repeat ids of the path.
REPEATED = {"customers.interest_records": {"customer_id": "parent"}, "entrances": {"entrance_id": "old"}}
UNKNOWN = {"new_field": {"deep": [None, {"er": 0}], "null": None}}


def objects_of(model):
    """The objects in a record, with their classes."""
    return {name: parts(hint)[0] for name, hint in hints_of(model).items() if is_record(parts(hint)[0])}


def written(model, reads):
    """A record as an input has it: a value for each field that GET shows, lists apart."""
    objects = {name: written(kind, kind.reads) for name, kind in objects_of(model).items() if name in hints_of(reads)}
    plain = {name: VALUES.get(parts(hint)[0]) for name, hint in hints_of(model).items() if name in hints_of(reads)}
    return {name: value for name, value in plain.items() if value is not None} | objects | UNKNOWN


def read_only(model):
    """The fields that the server alone writes."""
    return {
        name
        for name, field in zip(hints_of(model), attrs.fields(model), strict=True)
        if field.metadata.get("read_only")
    }


def merged(record, changes):
    out = dict(record)
    for name, value in changes.items():
        out[name] = merged(record.get(name) or {}, value) if isinstance(value, dict) else value
    return out


def named(model, value):
    """A change of one plain field that takes a value, inside an object if the record has nothing else."""
    for name, hint in hints_of(model).items():
        options = {*typing.get_args(hint), hint}
        takes = str in options and (value is not None or type(None) in options)
        if takes and not options & {date, datetime} and name != "password":
            return {name: value}
    return next(({name: inner} for name, kind in objects_of(model).items() if (inner := named(kind, value))), None)


class Case:
    """A family with its record, on a server that answers with it."""

    def __init__(self, family):
        self.family = family
        replace = self.on(Wire().client).replace
        self.part = [*inspect.signature(replace).parameters][1]
        self.input = getattr(models, {"customers": "CustomerUpdateInput"}.get(family) or annotation_of(replace, 1))
        self.model = self.input.reads
        self.written = written(self.input, self.model)
        shown_only = hints_of(self.model).keys() - hints_of(self.input).keys()
        self.record = self.written | dict.fromkeys(shown_only, "x")

    def wire(self):
        resource = self.on(Wire().client)
        if hasattr(resource, "get"):
            return Wire(answer(self.record), b"")
        operation = next(operation for operation in OPERATIONS.values() if operation.call == f"{self.family}.list")
        self.record[operation.id_field] = "old"
        page = [{**self.record, operation.id_field: "another"}, self.record]
        return Wire(answer({operation.result_key: page, "total_items": 2}), b"")

    def on(self, client):
        first, *more = self.family.split(".")
        resource = getattr(client, first)
        for name in more:
            resource = getattr(resource, name)("parent")
        return resource


def annotation_of(method, number):
    return [*inspect.signature(method).parameters.values()][number].annotation


def test_every_put_that_can_be_read_has_an_update():
    """Thirteen records have one: all PUTs but that of a token, which nothing reads."""
    assert len([name for name in FAMILIES if hasattr(Case(name).on(Wire().client), "update")]) == len(FAMILIES) == 13


@every("family", FAMILIES)
async def test_what_is_named_changes_and_nothing_else(family):
    """Known and unknown fields go back as they came, at any depth; what the PUT does not take is left out."""
    case = Case(family)
    for value in ("new", None):
        changes, wire = named(case.input, value), case.wire()
        if changes is None:
            continue  # nothing of this record may be null
        await case.on(wire.client).update("old", changes)
        method, _, query, sent = wire.calls[-1]
        assert (method, query, [*sent]) == ("PUT", [], [case.part])
        assert sent[case.part] == merged(case.written, changes) | REPEATED.get(family, {})


@every("family", FAMILIES)
async def test_a_record_that_changed_meanwhile_is_left_alone(family):
    """With `if_unchanged` of an older record nothing is sent; with the present one the update goes through."""
    case = Case(family)
    changes = named(case.input, "new")
    for is_same in (False, True):
        wire = case.wire()
        older = Case(family)
        older.record = case.record if is_same else merged(case.record, named(case.input, "older"))
        resource = older.on(older.wire().client)
        before = (
            await resource.get("old") if hasattr(resource, "get") else [record async for record in resource.list()][1]
        )
        if is_same:
            await case.on(wire.client).update("old", changes, if_unchanged=before)
        else:
            with pytest.raises(ConflictError):
                await case.on(wire.client).update("old", changes, if_unchanged=before)
        assert [call[0] for call in wire.calls] == ["GET", *["PUT"][:is_same]]


@every("family", FAMILIES)
async def test_what_the_server_writes_cannot_be_changed(family):
    """A read-only name raises before anything is sent."""
    case, wire = Case(family), Wire()
    name = next(field for field in sorted(read_only(case.model)) if field not in hints_of(case.input))
    with pytest.raises(ConfigurationError, match=name):
        await case.on(wire.client).update("old", {name: "x"})
    assert not wire.calls


LISTED = [
    ("vouchers", {"voucher_id": "v"}, {"reward": {"reward_id": "r", "store_list": [{"store_id": "s"}]}}),
    ("purchases", {"purchase_id": "p"}, {"purchase_items": [{"purchase_item_id": "i"}]}),
    ("bookings", {"booking_id": "b"}, {"booking_items": [{"booking_item_id": "i"}]}),
]


@every("family, listed, shown", LISTED)
async def test_what_a_list_leaves_out_is_no_change(family, listed, shown):
    """`if_unchanged` of a list's record: stores and items, which lists leave out, are no conflict; an owner is."""
    (record_id,) = listed.values()
    page = answer({family: [listed | {"customer_id": "c"}], "total_items": 1})
    changes = [{"customer_id": "c"}, {"customer_id": "e"}, {"customer_id": "c", "last_change": "2026-01-02 03:04:05"}]
    for change in changes:
        wire = Wire(page, answer(listed | shown | change))
        records = getattr(wire.client, family)
        before = await records.list().first()
        is_same = change == changes[0]
        with nullcontext() if is_same else pytest.raises(ConflictError):
            await records.update(record_id, {"customer_id": "d"}, if_unchanged=before)
        assert [title.split()[0] for title in wire.titles] == ["GET", "GET", *["PUT"][:is_same]]
