"""A field that the API calls otherwise (`from` is `from_`), and records as they arrive."""

import logging
from datetime import time

import pytest

from carecloud_async import PersonalInformation
from carecloud_async.models import Store, TimeInterval, TimeIntervalInput
from tests.resources.resource_wire import Wire, answer

pytestmark = pytest.mark.anyio

EIGHT = time(8)


def store(*intervals):
    return {"store_id": "s", "opening": [{"day_id": "MON", "time_intervals": [*intervals]}]}


async def test_a_field_is_read_under_the_apis_name():
    """In a record and in a page, on the fast way and for an untidy record, the field is the API's `from`."""
    for interval, opens in (
        ({"from": "08:00:00"}, EIGHT),
        ({"from": "08:00", "to": "8 o'clock"}, EIGHT),
        ({"from": " "}, None),
    ):
        record = store(interval)
        wire = Wire(answer(record), answer({"stores": [record], "total_items": 1}))
        for read in (await wire.client.stores.get("s"), await wire.client.stores.list(count=1).first()):
            assert read.opening[0].time_intervals == (TimeInterval(from_=opens),)


async def test_a_field_is_written_under_the_apis_name(tmp_path):
    """`to_dict`, an update with a dict or an input, and an export write the field under the API's name."""
    assert TimeInterval(from_=EIGHT).to_dict() == {"from": "08:00:00", "to": None}
    plain = {"from": "09:00:00", "to": "17:00:00"}
    for given in (plain, TimeIntervalInput(from_=time(9), to="17:00:00")):
        wire = Wire(answer(store({"from": "08:00:00"})))
        await wire.client.stores.update("s", {"opening": [{"day_id": "MON", "time_intervals": [given]}]})
        assert wire.sent["store"]["opening"] == store(plain)["opening"]
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    pages = [answer({"stores": stores, "total_items": 1}) for stores in ([store(plain)], [], [])]
    await Wire(*pages).client.stores.list(count=1).export(tmp_path / "stores.parquet")
    (row,) = parquet.read_table(tmp_path / "stores.parquet").to_pylist()
    assert row["opening"][0]["time_intervals"] == [plain]


def test_a_field_is_described_under_the_apis_name():
    """Pydantic's schema and its values have the API's name."""
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    adapter = pydantic.TypeAdapter(TimeIntervalInput)
    assert set(adapter.json_schema()["properties"]) == {"from", "to"}
    assert adapter.validate_python({"from": "08:00:00", "to": "09:00"}).from_ == EIGHT
    read = pydantic.TypeAdapter(TimeInterval)
    assert read.dump_python(TimeInterval(from_=EIGHT))["from"] == EIGHT
    assert read.validate_json('{"from": "08:00:00"}') == TimeInterval(from_=EIGHT)


class StoreOfThisTest(Store):
    """A store with a name of its own: a field warns once a process."""


async def test_a_record_without_its_id_still_arrives(caplog):
    """One broken record loses neither itself nor its page: its id is empty, and one warning names the field."""
    page = {"stores": [{"store_id": "a"}, {}, {"store_id": None}, {"store_id": {}}, {"store_id": 5}]}
    with caplog.at_level(logging.WARNING, logger="carecloud_async.codec"):
        stores = (await Wire(answer(page)).client.listing("stores", into=StoreOfThisTest, count=9).page()).items
    assert [store.store_id for store in stores] == ["a", "", "", "", "5"]
    assert any("StoreOfThisTest.store_id" in record.getMessage() for record in caplog.records)


async def test_a_record_becomes_plain_json():
    """`to_dict` gives dicts, lists and scalars under the API's names, dates as the API spells them."""
    person = {"birthdate": "1985-02-12"}
    shown = {"customer_id": "c", "last_change": "2026-01-02 03:04:05", "personal_information": person}
    plain = (await Wire(answer(shown)).client.customers.get("c")).to_dict()
    assert plain["last_change"] == "2026-01-02 03:04:05"
    assert plain["personal_information"]["birthdate"] == "1985-02-12"
    assert plain["personal_information"]["consents"] == []
    assert PersonalInformation().to_dict()["email"] is None
