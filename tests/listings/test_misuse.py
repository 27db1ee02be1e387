"""A listing that is used like a list: the errors say what to write."""

import pytest
from kit import connect

from benchmarks.api_rules import broken_rules
from carecloud_async import ConfigurationError
from carecloud_async.sandbox import Sandbox


@pytest.fixture
def listing():
    sandbox = Sandbox(customers=3)
    client = connect(sandbox)
    return client.customers.list(email="jane@example.com")


def test_a_listing_is_neither_true_nor_false(listing):
    """`if listing:` would always be true: it raises with what to write, and so does `len`."""
    with pytest.raises(TypeError, match=r"if await listing\.first\(\) is not None"):
        assert listing
    with pytest.raises(TypeError, match=r"await listing\.total\(\)"):
        len(listing)


@pytest.mark.parametrize("args", [(), (10,)])
def test_collect_needs_a_limit(listing, args):
    """`collect()` without `limit=` raises with what to write, before it is awaited."""
    with pytest.raises(TypeError, match=r"collect\(limit=1000\)"):
        listing.collect(*args)


def test_a_listing_prints_its_filters():
    """The repr has the names of the filters that are set, and no value, which may be personal."""
    client = connect(Sandbox(customers=3))
    listing = client.customers.list(email="jane@example.com", phone=None, sort_field="last_change", count=5)
    assert repr(listing) == "<Listing customers.list(email=…, sort_field=…)>"
    assert repr(client.customers.list()) == "<Listing customers.list()>"
    assert repr(client.customers.cards("8ea6").list()) == "<Listing customers.cards.list(customer_id=…)>"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("last_chnge", r"sort_field is not a field of Customer: did you mean last_change\? client\.listing"),
        ("email", "first-level field of Customer, and this one is in personal_information"),
        ("personal_information.email", "this one is in personal_information"),
    ],
)
def test_a_misspelt_field_to_sort_by(field, words):
    """A field that the records lack is refused with the nearest one, or with the object that has it."""
    with pytest.raises(ConfigurationError, match=words):
        connect(Sandbox(customers=3)).customers.list(sort_field=field)


@pytest.mark.anyio
@pytest.mark.parametrize("send", ["resembles no field", "by path"])
async def test_a_field_that_only_the_server_knows_is_sent(send):
    """A name that resembles no field of the model, or any name by `client.listing`, is sent as it is."""
    sandbox = Sandbox(customers=3)
    sandbox.faults.add("GET /customers", status=200, body='{"data": {"customers": [], "total_items": 0}}')
    async with connect(sandbox) as client:
        if send == "by path":
            await client.listing("customers", params={"sort_field": "last_chnge"}).page()
        else:
            await client.customers.list(sort_field="loyalty_tier").page()
    assert dict(sandbox.requests[-1].query)["sort_field"] in {"loyalty_tier", "last_chnge"}


@pytest.mark.anyio
@pytest.mark.parametrize("direction", ["desc", "DESC", "Desc"])
async def test_a_direction_is_sent_in_the_apis_spelling(direction):
    """`sort_direction` may be written in small letters, as on the command line."""
    sandbox = Sandbox(customers=3)
    async with connect(sandbox) as client:
        await client.customers.list(sort_field="last_change", sort_direction=direction).first()
    assert dict(sandbox.requests[-1].query)["sort_direction"] == "DESC"
    assert not broken_rules(sandbox)
