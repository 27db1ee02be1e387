"""Declared methods: where each argument goes, what comes back, and what updates send."""

from __future__ import annotations

import inspect
from datetime import date
from typing import Unpack

import attrs
import pytest
from every import every
from kit import connect
from resource_wire import Wire, answer

from carecloud_async import (
    UNSET,
    ConfigurationError,
    ConflictError,
    CustomerSourceInput,
    ResponseError,
    RetryPolicy,
)
from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.models import CustomerSourceRecord
from carecloud_async.resources import OPERATIONS, families
from carecloud_async.resources.declare import (
    REGISTRY,
    Paging,
    Resource,
    UnsortedPaging,
    declared,
    deletes,
    gets,
    lists,
    posts,
    puts,
)
from carecloud_async.resources.families import Families, Family
from carecloud_async.resources.updating import Updating
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=5, seed=5)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client


class Sources(Updating, call="made_up.sources"):
    """A family that the API does not have."""

    @lists("madeUpList", "/a/{a_id}/sources", "sources", id_field="customer_source_record_id")
    def list(
        self, *, kind: str | None = None, day: date | str | None = None, **paging: Unpack[Paging]
    ) -> Listing[CustomerSourceRecord]:
        """List."""

    @lists("madeUpSearch", "/sources/search", "found", id_field=None, method="POST")
    def search(
        self, *, text: str, count_words: bool | None = None, **paging: Unpack[UnsortedPaging]
    ) -> Listing[CustomerSourceRecord]:
        """Search."""

    @gets("madeUpGet", "/a/{a_id}/sources/{id}", rename={"source_id": "id"}, interfaces=ENTERPRISE_ONLY)
    async def get(self, source_id: str, *, kind: str | None = None) -> CustomerSourceRecord:
        """Get."""

    @posts("madeUpCreate", "/a/{a_id}/sources", unwrap="source_id")
    async def create(
        self, source: CustomerSourceInput, *, note: str | None = None, mark: str | None = UNSET, loud: bool = False
    ) -> str:
        """Create."""

    @posts("madeUpCancel", "/sources/{source_id}/cancel", path_params_in_body=("source_id",))
    async def cancel(self, source_id: str) -> None:
        """Cancel."""

    @posts("madeUpFree", "/sources/free", unwrap="is_free", safe_to_repeat=True)
    async def is_free(self, *, number: str) -> bool:
        """Look."""

    @posts("madeUpMany", "/sources/many", unwrap="records")
    async def many(self) -> tuple[CustomerSourceRecord, ...]:
        """Return several."""

    @posts("madeUpMaybe", "/sources/maybe", unwrap="id")
    async def maybe(self) -> str | None:
        """Return one or nothing."""

    @puts("madeUpReplace", "/a/{a_id}/sources/{source_id}")
    async def replace(self, source_id: str, source: CustomerSourceInput) -> None:
        """Replace."""

    @deletes("madeUpDelete", "/sources/batch", has_body=True)
    async def delete_batch(self, sources: tuple[CustomerSourceInput, ...]) -> None:
        """Delete."""


SOURCE = CustomerSourceInput(customer_source_id="s")


async def test_ids_go_into_the_path_and_the_rest_into_the_query():
    """The parent's id is bound, the own one is renamed as the path has it, what is None is left out."""
    wire = Wire(answer({"customer_source_record_id": "r"}), answer({"customer_source_record_id": "r"}))
    sources = Sources(wire, a_id="a")
    assert (await sources.get("1")).customer_source_record_id == "r"
    await sources.get("1", kind="k")
    assert [(path, dict(query or {})) for _, path, query, _ in wire.calls] == [
        ({"a_id": "a", "id": "1"}, {}),
        ({"a_id": "a", "id": "1"}, {"kind": "k"}),
    ]


