"""`client.check()`: each assumption of the SDK that a project breaks is named, and a healthy project has no finding."""

import json
import re
from pathlib import Path

import httpx
import pytest
from every import every
from kit import CREDENTIALS, page, through
from lying import lie
from thorough import variants

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from check_tools import NOT_KNOWN, OK, PROBLEM, WARNING, broken, check, make, seen, unknown
from starlette.middleware.gzip import GZipMiddleware

from carecloud_async import CareCloud, EnterpriseCredentials

pytestmark = pytest.mark.anyio


async def checked(sandbox, *, auth=None, transport=None, **options):
    """The check of a sandbox by a client with the host's own clock."""
    auth, transport = auth or sandbox.credentials(), transport or sandbox.transport()
    async with CareCloud("a.example", auth=auth, transport=transport) as client:
        return await client.check(**options)


@pytest.mark.parametrize("customers", [1, *variants(2), 3, *variants(40), 300, *variants(2500)])
async def test_a_healthy_project_has_no_finding(customers):
    """With a few records or many, nothing is a warning or a problem, and each finding says what it means."""
    report = await check(make(customers=customers))
    assert broken(report) == set()
    assert unknown(report) == ({"change_times"} if customers > 2 else {"order", "sort", "change_times"})
    assert report.ok
    assert all(finding.seen and finding.meaning for finding in report.findings)


async def test_an_empty_project_has_no_finding():
    """A project with no record but its user is healthy; what only records show is not known."""
    report = await check(make(customers=0, records=0))
    assert broken(report) == set()
    assert unknown(report) == {"change_times", "filters", "notes", "order", "sort"}


def nothing(sandbox):
    """Prepare nothing."""


def changed(sandbox):
    """A customer was changed a moment ago."""
    sandbox.customers.update(sandbox.customers.ids()[0], {"state": 1})


def fails(*patterns, **fault):
    """Some operations fail always."""

    def prepare(sandbox):
        for pattern in patterns:
            sandbox.faults.add(pattern, **{"times": None, **fault})

    return prepare


def ahead(seconds):
    return lambda sandbox: sandbox.advance(seconds)


#: Settings of a sandbox, how it is prepared, the warnings and problems, and words of one of them.
PROJECTS = {
    "a page cap": ({"max_count": 50}, nothing, "warning page_cap", "cut to 50 records"),
    "a clock ahead": ({}, ahead(3600), "problem clock", "60 minutes ahead"),
    "a clock behind": ({}, ahead(-3600), "problem clock", "60 minutes behind"),
    "Kolkata": ({"timezone": "Asia/Kolkata"}, nothing, "problem timezone", ""),
    "New York": ({"timezone": "America/New_York"}, changed, "problem timezone", "of a moment ago"),
    "a token of twelve hours, and a change": ({"token_lifetime": 12 * 3600}, changed, "", ""),
    "two families are forbidden": (
        {},
        fails("GET /cards", "GET /purchases", status=403),
        "warning families",
        "may not read cards, purchases (403)",
    ),
    "customers are forbidden": (
        {"max_count": 7},
        fails("GET /customers", status=403),
        "warning families, warning page_cap",
        "",
    ),
    "a family is not there": ({}, fails("GET /orders", status=404), "", ""),
    "every family is forbidden": ({}, fails("GET *", status=403), "problem families", ""),
    "no family is there": ({}, fails("GET *", status=404), "problem families", "none of 21 families can be read"),
    "bare 429s": ({}, fails("GET /cards", status=429, times=2), "warning rate_limit", "2 of "),
    "every token is refused": ({}, fails("GET *", status=401), "problem families", "a fresh token is refused"),
    "a proxy's page": ({}, fails("GET /cards", html=True), "problem answers", "cards: a page of a proxy"),
    "a wrong password": ({}, lambda sandbox: sandbox.set_password("another"), "problem login", ""),
    "an odd valid_to": ({}, lambda sandbox: lie(sandbox, valid_to="soon"), "warning token_life", ""),
}


@pytest.mark.parametrize("name", PROJECTS)
async def test_each_project_has_its_findings(name):
    """What a project does otherwise than assumed is a warning or a problem of its name, and nothing else is."""
    settings, prepare, expected, words = PROJECTS[name]
    sandbox = make(**settings)
    prepare(sandbox)
    report = await check(sandbox)
    assert {f"{status} {what}" for what, status in broken(report)} == {part for part in expected.split(", ") if part}
    assert words in " ".join(finding.seen for finding in (*report.warnings, *report.problems))
    assert all(finding.fix for finding in (*report.warnings, *report.problems))
    assert sandbox.logins < 12


