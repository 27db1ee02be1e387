"""Any call and any list by path: what comes back is what was asked for, or an error."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from every import every
from kit import connect, cut, served

from carecloud_async import CareCloud, CareCloudError, ConfigurationError, Customer, ResponseError, RetryPolicy
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
HOST = "sandbox.crmcarecloud.com"


@attrs.frozen
class AttrsRecord:
    customer_id: str
    last_change: datetime | None = None


@dataclass
class DataclassRecord:
    customer_id: str
    last_change: datetime | None = None


class StructRecord(msgspec.Struct):
    customer_id: str
    last_change: datetime | None = None


class TypedRecord(TypedDict):
    customer_id: str


class PydanticRecord(pydantic.BaseModel):
    customer_id: str
    last_change: datetime | None = None


@dataclass
class Demanding:
    customer_id: int
    secret: str


class PydanticDemanding(pydantic.BaseModel):
    customer_id: int


class Plain:
    pass


class Color(IntEnum):
    RED = 1


@dataclass
class HoldsPlain:
    thing: Plain


TARGETS = [Customer, AttrsRecord, DataclassRecord, StructRecord, TypedRecord, PydanticRecord]


@pytest.fixture
def sandbox():
    return Sandbox(customers=7, seed=3)


def id_of(record):
    return record["customer_id"] if isinstance(record, dict) else record.customer_id


@every("into", TARGETS)
async def test_answer_that_fits_the_target_is_decoded(sandbox, into):
    """Each kind of target takes a record, and the one list under data."""
    wanted = sandbox.customers.id_at(0)
    async with connect(sandbox) as client:
        customer = await client.request("GET", f"customers/{wanted}", into=into)
        assert isinstance(customer, dict if into is TypedRecord else into)
        assert id_of(customer) == wanted
        assert (await client.request("get", f"/customers/{wanted}"))["customer_id"] == wanted
        some = await client.request("GET", "customers", params={"count": 5}, into=list[into])
        assert len(some) == 5
        assert {type(record) for record in some} == {type(customer)}
        listed = await client.listing("customers", into=into).collect(limit=10)
        assert len(listed) == 7
        assert {type(record) for record in listed} == {type(customer)}


@every("into", [Demanding, PydanticDemanding, list[Demanding], list[PydanticDemanding]])
async def test_answer_that_does_not_fit_the_target_raises(sandbox, into):
    """A field that is missing or of another kind is a ResponseError that names the field and quotes no value."""
    wanted = sandbox.customers.id_at(0)
    path = "customers" if into not in {Demanding, PydanticDemanding} else f"customers/{wanted}"
    async with connect(sandbox) as client:
        with pytest.raises(ResponseError, match=r"does not fit .*(customer_id|\$)") as caught:
            await client.request("GET", path, into=into)
    assert wanted not in str(caught.value)
    assert caught.value.fix.settings == ("into",)


@pytest.mark.parametrize("into", [Customer | None, AttrsRecord | None, Any, type(None), dict], ids=str)
async def test_null_is_no_result(sandbox, into):
    """Null under `data` is a ResponseError, also for a type that would take it: `into=` never gives `None`."""
    sandbox.faults.add("GET /customers/{customer_id}", body=b'{"data": null}')
    async with connect(sandbox) as client:
        with pytest.raises(ResponseError, match="null"):
            await client.request("GET", f"customers/{sandbox.customers.id_at(0)}", into=into)


@pytest.mark.parametrize("into", [AttrsRecord, PydanticRecord, Customer, list[int]], ids=str)
async def test_a_list_does_not_fit_a_record(sandbox, into):
    """A record asked of a list, or a list of the wrong things, is no empty result."""
    async with connect(sandbox) as client:
        if into is Customer:
            sandbox.faults.add("GET /customers/{customer_id}", body=b'{"data": []}')
            call = client.request("GET", f"customers/{sandbox.customers.id_at(0)}", into=into)
        else:
            call = client.request("GET", "customers", into=into)
        with pytest.raises(ResponseError):
            await call


@every("into", [Plain, HoldsPlain, list[Plain], 3, "Customer", len, Plain()])
async def test_type_that_cannot_be_a_target_is_refused_unsent(sandbox, into):
    """A class without fields, one that holds such, and what is no type at all are ConfigurationErrors."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match="into cannot be"):
            await client.request("GET", "customers", into=into)
    assert not sandbox.requests