async def test_the_body_holds_what_the_path_does_not():
    """None that is a default is left out, UNSET is left to the codec, other defaults are sent."""
    wire = Wire(answer({"source_id": "new"}), b"")
    sources = Sources(wire, a_id="a")
    assert await sources.create(SOURCE, mark=None) == "new"
    assert wire.calls[0][3] == {"source": {"customer_source_id": "s"}, "mark": None, "loud": False}
    await sources.cancel("1")
    assert wire.calls[1] == (
        "POST /sources/{source_id}/cancel",
        {"source_id": "1", "a_id": "a"},
        None,
        {"source_id": "1"},
    )


async def test_a_delete_may_send_a_body():
    """`has_body=True` makes a body of what a DELETE would put into its query."""
    wire = Wire()
    await Sources(wire).delete_batch((SOURCE,))
    assert wire.calls == [("DELETE /sources/batch", {}, None, {"sources": [{"customer_source_id": "s"}]})]


async def test_answers_are_what_the_annotation_says():
    """One text, one boolean, several records, one or nothing; what is missing is a broken answer."""
    from carecloud_async._base.codec import Malformed

    sources = Sources(Wire(answer({"is_free": "true"}), answer({"records": [{"customer_source_record_id": "r"}]})))
    assert await sources.is_free(number="5") is True
    assert [record.customer_source_record_id for record in await sources.many()] == ["r"]
    assert await Sources(Wire(answer({}))).maybe() is None
    assert await Sources(Wire(answer({"id": 5}))).maybe() == "5"
    with pytest.raises(Malformed, match="source_id"):
        await Sources(Wire(answer({}))).create(SOURCE)


async def test_a_search_by_post_pages_in_its_query_and_filters_in_its_body():
    """Each page sends the same body; exports and read-ahead go the same way."""
    pages = [answer({"found": [{"external_id": name}], "total_items": 2}) for name in "ab"]
    wire = Wire(*pages)
    found = await Sources(wire).search(text="t", count=1).collect(limit=2)
    assert len(found) == 2
    assert [call[2:] for call in wire.calls] == [
        ({"count": 1, "offset": 0}, {"text": "t"}),
        ({"count": 1, "offset": 1}, {"text": "t"}),
    ]
    with pytest.raises(TypeError, match="sort_field"):
        Sources(wire).search(text="t", sort_field="x")


def test_the_row_is_read_off_the_signature():
    """Query names with the paging first, kinds, path, interfaces and the dotted call."""
    rows = (declared(value).operation for value in vars(Sources).values() if hasattr(value, "declared"))
    row = {operation.operation_id: operation for operation in rows}
    assert row["madeUpList"].parameters == ("count", "offset", "sort_field", "sort_direction", "kind", "day")
    assert row["madeUpList"].call == "made_up.sources.list"
    assert row["madeUpSearch"].parameters == ("count", "offset")
    assert row["madeUpGet"].interfaces == ENTERPRISE_ONLY
    assert row["madeUpFree"].safe_to_repeat
    assert not row["madeUpCreate"].safe_to_repeat
    assert row["madeUpCreate"].parameters == ()


def test_help_shows_the_declared_signature():
    """Editors and `help()` see the arguments and the docstring as they are written."""
    assert "kind" in inspect.signature(Sources.list).parameters
    assert inspect.iscoroutinefunction(Sources.get)
    assert Sources.get.__doc__ == "Get."


async def test_if_unchanged_lets_the_update_of_an_unchanged_record_by(client):
    """The record as it was read is the record now."""
    before = await client.customers.get(FIRST_CUSTOMER_ID)
    await client.customers.update(
        FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Ada"}}, if_unchanged=before
    )
    assert (await client.customers.get(FIRST_CUSTOMER_ID)).personal_information.first_name == "Ada"


