"""`client.check()`: each assumption of the SDK that a project breaks is named, and a healthy project has no finding."""

import json

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from starlette.middleware.gzip import GZipMiddleware

from carecloud_async import CareCloud, CheckStatus, EnterpriseCredentials, models
from carecloud_async.check.known_values import FIELDS
from carecloud_async.sandbox import Sandbox

OK, WARNING, PROBLEM = CheckStatus

pytestmark = pytest.mark.anyio


def make(**more):
    return Sandbox(**{"customers": 300, "untidy": False, **more})


async def check(sandbox, **more):
    settings = {"auth": sandbox.credentials(), "transport": sandbox.transport(), **more}
    async with CareCloud("sandbox.crmcarecloud.com", **settings) as client:
        found = await client.check()
    assert found.requests == len(sandbox.requests) <= 60
    assert sandbox.violations == []
    assert all(
        request.method == "GET" or request.template.endswith(("login", "/tokens")) for request in sandbox.requests
    )
    assert not [one for one in found.findings if "could not be examined" in one.seen]
    return found


def broken(found):
    """The findings that are not ok, as name and status."""
    return {(one.name, one.status) for one in found.findings if one.status is not OK}


def seen(found, name):
    """What was seen under a name, of all that is not ok."""
    return " ".join(one.seen for one in found.named(name) if one.status is not OK)


@pytest.mark.parametrize("customers", [1, 2, 3, 40, 300, 2500])
async def test_a_healthy_project_has_no_finding(customers):
    """With a few records or many, nothing is a warning or a problem, and each finding says what it means."""
    found = await check(make(customers=customers))
    assert broken(found) == set()
    assert found.ok
    assert all(one.seen and one.meaning for one in found.findings)


async def test_an_empty_project_has_no_finding():
    """A project without any record is healthy."""
    found = await check(make(customers=0, records=0))
    assert broken(found) == set()


async def test_a_page_cap_is_named():
    """A server that cuts pages is a warning with the size, and nothing else is doubted."""
    found = await check(make(max_count=50))
    assert broken(found) == {("page_cap", WARNING)}
    assert "cut to 50 records" in seen(found, "page_cap")


async def test_an_order_that_is_not_kept_is_named():
    """Pages that are each cut from another order are a problem."""
    sandbox = make()
    sandbox.settings.shuffled = True
    found = await check(sandbox)
    assert {("order", PROBLEM), ("sort", PROBLEM)} <= broken(found)
    assert "changes from page to page" in seen(found, "order")


async def test_a_sort_that_is_ignored_is_named():
    """A server that sends its own order whatever it is asked for is a problem."""
    sandbox = make()
    sandbox.settings.sorts = False
    found = await check(sandbox)
    assert ("sort", PROBLEM) in broken(found)
    assert "ignored" in seen(found, "sort")
    assert "last_change is not honoured" in seen(found, "sort")


async def test_an_offset_that_is_ignored_is_named():
    """A server whose every page is the first one is a problem."""
    sandbox = make()
    sandbox.lie(repeat_page=True)
    found = await check(sandbox)
    assert ("offset", PROBLEM) in broken(found)


async def test_a_filter_that_is_ignored_is_named():
    """A filter that must find nothing and finds records is a problem."""
    sandbox = make()
    sandbox.settings.filters = False
    found = await check(sandbox)
    assert broken(found) == {("filters", PROBLEM)}
    assert "customers by email" in seen(found, "filters")
    assert "cards by customer_id" in seen(found, "filters")


async def test_totals_that_are_absent_are_named():
    """Lists without `total_items` are a warning."""
    sandbox = make()
    sandbox.settings.totals = False
    found = await check(sandbox)
    assert broken(found) == {("totals", WARNING)}
    assert "no total_items" in seen(found, "totals")


@pytest.mark.parametrize("total", [5, 299, 301, 100_000])
async def test_totals_that_are_wrong_are_named(total):
    """A total that is too small or too large is a problem, by one record too."""
    sandbox = make()
    sandbox.lie(total_items=total)
    found = await check(sandbox)
    assert ("totals", PROBLEM) in broken(found)


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_clock_an_hour_off_is_named(seconds):
    """A server whose clock differs from the host's by an hour is a problem of the clock, and of nothing else."""
    sandbox = make()
    sandbox.advance(seconds)
    found = await check(sandbox)
    assert broken(found) == {("clock", PROBLEM)}
    assert "60 minutes" in seen(found, "clock")


