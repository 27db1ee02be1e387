"""`client.check()` of servers that refuse, fail, or answer something else; and what its report holds."""

import json

import httpx
import pytest
from kit import CREDENTIALS, through
from lying import lie

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from check_tools import OK, PROBLEM, WARNING, broken, check, make, seen, unknown

from carecloud_async import CareCloud, EnterpriseCredentials

pytestmark = pytest.mark.anyio


async def test_bare_429s_are_named():
    """429 without `Retry-After` are a warning with their number, and the check waits them out."""
    sandbox = make()
    sandbox.faults.add("GET /cards", status=429, times=2)
    found = await check(sandbox)
    assert broken(found) == {("rate_limit", WARNING)}
    assert "2 of 46 requests" in seen(found, "rate_limit")


async def test_nothing_but_429_is_named():
    """A server that refuses every request with a bare 429 shows nothing, and the 429s are counted."""
    sandbox = make()
    sandbox.faults.add("GET *", status=429, times=None)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=1.5)
    assert ("rate_limit", WARNING) in broken(found)
    assert "unexamined" in unknown(found)


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


@pytest.mark.parametrize("status", [None, 407, 502])
async def test_a_page_of_a_proxy_at_the_login_is_named(status):
    """HTML in place of the login's answer is a problem of the login, with any status."""
    sandbox = make()
    sandbox.faults.add("POST *", html=True, status=status, times=None)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=2)
    assert ("login", PROBLEM) in broken(found)
    assert broken(found) <= {("login", PROBLEM), ("failures", WARNING)}
    assert str(status or 200) in found.named("login")[0].seen


async def test_a_page_of_a_proxy_in_place_of_lists_is_named():
    """HTML in place of lists is a problem with their names."""
    sandbox = make()
    sandbox.faults.add("GET /cards", html=True, times=None)
    found = await check(sandbox)
    assert broken(found) == {("answers", PROBLEM)}
    assert "cards: a page of a proxy" in seen(found, "answers")


async def test_a_refused_login_is_named():
    """A wrong password is a problem with the fix, and nothing else is asked."""
    sandbox = make()
    sandbox.set_password("another")
    found = await check(sandbox)
    assert broken(found) == {("login", PROBLEM)}
    assert "external_application_id" in found.named("login")[0].fix
    assert found.requests == 1


async def test_a_server_that_is_not_there_is_named():
    """If no connection is made, the login has a problem that says so."""

    def refuse(request):
        raise httpx.ConnectError("certificate verify failed: secret.host")

    async with CareCloud("a.example", auth=CREDENTIALS, transport=httpx.MockTransport(refuse)) as client:
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


async def test_answers_that_are_lost_accuse_no_filter_and_no_sort():
    """After a lost answer to a filtered or sorted request it is not known whether filter and sort work."""
    sandbox = make()

    def after(request, _):
        query = request.url.params
        if query.get("sort_direction") == "DESC" or "customer_ids[]" in query:
            raise httpx.ReadError("gone", request=request)

    found = await check(sandbox, transport=through(sandbox, after=after))
    assert {"filters", "sort"} <= unknown(found)
    assert broken(found) == {("failures", WARNING)}
    assert "customers: no answer" in seen(found, "filters")
    assert "customers: no answer" in seen(found, "sort")


async def test_a_refused_filter_by_ids_is_a_problem():
    """A server that refuses to look ids up will refuse it again: the fix does not say to run the check again."""
    sandbox = make()

    def after(request, _):
        return httpx.Response(400, json={"error": {}}) if "customer_ids[]" in request.url.params else None

    found = await check(sandbox, transport=through(sandbox, after=after))
    assert ("filters", PROBLEM) in broken(found)
    assert "look customers up one by one" in found.named("filters")[0].fix


async def test_a_login_of_another_shape_is_survived():
    """A login without valid_to is a warning of the token's life."""
    sandbox = make()
    lie(sandbox, valid_to="soon")
    assert broken(await check(sandbox)) == {("token_life", WARNING)}


async def test_a_total_time_ends_the_check():
    """A check that takes longer than its seconds ends with what it has found, and says so."""
    sandbox = make(latency=0.5)
    async with CareCloud("a.example", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        found = await client.check(seconds=0.7)
    assert "unexamined" in unknown(found)
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
    assert broken(found) == set()
    assert "second_login" in unknown(found)


async def test_a_device_keeps_its_token():
    """Lists that refuse a device without a customer do not make the check create another device token, or accuse it."""
    sandbox = make()
    found = await check(sandbox, auth=sandbox.device("till-1"))
    assert found.named("login")[0].status is OK
    assert sandbox.count("POST /tokens") == 1
    assert broken(found) == set()
    assert "no customer is logged in on this device" in seen(found, "families")
