"""Filters of the wrong kind are refused before anything is sent: the API would drop them and answer with everything."""

from collections import UserList
from datetime import UTC, date, datetime
from enum import StrEnum

import pytest
from every import every
from kit import connect

from carecloud_async import ConfigurationError
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio

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
    ("birthdate", "1985-02-12T00:00"),
    ("birthdate", ""),
    ("birthdate", 19850212),
    ("customer_ids", "8ea6"),
    ("customer_ids", b"8ea6"),
    ("customer_ids", {"id": "8ea6"}),
    ("customer_ids", []),
    ("customer_ids", set()),
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


async def test_what_goes_out_as_the_same_text_is_taken(client):
    """Numbers for texts, texts for numbers and booleans, dates and their text, members of enums, tuples and sets."""

    class Name(StrEnum):
        SMITH = "Smith"

    for filters in (
        {"last_name": Name.SMITH},
        {"phone": 420123828931},
        {"birthdate": date(1985, 2, 12)},
        {"birthdate": "1985-02-12"},
        {"customer_ids": ("8ea6", "8ea7")},
        {"customer_ids": {"8ea6"}},
        {"customer_short_salutation": False},
        {"last_name": None, "customer_ids": None},
        {"sort_field": "last_change", "sort_direction": "ASC"},
    ):
        client.customers.list(**filters)
    data = await client.request("GET", "customers", params={"count": "1", "customer_short_salutation": "true"})
    assert len(data["customers"]) == 1


async def test_a_column_of_a_data_frame_is_a_list_of_values(client, sandbox):
    """Series of pandas and polars have no truth value; an empty one is refused as an empty list is."""

    class Column(UserList):
        def __bool__(self):
            raise ValueError("the truth value of a Series is ambiguous")

    await client.customers.list(customer_ids=Column([FIRST_CUSTOMER_ID])).total()
    assert ("customer_ids[]", FIRST_CUSTOMER_ID) in sandbox.requests[-1].query
    with pytest.raises(ConfigurationError, match="customer_ids is empty"):
        client.customers.list(customer_ids=Column())


async def test_a_moment_that_stands_for_a_day_is_sent_as_its_day(client, sandbox):
    """A datetime is a date to Python: the API gets the day alone."""
    await client.customers.list(birthdate=datetime(1985, 2, 12, 13, 30, tzinfo=UTC)).total()
    assert ("birthdate", "1985-02-12") in sandbox.requests[-1].query


@pytest.mark.parametrize(("text", "sent"), [("12.02.1985", "1985-02-12"), ("01.12.0985", "0985-12-01")])
async def test_a_day_may_be_written_with_dots(client, sandbox, text, sent):
    """`DD.MM.YYYY` is a date as well, and goes out as the one form that every operation takes."""
    await client.customers.list(birthdate=text).total()
    assert ("birthdate", sent) in sandbox.requests[-1].query
    with pytest.raises(ConfigurationError, match="birthdate"):
        client.customers.list(birthdate="30.02.1985")


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
