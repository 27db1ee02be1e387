"""Duplicates: groups of records that share a value, with what could be moved; nothing is written."""

import csv
import errno
from functools import partial

import httpx
import kit
import pytest
from every import every

from carecloud_async.errors import ConfigurationError, ExportError, NotFoundError, ResponseError
from carecloud_async.sandbox import Sandbox
from carecloud_async.workflows import find_duplicates

pytestmark = pytest.mark.anyio

PARTNER = "86e05affc7a7abefcd513ab400"


@pytest.fixture
def sandbox():
    return Sandbox(customers=40, seed=3, untidy=False)


connect = partial(kit.connect, rate_limit=None)


async def with_values(client, *people):
    """Give the first customers these values; return their ids."""
    ids = [item.customer_id async for item in client.customers.list(count=100)][: len(people)]
    for customer_id, person in zip(ids, people, strict=True):
        await client.customers.update(customer_id, {"personal_information": person})
    return ids


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


async def test_records_that_share_a_value_are_one_group(sandbox, tmp_path):
    """Three customers, of whom one shares a first name with the first and a last name with the third, are one group."""
    async with connect(sandbox) as client:
        ids = await with_values(
            client,
            {"first_name": "Zoltana", "last_name": "Aa"},
            {"first_name": " zoltana", "last_name": "Quisquilla  Bb"},
            {"first_name": "Other", "last_name": "quisquilla bb"},
        )
        sent = len(sandbox.requests)
        report = await find_duplicates(
            client,
            listing=client.customers.list(),
            by=["first_name", "personal_information.last_name"],
            file=tmp_path / "groups.csv",
            plan=False,
        )
    rows = [row for row in read(tmp_path / "groups.csv") if row["record_id"] in ids]
    assert (report.exact, report.records) == (True, 40)
    assert len({row["group"] for row in rows}) == 1
    matched = {row["record_id"]: set(row["matched_by"].split("; ")) for row in rows}
    assert "first_name" in matched[ids[0]]
    assert matched[ids[1]] == {"first_name", "personal_information.last_name"}
    assert "personal_information.last_name" in matched[ids[2]]
    assert all(request.method == "GET" for request in [*sandbox.requests][sent:])
    assert report.requests == len(sandbox.requests) - sent


async def test_a_zero_date_is_nobodys_birthday(sandbox, tmp_path):
    """Customers with the same name, whose days of birth are not known, are no duplicates."""
    async with connect(sandbox) as client:
        await with_values(client, *[{"last_name": "Quisquilla", "birthdate": "0000-00-00"}] * 2)
        by, file = ["last_name+birthdate"], tmp_path / "groups.csv"
        report = await find_duplicates(client, listing=client.customers.list(), by=by, file=file, plan=False)
    assert report.groups == 0


async def test_what_customers_have_stands_beside_them(sandbox, tmp_path):
    """The customer with the most points is kept, and the plan moves the points of the other one to it."""
    async with connect(sandbox) as client:
        ids = await with_values(client, *[{"first_name": "Ann", "last_name": "Lee", "birthdate": "1990-01-01"}] * 2)
        await client.points.assign_points(customer_id=ids[0], amount=1_000, partner_id=PARTNER)
        await client.points.assign_points(customer_id=ids[1], amount=1_000_000, partner_id=PARTNER)
        report = await find_duplicates(
            client, listing=client.customers.list(), by=["name+birthdate"], file=tmp_path / "groups.csv"
        )
    assert report.groups == 1
    rows = {row["record_id"]: row for row in read(tmp_path / "groups.csv")}
    assert rows[ids[1]]["plan"].startswith("keep")
    assert f"points to {ids[1]}" in rows[ids[0]]["plan"]
    assert "points: " in rows[ids[0]]["has"]


async def test_a_list_that_the_project_lacks_is_no_deleted_customer(sandbox, tmp_path):
    """A 404 of credits is raised, and no customer is reported as gone: it says nothing about the customers."""
    sandbox.faults.add("GET /credits", status=404, times=None)
    target = tmp_path / "groups.csv"
    async with connect(sandbox) as client:
        await with_values(client, *[{"first_name": "Ann", "last_name": "Lee", "birthdate": "1990-01-01"}] * 2)
        with pytest.raises(NotFoundError, match="/credits"):
            await find_duplicates(client, listing=client.customers.list(), by=["name+birthdate"], file=target)
    assert not target.exists()


async def test_a_record_without_an_id_ends_no_run(tmp_path):
    """A record without an id is in its group, and no request is made about it."""
    people = [{"customer_id": item, "personal_information": {"email": "a@example.com"}} for item in (None, "c2")]

    def answer(request):
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        return kit.cut(name, people if name == "customers" else [], request)

    async with kit.served(answer) as client:
        report = await find_duplicates(client, listing=client.customers.list(), by=["email"], file=tmp_path / "x.csv")
    assert (report.groups, report.duplicates) == (1, 2)