async def test_if_unchanged_refuses_a_record_that_changed(client, sandbox):
    """The error names the fields that differ, nested ones dotted, without values; no PUT is sent."""
    before = await client.customers.get(FIRST_CUSTOMER_ID)
    await client.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"email": "other@example.com"}})
    puts = sandbox.count("PUT /customers/{customer_id}")
    with pytest.raises(ConflictError, match=r"personal_information\.email") as caught:
        await client.customers.update(
            FIRST_CUSTOMER_ID, {"personal_information": {"city": "x"}}, if_unchanged=before, allow_unknown=True
        )
    assert "personal_information.email" in caught.value.fields
    assert "example.com" not in str(caught.value)
    assert sandbox.count("PUT /customers/{customer_id}") == puts


async def test_if_unchanged_takes_a_record_that_was_read(client, sandbox):
    """A dict or an input would compare as changed for ever."""
    with pytest.raises(ConfigurationError, match="if_unchanged"):
        await client.customers.update(FIRST_CUSTOMER_ID, {}, if_unchanged={"customer_id": "8ea6"})
    assert not sandbox.requests


async def test_an_update_without_a_get_finds_the_record_in_its_list():
    """The record comes from the list; the PUT keeps fields that were not named, and those unknown to the SDK."""
    record = {"customer_source_record_id": "2", "customer_source_id": "s", "external_id": "old", "new_field": 1}
    other = {"customer_source_record_id": "1"}
    wire = Wire(answer({"sources": [other, record], "total_items": 2}), b"", answer({"sources": [], "total_items": 0}))

    class Listed(Sources, call="made_up.listed", id_field="customer_source_record_id", ids_in_record=("source_id",)):
        """Sources that have no GET."""

    sources = Listed(wire, a_id="a")
    await sources.update("2", {"external_id": "new"})
    assert wire.calls[1][1] == {"a_id": "a", "source_id": "2"}
    assert wire.calls[1][3] == {
        "source": {"customer_source_id": "s", "external_id": "new", "new_field": 1, "source_id": "2"}
    }
    with pytest.raises(ConfigurationError, match="customer_source_record_id"):
        await sources.update("3", {"external_id": "new"})


@pytest.mark.parametrize(("shown", "given"), [(2, "2"), ("AB12", "ab12")])
async def test_an_update_finds_an_id_that_the_list_spells_otherwise(shown, given):
    """A server may write ids as numbers, or in another case than where the caller has them from."""
    record = {"customer_source_record_id": shown, "external_id": "old"}
    wire = Wire(answer({"sources": [{"customer_source_record_id": None}, record], "total_items": 2}), b"")

    class Spelled(Sources, call="made_up.spelled", id_field="customer_source_record_id"):
        """Sources that have no GET."""

    await Spelled(wire, a_id="a").update(given, {"external_id": "new"})
    assert wire.calls[1][3] == {"source": {"external_id": "new"}}


async def test_an_update_of_no_record_is_a_broken_answer(client, sandbox):
    """A GET that answers with a list cannot be merged into."""
    sandbox.faults.add("GET /customers/{customer_id}", garbage=True, times=99)
    once = client.with_options(retry=RetryPolicy(attempts=1))
    with pytest.raises(ResponseError):
        await once.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Ada"}})


@every("name", [name for name, value in vars(Families).items() if isinstance(value, Family)])
def test_a_family_line_says_its_class(name):
    """The annotation of a family, which checkers read, names the class that is imported."""
    family = vars(Families)[name]
    assert Families.__annotations__[name] == f"Family[{family.name}]"
    assert (getattr(Families, name)) is family
    sandbox = Sandbox(customers=1)
    client = connect(sandbox)
    assert type(getattr(client, name)).__name__ == family.name
    assert isinstance(getattr(client, name), Resource)


def test_the_table_holds_every_declared_operation():
    """Whatever module of resources is imported, its operations were in the table before."""
    import pkgutil
    from importlib import import_module

    from carecloud_async import resources

    known = set(OPERATIONS)
    for module in pkgutil.walk_packages(resources.__path__, "carecloud_async.resources."):
        import_module(module.name)
    assert set(REGISTRY) == known
    assert len(families.family_modules()) <= len(known)
    assert attrs.fields(type(OPERATIONS["getCustomers"]))