#: An address, settings of the client, and what is said of certificates and proxies.
WAYS = [
    ("http://127.0.0.1:9", {"transport": make().transport()}, {"ok tls", "not known proxy"}),
    ("http://crm.internal", {"transport": make().transport(), "allow_http": True}, {"problem tls", "not known proxy"}),
    ("a.example", {"transport": make().transport()}, {"not known tls", "not known proxy"}),
    ("127.0.0.1:9", {}, {"ok tls", "ok proxy"}),
    ("127.0.0.1:9", {"verify": False}, {"problem tls", "ok proxy"}),
    ("127.0.0.1:9", {"proxy": "http://127.0.0.1:9"}, {"ok tls", "ok proxy"}),
]


@every("address, settings, expected", WAYS)
async def test_the_way_to_the_server_is_named(address, settings, expected):
    """Without certificates that are checked there is a problem; of a client's own transport nothing is known."""
    async with CareCloud(address, auth=make().credentials(), **settings) as client:
        report = await client.check(seconds=0.1)
    findings = (*report.named("tls"), *report.named("proxy"))
    assert {f"{finding.status} {finding.name}" for finding in findings} == expected


async def test_a_refused_login_ends_the_check():
    """After a wrong password nothing else is asked, and the fix names the settings of the login."""
    sandbox = make()
    sandbox.set_password("another")
    report = await check(sandbox)
    assert "external_application_id" in report.named("login")[0].fix
    assert report.requests == 1


@pytest.mark.parametrize("hours", [0.5, *variants(1, 2, 8), 12, *variants(24)])
async def test_a_usual_life_of_tokens_accuses_no_zone(hours):
    """A token that lives another usual time leaves a doubt, with a way to decide it."""
    report = await check(make(token_lifetime=hours * 3600))
    assert {status for name, status in broken(report) if name == "timezone"} <= {WARNING}
    assert "within ten minutes" in report.named("timezone")[0].fix


async def test_compression_is_seen():
    """An answer that came as gzip is said to be compressed."""
    sandbox = make(customers=2000)
    report = await checked(sandbox, transport=httpx.ASGITransport(GZipMiddleware(sandbox.app)))
    assert "compressed (gzip)" in report.named("compression")[0].seen


async def test_unknown_fields_and_values_are_named():
    """A field and a value that the models do not know are warnings with the field's name, without the value."""
    sandbox = make()
    sandbox.customers.update(sandbox.customers.ids()[3], {"shoe_size": 43, "personal_information": {"gender": 97}})
    report = await check(sandbox)
    assert broken(report) == {("unknown_fields", WARNING), ("unknown_values", WARNING)}
    assert "customers.shoe_size" in seen(report, "unknown_fields")
    assert "customers.personal_information.gender" in seen(report, "unknown_values")
    assert "97" not in seen(report, "unknown_values")


async def test_nothing_but_429_is_named():
    """A server that refuses every request with a bare 429 shows nothing, and the 429s are counted."""
    sandbox = make()
    sandbox.faults.add("GET *", status=429, times=None)
    report = await checked(sandbox, seconds=1.5)
    assert ("rate_limit", WARNING) in broken(report)
    assert "unexamined" in unknown(report)


async def test_a_password_that_cannot_be_fetched_is_named():
    """A callable password that raises is a problem of the login, without the text of what it raised."""

    def password():
        raise LookupError("vault token s.123")

    auth = EnterpriseCredentials(external_application_id="a", login="b", password=password)
    report = await checked(make(), auth=auth)
    assert broken(report) == {("login", PROBLEM)}
    assert "s.123" not in report.to_json()


@pytest.mark.parametrize("status", [None, *variants(407), 502])
async def test_a_page_of_a_proxy_at_the_login_is_named(status):
    """HTML in place of the login's answer is a problem of the login, with any status."""
    sandbox = make()
    sandbox.faults.add("POST *", html=True, status=status, times=None)
    report = await checked(sandbox, seconds=2)
    assert ("login", PROBLEM) in broken(report)
    assert broken(report) <= {("login", PROBLEM), ("failures", WARNING)}
    assert str(status or 200) in report.named("login")[0].seen


async def test_a_server_that_is_not_there_is_named():
    """If no connection is made, the login has a problem that says so."""

    def refuse(request):
        raise httpx.ConnectError("certificate verify failed: secret.host")

    report = await checked(None, auth=CREDENTIALS, transport=httpx.MockTransport(refuse), seconds=1)
    assert not report.ok
    assert "secret.host" not in report.to_json()


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


