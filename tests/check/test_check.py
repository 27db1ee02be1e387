"""`client.check()`: each assumption of the SDK that a project breaks is named, and a healthy project has no finding."""

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from check_tools import PROBLEM, WARNING, broken, check, make, seen, unknown
from kit import through
from starlette.middleware.gzip import GZipMiddleware

from carecloud_async import CareCloud

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("customers", [1, 2, 3, 40, 300, 2500])
async def test_a_healthy_project_has_no_finding(customers):
    """With a few records or many, nothing is a warning or a problem, and each finding says what it means."""
    found = await check(make(customers=customers))
    assert broken(found) == set()
    assert unknown(found) == ({"change_times"} if customers > 2 else {"order", "sort", "change_times"})
    assert found.ok
    assert all(one.seen and one.meaning for one in found.findings)


async def test_an_empty_project_has_no_finding():
    """A project without any record is healthy; what only records show is not known."""
    found = await check(make(customers=0, records=0))
    assert broken(found) == set()
    assert unknown(found) == {"change_times", "filters", "notes", "sort"}


async def test_a_page_cap_is_named():
    """A server that cuts pages is a warning with the size, and nothing else is doubted."""
    found = await check(make(max_count=50))
    assert broken(found) == {("page_cap", WARNING)}
    assert "cut to 50 records" in seen(found, "page_cap")


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_clock_an_hour_off_is_named(seconds):
    """A server whose clock differs from the host's by an hour is a problem of the clock, and of nothing else."""
    sandbox = make()
    sandbox.advance(seconds)
    found = await check(sandbox)
    assert broken(found) == {("clock", PROBLEM)}
    assert "60 minutes" in seen(found, "clock")


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "Asia/Kolkata", "UTC"])
async def test_another_zone_is_named(zone):
    """A project in another zone than `timezone=` is named by the life of its token, with the difference."""
    found = await check(make(timezone=zone))
    assert broken(found) == {("timezone", PROBLEM)}
    assert "timezone=" in found.named("timezone")[0].fix


@pytest.mark.parametrize("hours", [1, 2, 8, 12, 24])
async def test_a_usual_life_of_tokens_accuses_no_zone(hours):
    """A token that lives another usual time leaves a doubt, with a way to decide it."""
    found = await check(make(token_lifetime=hours * 3600))
    assert {status for name, status in broken(found) if name == "timezone"} <= {WARNING}
    assert "within ten minutes" in found.named("timezone")[0].fix


async def test_another_zone_is_certain_where_the_latest_change_agrees_with_the_token():
    """A change of a moment ago that lies as many hours back as the token is short is a problem."""
    sandbox = make(timezone="America/New_York")
    sandbox.customers.update(sandbox.customers.ids()[0], {"state": 1})
    found = await check(sandbox)
    assert broken(found) == {("timezone", PROBLEM)}
    assert "of a moment ago" in seen(found, "timezone")


async def test_another_zone_is_certain_where_records_changed_in_the_future():
    """A change of a minute ago that lies hours ahead by `timezone=` is a problem."""
    sandbox = make(timezone="Asia/Tokyo")
    sandbox.customers.update(sandbox.customers.ids()[0], {"state": 1})
    found = await check(sandbox)
    assert broken(found) == {("timezone", PROBLEM)}


async def test_a_zone_that_recent_changes_fit_is_not_doubted():
    """A token life of 12 hours raises no doubt where the latest change fits the server's clock."""
    sandbox = make(token_lifetime=12 * 3600)
    sandbox.customers.update(sandbox.customers.ids()[0], {"state": 1})
    assert broken(await check(sandbox)) == set()


async def test_families_that_are_forbidden_are_named():
    """Families that answer 403 are a warning with their names; the others are examined."""
    sandbox = make()
    for path in ("/cards", "/purchases"):
        sandbox.faults.add(f"GET {path}", status=403, times=None)
    found = await check(sandbox)
    assert broken(found) == {("families", WARNING)}
    assert "may not read cards, purchases (403)" in seen(found, "families")


async def test_without_the_customers_another_list_is_examined():
    """Where customers are forbidden, pages, order and totals are looked at on another list."""
    sandbox = make(max_count=20)
    sandbox.faults.add("GET /customers", status=403, times=None)
    found = await check(sandbox)
    assert broken(found) == {("families", WARNING), ("page_cap", WARNING)}


async def test_families_that_the_project_does_not_have_are_no_fault():
    """A module that answers 404 is named, and is no warning."""
    sandbox = make()
    sandbox.faults.add("GET /orders", status=404, times=None)
    found = await check(sandbox)
    assert broken(found) == set()
    assert "does not have orders" in " ".join(one.seen for one in found.named("families"))


async def test_a_large_page_that_is_refused_is_named():
    """A server that answers 400 to a large `count` is a warning with the size that comes."""
    sandbox = make()

    def refuse(request):
        large = request.url.params.get("count") == "1000"
        return httpx.Response(400, json={"error": {"type": "bad_request"}}) if large else None

    client = CareCloud("a.example", auth=sandbox.credentials(), transport=through(sandbox, refuse))
    async with client:
        found = await client.check()
    assert broken(found) == {("page_cap", WARNING)}
    assert "one of 100 does" in seen(found, "page_cap")


async def test_compression_is_seen():
    """An answer that came as gzip is said to be compressed."""
    sandbox = make(customers=2000)
    app = GZipMiddleware(sandbox.app)
    transport = httpx.ASGITransport(app)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=transport) as client:
        found = await client.check()
    assert "compressed (gzip)" in found.named("compression")[0].seen


async def test_a_user_without_rights_is_named():
    """Where every family answers 403, that is a problem."""
    sandbox = make()
    sandbox.faults.add("GET *", status=403, times=None)
    found = await check(sandbox)
    assert broken(found) == {("families", PROBLEM)}
    assert unknown(found) == {"unexamined"}


async def test_unknown_fields_and_values_are_named():
    """A field and a value that the models do not know are warnings with the field's name, without the value."""
    sandbox = make()
    sandbox.customers.update(sandbox.customers.ids()[3], {"shoe_size": 43, "personal_information": {"gender": 97}})
    found = await check(sandbox)
    assert broken(found) == {("unknown_fields", WARNING), ("unknown_values", WARNING)}
    assert "customers.shoe_size" in seen(found, "unknown_fields")
    assert "customers.personal_information.gender" in seen(found, "unknown_values")
    assert "97" not in seen(found, "unknown_values")