def having(points, *, gone=(), filters=True, deleted=()):
    """Answer for two customers with one address, of whom each has these points; some records of points are deleted."""
    people = [{"customer_id": point, "personal_information": {"email": "a@example.com"}} for point in points]
    records = [
        {
            "point_id": f"{point}-{number}",
            "customer_id": point,
            "available_points": amount,
            "state": 0 if amount in deleted else 1,
        }
        for point, amounts in points.items()
        for number, amount in enumerate(amounts)
    ]

    def answer(request):
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        owner = request.url.params.get("customer_id")
        if owner in gone or name in gone:
            return httpx.Response(404, json={"error": {"title": "Not found"}})
        own = [record for record in records if record["customer_id"] == owner or not filters]
        return kit.cut(name, {"customers": people, "points": own}.get(name, []), request)

    return kit.served(answer)


#: The points of two customers, those that are deleted, who is gone, and what stands beside them.
POINTS = [
    (
        {"c1": [1_234_567, 0.25], "c2": [0.1, 0.2]},
        {},
        [("points: 1234567.25", "keep"), ("points: 0.3", "move points to c1")],
    ),
    ({"c1": [5, 1000], "c2": [7]}, {"deleted": [1000]}, [("points: 5", "move points to c2"), ("points: 7", "keep")]),
    ({"c1": [], "c2": [-5]}, {"gone": ["c1"]}, [("", "none: deleted meanwhile"), ("points: -5", "keep")]),
]


@every("points, more, expected", POINTS)
async def test_points_are_counted_by_their_digits(tmp_path_factory, points, more, expected):
    """They are not rounded, deleted ones do not count, and a customer who is there is kept whatever the points."""
    file = tmp_path_factory.mktemp("points") / "x.csv"
    async with having(points, **more) as client:
        await find_duplicates(client, listing=client.customers.list(), by=["email"], file=file)
    assert [(row["has"], row["plan"].replace(": it has the most", "")) for row in read(file)] == expected


async def test_a_server_that_ignores_the_filter_of_points(tmp_path):
    """All points of the project would be each customer's: the run ends with what to do, and writes no plan."""
    file = tmp_path / "x.csv"
    async with having({"c1": [1], "c2": [2]}, filters=False) as client:
        with pytest.raises(ResponseError, match=r"GET /points: the server ignores the filter customer_id.*plan=False"):
            await find_duplicates(client, listing=client.customers.list(), by=["email"], file=file)
    assert not file.exists()


async def test_a_value_of_too_many_records_joins_nothing(sandbox, tmp_path):
    """A value that more records share than allowed is counted, and joins nothing; empty values join nothing either."""
    async with connect(sandbox) as client:
        await with_values(client, *[{"phone": "420111111111"}] * 4, *[{"phone": None}] * 3)
        report = await find_duplicates(
            client, listing=client.customers.list(), by=["phone"], file=tmp_path / "groups.csv", most_shared=3
        )
    assert (report.groups, report.crowded) == (0, 1)
    assert read(tmp_path / "groups.csv") == []


async def test_a_field_that_records_do_not_have(sandbox, tmp_path):
    """A field that no record has is an error before anything is read."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=r"no field 'emial': did you mean .*email"):
            await find_duplicates(client, listing=client.customers.list(), by=["emial"], file=tmp_path / "x.csv")
    assert not sandbox.requests


async def test_a_chain_of_records_is_one_group(tmp_path):
    """However long a chain of shared values is, its records are one group."""
    order = [*range(0, 300, 2), *range(1, 300, 2)]  # even ones first: labels have to travel both ways
    people = [
        # Each has its phone number from one neighbour and its address from the other.
        {
            "customer_id": f"c{n}",
            "personal_information": {"phone": f"{777000 + n + n % 2}", "email": f"{n + 1 - n % 2}"},
        }
        for n in order
    ]
    async with kit.served(lambda request: kit.cut("customers", people, request)) as client:
        by, file = ["phone", "email"], tmp_path / "x.csv"
        report = await find_duplicates(client, listing=client.customers.list(), by=by, file=file, plan=False)
    assert (report.groups, report.duplicates) == (1, 300)


async def test_a_full_disk_for_the_groups(sandbox, tmp_path, monkeypatch):
    """The file needs room of its own: the error is one of exports, and names the file."""

    def is_full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("carecloud_async.workflows.duplicates.write_rows", is_full)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=r"same\.csv: the disk is full: free some space and run it again"):
            await find_duplicates(
                client, listing=client.customers.list(), by=["email"], file=tmp_path / "same.csv", plan=False
            )
