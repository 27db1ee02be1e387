"""Filters of the wrong kind are refused before anything is sent: the API would drop them and answer with everything."""

from collections import UserList
from datetime import UTC, date, datetime
from enum import StrEnum

import pytest
from every import every
from kit import connect

from carecloud_async import ConfigurationError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Name(StrEnum):
    SMITH = "Smith"


class Column(UserList):
    """As the series of pandas and polars are: without a truth value."""

    def __bool__(self):
        raise ValueError("the truth value of a Series is ambiguous")


WRONG = [
    ("last_name", ["Novák5"]),
    ("last_name", ("Novák5",)),
    ("last_name", {"Novák5"}),
    ("last_name", {"name": "Novák5"}),
    ("last_name", b"Novak5"),
    ("last_name", True),
    ("last_name", ""),
    ("last_name", " "),
    ("last_name", 1.5),
    ("last_name", object()),
    ("birthdate", "12.2.1985"),
    ("birthdate", "1985-02-30"),
    ("birthdate", "30.02.1985"),
    ("birthdate", "1985-02-12T00:00"),
    ("birthdate", ""),
    ("birthdate", 19850212),
    ("customer_ids", "8ea6"),
    ("customer_ids", b"8ea6"),
    ("customer_ids", {"id": "8ea6"}),
    ("customer_ids", []),
    ("customer_ids", set()),
    ("customer_ids", Column()),
    ("customer_ids", ["8ea6", ""]),
    ("customer_ids", ["8ea6", None]),
    ("customer_ids", [["8ea6"]]),
    ("customer_ids", ["8ea6"] * 1001),
    ("customer_ids", (each for each in ["8ea6"])),
    ("customer_short_salutation", 1),
    ("customer_short_salutation", "yes"),
    ("sort_direction", "down"),
    ("sort_field", ["last_change"]),
]


@every("name, value", WRONG, ids=repr)
async def test_a_filter_of_the_wrong_kind_is_refused(client, sandbox, name, value):
    """`list` and `request` name the filter, send nothing and never quote the value."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        client.customers.list(**{name: value})
    assert "Novák5" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=name):
        await client.request("GET", "customers", params={name: value})
    assert not sandbox.requests


#: Filters, and what is sent of them.
TAKEN = [
    ({"last_name": Name.SMITH}, [("last_name", "Smith")]),
    ({"phone": 420123828931}, [("phone", "420123828931")]),
    *[({"birthdate": day}, [("birthdate", "1985-02-12")]) for day in (date(1985, 2, 12), "1985-02-12", "12.02.1985")],
    ({"birthdate": "01.12.0985"}, [("birthdate", "0985-12-01")]),
    ({"birthdate": datetime(1985, 2, 12, 13, 30, tzinfo=UTC)}, [("birthdate", "1985-02-12")]),
    ({"customer_ids": ("8ea6", "8ea7")}, [("customer_ids[]", "8ea6"), ("customer_ids[]", "8ea7")]),
    *[({"customer_ids": ids}, [("customer_ids[]", "8ea6")]) for ids in ({"8ea6"}, Column(["8ea6"]))],
    ({"customer_short_salutation": False}, [("customer_short_salutation", "false")]),
    ({"last_name": None, "customer_ids": None}, []),
    (
        {"sort_field": "last_change", "sort_direction": "ASC"},
        [("sort_field", "last_change"), ("sort_direction", "ASC")],
    ),
]


@every("filters, sent", TAKEN)
async def test_what_goes_out_as_the_same_text_is_taken(client, sandbox, filters, sent):
    """Numbers for texts, days in each spelling and as moments, members of enums, tuples, sets and columns of frames."""
    await client.customers.list(**filters).total()
    query = sandbox.requests[-1].query
    assert sorted(pair for pair in query if pair[0] not in {"count", "offset"}) == sorted(sent)


async def test_texts_of_a_query_are_read_as_numbers_and_truths(client):
    """`request` takes what a URL holds."""
    data = await client.request("GET", "customers", params={"count": "1", "customer_short_salutation": "true"})
    assert len(data["customers"]) == 1


async def test_the_query_of_one_record_is_checked_too(client, sandbox):
    """`get` refuses what the API would not read."""
    with pytest.raises(ConfigurationError, match="customer_short_salutation"):
        await client.customers.get("8ea6", customer_short_salutation="no")
    assert not sandbox.requests


async def test_an_unknown_argument_has_its_nearest_name(client):
    """A misspelt filter is Python's own TypeError, with the name that was meant."""
    with pytest.raises(TypeError, match=r"'last_nam'\. Did you mean 'last_name'"):
        client.customers.list(last_nam="Smith")
    with pytest.raises(TypeError, match="customer_id"):
        await client.customers.get()
    with pytest.raises(TypeError, match="positional"):
        await client.customers.get("a", "b")


def test_a_moment_takes_what_the_api_reads():
    """Times and their text pass; look-alikes do not."""
    purchases = connect(Sandbox(customers=0)).purchases
    for value in ("2026-11-01 18:30:00", "2026-11-01T18:30", datetime(2026, 11, 1)):  # noqa: DTZ001
        purchases.list(payment_time_from=value)
    for value in ("18:30", "yesterday"):
        with pytest.raises(ConfigurationError, match="payment_time_from"):
            purchases.list(payment_time_from=value)


async def test_unknown_names_and_brackets(client):
    """An unknown name is sent where that is asked for, and `[]` behind a name changes nothing."""
    assert await client.request("GET", "customers", params={"brand_new": 1}, allow_unknown=True)
    with pytest.raises(ConfigurationError, match="customer_ids"):
        await client.request("GET", "customers", params={"customer_ids[]": "8ea6"})