async def test_several_lists_are_not_guessed(sandbox):
    """With two lists under data, the error names them and asks for list_key=."""
    sandbox.faults.add("GET /customers", body=b'{"data": {"a": [], "b": [], "total_items": 0}}', times=2)
    async with connect(sandbox) as client:
        with pytest.raises(ResponseError, match=r"several lists \(a, b\).*list_key=") as caught:
            await client.request("GET", "customers", into=list[Customer])
        assert caught.value.fix.settings == ("list_key",)
        assert await client.listing("customers", list_key="b").collect(limit=5) == []


async def test_a_listing_by_path_is_a_listing(sandbox, tmp_path):
    """Known lists have their key and id; records are dicts; pages, prefetch, raw and exports work."""
    async with connect(sandbox) as client:
        listing = client.listing("customers", params={"sort_field": "last_change"}, count=3)
        assert await listing.total() == 7
        ids = [record["customer_id"] async for record in listing]
        assert len(set(ids)) == 7
        async with listing.prefetch(2) as records:
            assert [record["customer_id"] async for record in records] == ids
        assert len([line async for line in listing.raw()]) == 7
        assert [len(page) async for page in listing.pages()] == [3, 3, 1]
        assert (await client.listing("customers", offset=6).page()).items[0]["customer_id"]
        report = await client.listing("customers").export(tmp_path / "customers.jsonl")
        assert report.records == 7


async def test_an_unknown_parameter_of_a_known_operation_is_refused(sandbox):
    """A filter that the API would drop is an error with the nearest name, unless `allow_unknown` lets it by."""
    wrong = {"lastname": "Smith"}
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=r"'lastname': did you mean last_name\?.*allow_unknown=True"):
            await client.request("GET", "customers", params=wrong)
        with pytest.raises(ConfigurationError, match=r"GET /customers has no parameter 'lastname': did you mean last_"):
            client.listing("customers", params=wrong)
        with pytest.raises(ConfigurationError, match=r"POST /cards has no parameter 'count'"):
            await client.request("POST", "cards", params={"count": 1})
        assert not sandbox.requests
        assert await client.listing("customers", params={"customer_ids[]": [sandbox.customers.id_at(1)]}).total() == 1
        assert await client.listing("customers", params=wrong, allow_unknown=True).total() == 7
        assert (await client.request("GET", "customers", params=wrong, allow_unknown=True))["total_items"] == 7


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
async def test_a_list_without_a_key_is_read_and_exported_alike(suffix, tmp_path):
    """Without `list_key` the one list under `data` is taken, by iterating, `raw()` and exports."""
    things = [{"thing_id": str(number), "size": number} for number in range(7)]

    def answer(request):
        return cut("gifts", things, request)

    async with served(answer) as client:
        listing = client.listing("things", count=3, id_field="thing_id")
        assert [record async for record in listing] == things
        assert len([line async for line in listing.raw()]) == 7
        report = await listing.export(tmp_path / f"things.{suffix}")
        assert (report.records, report.exact) == (7, True)
        assert len((tmp_path / f"things.{suffix}").read_text().splitlines()) == 7 + (suffix == "csv")


async def test_paging_among_the_params_of_a_listing_is_obeyed(sandbox):
    """`count` and `offset` may stand in params, as they do in request(), alone or beside equal arguments."""
    async with connect(sandbox) as client:
        everybody = await client.listing("customers").collect(limit=10)
        listing = client.listing("customers", params={"count": 2, "offset": 3}, count=2)
        assert [record async for record in listing] == everybody[3:]
        assert [len(page) async for page in listing.pages()] == [2, 2]


