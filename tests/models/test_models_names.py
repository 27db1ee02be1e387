"""A field that the API calls otherwise, read, written, merged, described and exported under the API's name."""

import logging
from datetime import time

import pytest
from attrs import field, frozen

from carecloud_async import Customer, PersonalInformation
from carecloud_async._base import codec
from carecloud_async._base.codec.answers import structure
from carecloud_async._base.codec.write import unstructure
from carecloud_async._lists.export.formats.schema import shape_of
from carecloud_async.models import UNSET, Unset, merge_changes, read_only_paths
from carecloud_async.models.base import API_NAME, READ_ONLY, Input, Model


@frozen(kw_only=True, repr=False)
class Interval(Model):
    from_: time | None = field(default=None, metadata=API_NAME("from"))
    to: time | None = None
    class_: str | None = field(default=None, metadata={**API_NAME("class"), **READ_ONLY})


@frozen(kw_only=True, repr=False)
class Shop(Model):
    shop_id: str = field(metadata=READ_ONLY)
    hours: tuple[Interval, ...] = ()


@frozen(kw_only=True, repr=False)
class IntervalInput(Input, reads=Interval):
    from_: time | str | Unset | None = field(default=UNSET, metadata=API_NAME("from"))
    to: time | str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ShopInput(Input, reads=Shop):
    hours: tuple[IntervalInput, ...] | Unset = UNSET
    first: IntervalInput | Unset = UNSET


EIGHT = time(8)
BODY = b'{"data": {"shop_id": "s", "hours": [{"from": "08:00:00", "to": "09:00:00"}]}}'
PAGE = b'{"data": {"shops": [{"shop_id": "s", "hours": [{"from": "08:00:00"}]}], "total_items": 1}}'


def test_field_is_read_under_the_apis_name():
    """In a record, a page and a plain value, at any depth, the field is read under the API's name."""
    assert codec.record(BODY, Shop).hours[0].from_ == EIGHT
    assert codec.page(PAGE, key="shops", into=Shop).items[0].hours[0].from_ == EIGHT
    assert structure({"from": "08:00", "to": "8 o'clock"}, Interval) == Interval(from_=EIGHT)
    assert codec.record(b'{"data": {"from": " ", "to": "08:00:00"}}', Interval) == Interval(to=EIGHT)


def test_field_is_written_under_the_apis_name():
    """The codec and `to_dict` write the field under the API's name."""
    assert unstructure(IntervalInput(from_=EIGHT)) == {"from": "08:00:00"}
    assert Interval(from_=EIGHT).to_dict() == {"from": "08:00:00", "to": None, "class": None}


def test_field_is_merged_under_the_apis_name():
    """Changes name it as the API does; an input among them counts the same; read-only ones are dropped."""
    merged = merge_changes({"first": {"from": "a", "class": "c", "x": 1}}, {"first": {"from": "b"}}, model=ShopInput)
    assert merged["first"]["from"] == "b"
    merged = merge_changes({"from": "a", "class": "c", "x": 1}, IntervalInput(from_="b"), model=IntervalInput)
    assert merged == {"from": "b", "x": 1}
    assert read_only_paths(Shop) == {"shop_id", "hours[].class"}


def test_field_is_described_under_the_apis_name():
    """Pydantic's schema, its values and an export's columns have the API's name."""
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    adapter = pydantic.TypeAdapter(IntervalInput)
    assert set(adapter.json_schema()["properties"]) == {"from", "to"}
    assert adapter.validate_python({"from": "x"}) == IntervalInput(from_="x")
    read = pydantic.TypeAdapter(Interval)
    assert read.dump_python(Interval(from_=EIGHT))["from"] == EIGHT
    assert read.validate_json('{"from": "08:00:00"}') == Interval(from_=EIGHT)
    assert set(shape_of(Interval).children) == {"from", "to", "class"}


def test_a_record_without_its_id_still_arrives(caplog):
    """One broken record loses neither itself nor its page: its id is empty, and one warning names the field."""
    body = b'{"data": {"shops": [{"shop_id": "a"}, {}, {"shop_id": null}, {"shop_id": {}}, {"shop_id": 5}]}}'
    with caplog.at_level(logging.WARNING, logger="carecloud_async.codec"):
        shops = codec.page(body, key="shops", into=Shop).items
    assert [shop.shop_id for shop in shops] == ["a", "", "", "", "5"]
    assert any("Shop.shop_id" in record.getMessage() for record in caplog.records)


def test_a_record_becomes_plain_json():
    """`to_dict` gives dicts, lists and scalars under the API's names, dates as the API spells them."""
    person = b'{"birthdate": "1985-02-12"}'
    body = b'{"data": {"customer_id": "c", "last_change": "2026-01-02 03:04:05", "personal_information": %s}}' % person
    plain = codec.record(body, Customer).to_dict()
    assert plain["last_change"] == "2026-01-02 03:04:05"
    assert plain["personal_information"]["birthdate"] == "1985-02-12"
    assert plain["personal_information"]["consents"] == []
    assert structure(plain, Customer) == codec.record(body, Customer)
    assert PersonalInformation().to_dict()["email"] is None
