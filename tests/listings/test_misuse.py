"""A listing that is used like a list: the errors say what to write."""

import pytest
from kit import connect

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


@pytest.mark.anyio
@pytest.mark.parametrize("direction", ["desc", "DESC", "Desc"])
async def test_a_direction_is_sent_in_the_apis_spelling(direction):
    """`sort_direction` may be written in small letters, as on the command line."""
    sandbox = Sandbox(customers=3)
    async with connect(sandbox) as client:
        await client.customers.list(sort_field="last_change", sort_direction=direction).first()
    assert dict(sandbox.requests[-1].query)["sort_direction"] == "DESC"
    assert not sandbox.violations