@every("body", STRANGE, ids=lambda body: body[:80].decode(), thorough=STRANGE[1:5])
async def test_a_strange_server_is_survived(body):
    """Whatever lists answer, the check ends with findings and raises nothing."""
    sandbox = make()
    sandbox.faults.add("GET /customers", body=body, times=None)
    await check(sandbox)


async def test_a_total_time_ends_the_check():
    """A check that takes longer than its seconds ends with what it has found, and says so."""
    report = await checked(make(latency=0.5), seconds=0.7)
    assert "unexamined" in unknown(report)
    assert report.named("login")[0].status is OK


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
    for customer_id in sandbox.customers.ids()[:50]:
        changes = {"personal_information": everything, "last_change": canary, "state": canary}
        sandbox.customers.update(customer_id, changes)
    sandbox.customers.update(sandbox.customers.ids()[1], {f"{canary}_key": 1, "8ea6abece4cd0a4ded": 1})
    refusal = {"error": {"type": canary, "exception": canary, "error_data": {"invalid_params": [{"name": canary}]}}}
    for path, status in (("/cards", 400), ("/vouchers", 500), ("/rewards", 403)):
        sandbox.faults.add(f"GET {path}", status=status, body=json.dumps(refusal), times=None)
    report = await check(sandbox)
    text = report.to_json() + str(report) + repr(report)
    secrets = (canary, "fabulous_user", "sandbox.crmcarecloud.com")
    ids = [*sandbox.customers.ids(), *sandbox.records("purchases").ids()]
    assert not [value for value in (*secrets, *ids) if value in text]


async def test_the_report_is_json_of_its_findings():
    """`to_json` has each finding with status, meaning and fix."""
    report = await check(make(max_count=50))
    written = json.loads(report.to_json())
    assert (written["ok"], written["requests"]) == (True, report.requests)
    assert {"name": "page_cap", "status": "warning"}.items() <= next(
        finding for finding in written["findings"] if finding["name"] == "page_cap"
    ).items()


async def test_a_customer_is_checked_too():
    """On the customer interface what a customer may read is examined, and the session stays."""
    sandbox = make()
    report = await check(sandbox, auth=sandbox.customer_session())
    assert report.named("login")[0].status is OK
    assert broken(report) == set()
    assert "second_login" in unknown(report)


async def test_a_device_keeps_its_token():
    """Lists that refuse a device without a customer do not make the check create another device token, or accuse it."""
    sandbox = make()
    report = await check(sandbox, auth=sandbox.device("till-1"))
    assert report.named("login")[0].status is OK
    assert sandbox.count("POST /tokens") == 1
    assert broken(report) == set()
    assert "no customer is logged in on this device" in seen(report, "families")


#: The notes of a history, which of them a note finds, and what is said of the search.
HISTORIES = {
    "a part of the note": (["Birthday bonus"], lambda wanted, note: wanted in note, OK),
    "the whole note only": (["Birthday bonus"], lambda wanted, note: wanted == note, PROBLEM),
    "everything": (["Birthday bonus", "Christmas"], lambda wanted, note: True, WARNING),
    "no notes": ([], lambda wanted, note: True, NOT_KNOWN),
}


@pytest.mark.parametrize("name", HISTORIES)
async def test_how_histories_are_searched(name):
    """A server that does not find a note by its part is a problem, and one that ignores the filter a warning."""
    sandbox, (notes, finds, status) = make(), HISTORIES[name]

    def after(request, answer):
        history = request.url.path.rpartition("/")[2].replace("-", "_")
        if history not in {"point_history", "credit_history"}:
            return None
        field = history.replace("history", "operation_note")
        wanted = request.url.params.get(field)
        records = [{field: note} for note in notes if wanted is None or finds(wanted, note)]
        return page(history, records, headers={"date": answer.headers["date"]})

    report = await check(sandbox, transport=through(sandbox, after=after))
    assert {finding.status for finding in report.named("notes")} == {status}
    assert "Birthday" not in str([finding.seen for finding in report.findings])


PAGE = Path(__file__).parents[2] / "docs/reference/check.md"


async def test_the_reference_says_what_each_finding_is_about():
    """Every finding of a report has a row that says what is assumed and how it is checked."""
    table = PAGE.read_text(encoding="utf-8").partition("(`meaning`, `fix`).\n\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    report = await check(make())
    says_what_the_check_did = {"settings"}
    names = {finding.name for finding in report.findings} - says_what_the_check_did
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == names