async def test_a_date_header_an_hour_off_is_named():
    """A `Date` that does not fit the server's own timestamps is named as a clock, and the zone is doubted."""
    sandbox = make()
    sandbox.settings.date_offset = -3600
    found = await check(sandbox)
    assert broken(found) == {("clock", PROBLEM), ("timezone", WARNING)}


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "Asia/Kolkata", "America/New_York", "UTC"])
async def test_another_zone_is_named(zone):
    """A project in another zone than `timezone=` is named by the life of its token, with the difference."""
    found = await check(make(timezone=zone))
    assert broken(found) == {("timezone", WARNING)}
    assert "timezone=" in found.named("timezone")[0].fix


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
    sandbox.faults.add("GET /stamps", status=404, times=None)
    found = await check(sandbox)
    assert broken(found) == set()
    assert "does not have stamps" in " ".join(one.seen for one in found.named("families"))


class Wrapped(httpx.AsyncBaseTransport):
    """The sandbox's transport, with answers of the test's own in between."""

    def __init__(self, sandbox, answer):
        self._inner = sandbox.transport()
        self._answer = answer

    async def handle_async_request(self, request):
        return self._answer(request) or await self._inner.handle_async_request(request)


async def test_a_large_page_that_is_refused_is_named():
    """A server that answers 400 to a large `count` is a warning with the size that comes."""
    sandbox = make()

    def refuse(request):
        large = request.url.params.get("count") == "1000"
        return httpx.Response(400, json={"error": {"type": "bad_request"}}) if large else None

    client = CareCloud("a.example", auth=sandbox.credentials(), transport=Wrapped(sandbox, refuse))
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
    assert broken(found) == {("families", PROBLEM), ("families", WARNING)}


async def test_unknown_fields_and_values_are_named():
    """A field and a value that the models do not know are warnings with the field's name, without the value."""
    sandbox = make()
    sandbox.customers.update(sandbox.customers.ids()[3], {"shoe_size": 43, "personal_information": {"gender": 97}})
    found = await check(sandbox)
    assert broken(found) == {("unknown_fields", WARNING), ("unknown_values", WARNING)}
    assert "customers.shoe_size" in seen(found, "unknown_fields")
    assert "customers.personal_information.gender" in seen(found, "unknown_values")
    assert "97" not in seen(found, "unknown_values")


async def test_bare_429s_are_named():
    """429 without `Retry-After` are a warning with their number, and the check waits them out."""
    sandbox = make()
    sandbox.faults.add("GET /cards", status=429, times=2)
    found = await check(sandbox)
    assert broken(found) == {("rate_limit", WARNING)}
    assert "2 of them without Retry-After" in seen(found, "rate_limit")


async def test_nothing_but_429_is_named():
    """A server that refuses every request with a bare 429 is a problem, and the 429s are counted."""
    sandbox = make()
    sandbox.faults.add("GET *", status=429, times=None)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=1.5)
    assert {("unexamined", PROBLEM), ("rate_limit", WARNING)} <= broken(found)


async def test_a_token_that_is_always_refused_ends_within_the_bound():
    """A server that answers 401 to every fresh token is a problem, after a few logins."""
    sandbox = make()
    sandbox.faults.add("GET *", status=401, times=None)
    found = await check(sandbox)
    assert broken(found) == {("families", PROBLEM)}
    assert "a fresh token is refused" in seen(found, "families")
    assert sandbox.logins < 12


async def test_a_password_that_cannot_be_fetched_is_named():
    """A callable password that raises is a problem of the login, without the text of what it raised."""

    def password():
        raise LookupError("vault token s.123")

    auth = EnterpriseCredentials(external_application_id="a", login="b", password=password)
    async with CareCloud("a.example", auth=auth, transport=make().transport()) as client:
        found = await client.check()
    assert broken(found) == {("login", PROBLEM)}
    assert "s.123" not in found.to_json()


async def test_a_missing_date_is_named():
    """Answers without `Date` are a warning of the clock."""
    sandbox = make()
    sandbox.settings.date_header = False
    found = await check(sandbox)
    assert broken(found) == {("clock", WARNING)}
    assert "no answer has a usable Date" in seen(found, "clock")


@pytest.mark.parametrize("status", [None, 407, 502])
async def test_a_page_of_a_proxy_at_the_login_is_named(status):
    """HTML in place of the login's answer is a problem of the login, whatever its status."""
    sandbox = make()
    sandbox.faults.add("POST *", html=True, status=status, times=None)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=2)
    assert ("login", PROBLEM) in broken(found)
    assert broken(found) <= {("login", PROBLEM), ("unexamined", PROBLEM), ("failures", WARNING)}
    assert "proxy" in found.named("login")[0].seen or "502" in found.named("login")[0].seen


async def test_a_page_of_a_proxy_in_place_of_lists_is_named():
    """HTML in place of lists is a problem with their names."""
    sandbox = make()
    sandbox.faults.add("GET /cards", html=True, times=None)
    found = await check(sandbox)
    assert broken(found) == {("answers", PROBLEM)}
    assert "HTML came in place of cards" in seen(found, "answers")