@every(
    "arguments",
    [
        {"count": 0},
        {"offset": -1},
        {"offset": 3, "params": {"offset": 4}},
        {"params": {"count": 0}},
        {"list_key": ""},
        {"id_field": 3},
        {"params": {"customer_ids": "x"}},
        {"params": {"lastname": "Smith"}},
        {"path": "customers/{customer_id}"},
        {"path": "//elsewhere.example/x"},
        {"path": "customers/8ea6"},
    ],
)
async def test_a_listing_that_cannot_work_is_refused(sandbox, arguments):
    """Numbers, names, filters and paths are checked before anything is sent."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError):
            await client.listing(**{"path": "customers", **arguments}).page()
    assert not sandbox.requests


async def test_headers_are_added(sandbox):
    """A call may carry headers of its own; the identity's stays the client's."""
    async with connect(sandbox) as client:
        await client.request("GET", "customers", params={"count": 1}, headers={"X-Trace": "1"})
        with pytest.raises(ConfigurationError, match="headers"):
            await client.request("GET", "customers", headers={"Authorization": "Bearer x"})
    assert sandbox.requests[-1].headers["x-trace"] == "1"


@pytest.mark.parametrize("way", ["iterate", "prefetch"])
async def test_pages_of_nulls_end(sandbox, way):
    """Pages that hold nothing but nulls, with a total of a billion, end with an error after a few."""
    body = b'{"data": {"customers": [' + b",".join([b"null"] * 5) + b'], "total_items": 1000000000}}'
    sandbox.faults.add("GET /customers", body=body, times=10_000)
    async with connect(sandbox, rate_limit=None) as client:
        await client.login()
        with pytest.raises(ResponseError, match="only nulls"):
            if way == "iterate":
                async for _ in client.customers.list(count=5):
                    pass
            else:
                async with client.customers.list(count=5).prefetch(2) as records:
                    async for _ in records:
                        pass
    assert sandbox.count("GET /customers") < 15


async def test_the_same_page_of_records_without_ids_is_an_error(sandbox):
    """Records without ids are compared by their content, so that a page which repeats without end is noticed too."""
    body = b'{"data": {"things": [{"a": 1}, {"a": 2}], "total_items": 1000000000}}'
    sandbox.faults.add("GET /customers", body=body, times=1000)
    async with connect(sandbox, rate_limit=None) as client:
        with pytest.raises(ResponseError, match="ignored `offset`: after 2 of 1000000000 records"):
            async for _ in client.listing("customers", list_key="things", count=2):
                pass


def test_the_repr_of_a_client_that_was_refused_works():
    """A debugger may print a client whose arguments were refused."""
    client = CareCloud.__new__(CareCloud)
    with pytest.raises(ConfigurationError):
        client.__init__("", auth=Sandbox(1).credentials())
    assert "refused" in repr(client)


@pytest.mark.parametrize("name", ["acme-portal", "acme-portal/2.1"])
async def test_an_application_names_itself(sandbox, name):
    """`app_name` stands in the User-Agent of every request, the login's too, behind the SDK's."""
    async with connect(sandbox, app_name=name) as client:
        await client.ping()
    assert {request.headers["user-agent"].split(" ")[-1] for request in sandbox.requests} == {name}


@every(
    "path, values, name",
    [
        ("customers/123", {"customer_id": "456"}, "customer_id"),
        ("foo/123", {"id2": "456"}, "id2"),
        ("foo/123/{id2}", {"id2": "456"}, "id2"),
        ("foo/123/{id2}", None, "id2"),
    ],
)
async def test_an_id_in_the_path_is_never_replaced(sandbox, path, values, name):
    """A value for a placeholder that the path fills already is refused before anything is sent."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=f"the path fills the placeholder {name} already"):
            await client.request("PUT", path, path_params=values)
    assert not sandbox.requests


@pytest.mark.parametrize(("explicit", "sent"), [(False, 1), (None, 2), (True, 2)])
async def test_a_known_operation_that_is_called_unsafe_is_sent_once(sandbox, explicit, sent):
    """`safe_to_repeat=False` holds for a known operation too: a PUT whose answer is lost is not repeated."""
    sandbox.faults.add("PUT /customers/{customer_id}", cut="after", times=None)
    path = f"customers/{sandbox.customers.id_at(0)}"
    async with connect(sandbox, retry=RetryPolicy(attempts=2, base=0.001)) as client:
        with pytest.raises(CareCloudError) as caught:
            await client.request("PUT", path, json={}, safe_to_repeat=explicit)
    assert caught.value.may_have_happened
    assert sum(request.method == "PUT" for request in sandbox.requests) == sent