async def test_a_refused_login_is_named():
    """A wrong password is a problem with the fix, and nothing else is asked."""
    sandbox = make()
    sandbox.set_password("another")
    found = await check(sandbox)
    assert broken(found) == {("login", PROBLEM)}
    assert "external_application_id" in found.named("login")[0].fix
    assert found.requests == 1


async def test_a_server_that_is_not_there_is_named():
    """No connection is a problem of the login."""

    def refuse(request):
        raise httpx.ConnectError("certificate verify failed: secret.host")

    auth = EnterpriseCredentials(external_application_id="a", login="b", password="c")
    async with CareCloud("a.example", auth=auth, transport=httpx.MockTransport(refuse)) as client:
        found = await client.check(seconds=1)
    assert not found.ok
    assert "secret.host" not in found.to_json()


STRANGE = [
    b"",
    b"null",
    b"[]",
    b'{"data": null}',
    b'{"data": []}',
    b'{"data": {"customers": {}}}',
    b'{"data": {"customers": [null, 1, "x", []], "total_items": "4"}}',
    b'{"data": {"customers": [{"customer_id": 1.5}, {"customer_id": null}, {}, {"customer_id": []}],"total_items":-1}}',
    b'{"data": {"customers": [{"customer_id": 1, "personal_information": 7, "last_change": 12}], "total_items": 1e9}}',
    b'{"data": {"customers": [{"customer_id": "b"}, {"customer_id": "B"}, {"customer_id": "b"}], "total_items": true}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
async def test_a_strange_server_is_survived(body):
    """Whatever lists answer, the check ends with findings and raises nothing."""
    sandbox = make()
    sandbox.faults.add("GET /customers", body=body, times=None)
    await check(sandbox)


async def test_a_login_of_another_shape_is_survived():
    """A login without valid_to is a warning of the token's life."""
    sandbox = make()
    sandbox.lie(valid_to="soon")
    assert broken(await check(sandbox)) == {("token_life", WARNING)}


async def test_a_total_time_ends_the_check():
    """A check that takes longer than its seconds ends with what it has found, and says so."""
    sandbox = make(latency=0.5)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=0.7)
    assert ("unexamined", PROBLEM) in broken(found)
    assert found.named("login")[0].status is OK


async def test_the_report_holds_nothing_of_any_record():
    """Canaries in ids, names, values, keys and error texts are not in the report; neither are the credentials."""
    canary = "canary7"
    sandbox = make()
    everything = {
        "first_name": canary,
        "last_name": f"{canary}son",
        "email": f"{canary}@example.com",
        "salutation": f"<{canary}>",
        "gender": f"{canary}-gender",
        "address": {"city": canary, f"{canary}": canary},
    }
    for one in sandbox.customers.ids()[:50]:
        sandbox.customers.update(one, {"personal_information": everything, "last_change": canary, "state": canary})
    sandbox.customers.update(sandbox.customers.ids()[1], {f"{canary}_key": 1, "8ea6abece4cd0a4ded": 1})
    refusal = {"error": {"type": canary, "exception": canary, "error_data": {"invalid_params": [{"name": canary}]}}}
    for path, status in (("/cards", 400), ("/vouchers", 500), ("/rewards", 403)):
        sandbox.faults.add(f"GET {path}", status=status, body=json.dumps(refusal), times=None)
    found = await check(sandbox)
    text = found.to_json() + str(found) + repr(found)
    assert canary not in text
    ids = [*sandbox.customers.ids(), *sandbox.records("purchases").ids()]
    assert not [one for one in ids if one in text]
    assert "fabulous_user" not in text
    assert "sandbox.crmcarecloud.com" not in text


async def test_the_report_is_json_of_its_findings():
    """`to_json` has each finding with status, meaning and fix."""
    found = await check(make(max_count=50))
    report = json.loads(found.to_json())
    assert report["ok"] is True
    assert report["requests"] == found.requests
    assert {"name": "page_cap", "status": "warning"}.items() <= next(
        one for one in report["findings"] if one["name"] == "page_cap"
    ).items()


async def test_a_customer_is_checked_too():
    """On the customer interface what a customer may read is examined, and the session stays."""
    sandbox = make()
    found = await check(sandbox, auth=sandbox.customer_session())
    assert found.named("login")[0].status is OK
    assert not found.problems


async def test_a_device_keeps_its_token():
    """Lists that refuse a device without a customer do not make the check create another device token."""
    sandbox = make()
    found = await check(sandbox, auth=sandbox.device("till-1"))
    assert found.named("login")[0].status is OK
    assert sandbox.count("POST /tokens") == 1


def test_known_values_are_of_fields_that_exist():
    """Each class and field of the table of enums exists, and the field's description names the enum."""
    for enum, names in FIELDS.items():
        for name in names.split():
            owner, field = name.split(".")
            assert field in {one.name for one in getattr(models, owner).__attrs_attrs__}, name
            assert hasattr(models, enum)
