"""`segments.sync()`: a segment gets the members of a source, whatever answers are lost on the way."""

import json

import httpx
import pytest
from clocks import FakeClock
from kit import connect, through

from carecloud_async import ConfigurationError, NotFoundError
from carecloud_async.bulk import BulkWriteError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

REFUSED = '{"error": {"error_data": {"invalid_params": [{"name": "customer_id", "reason": "already_done"}]}}}'


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, records=5, untidy=False)


def segment_of(sandbox, ids):
    """A segment with these members alone."""
    segment = sandbox.records("segments").ids()[0]
    table = sandbox.records("segments/segment-records", of=segment)
    table.refill([])
    for customer_id in ids:
        table.insert({"segment_id": segment, "customer_id": customer_id})
    return segment


def members(sandbox, segment):
    return sorted(record["customer_id"] for record in sandbox.records("segments/segment-records", of=segment))


def ids(sandbox, *numbers):
    return [sandbox.customers.id_at(number) for number in numbers]


def with_emails(sandbox, number):
    """The first customers, each with an e-mail of its own, and a row for each."""
    people = ids(sandbox, *range(number))
    for customer_id in people:
        sandbox.customers.update(customer_id, {"personal_information": {"email": f"{customer_id}@example.com"}})
    return people, [{"email": f"{customer_id}@example.com"} for customer_id in people]


def counts(report):
    return report.added, report.removed, report.unchanged, report.unknown


async def test_the_difference_is_written(sandbox):
    """A mirror adds who is missing, removes who is too many, and leaves the others alone."""
    segment = segment_of(sandbox, ids(sandbox, 0, 1, 2, 3, 4))
    async with connect(sandbox) as client:
        report = await client.segments.sync(segment, ids(sandbox, 1, 2, 3, 4, 5, 6), mode="mirror")
    assert counts(report) == (2, 1, 4, 0)
    assert report.complete
    assert members(sandbox, segment) == sorted(ids(sandbox, 1, 2, 3, 4, 5, 6))
    assert sandbox.count("POST /segments/{segment_id}/actions/add-customer") == 2
    assert sandbox.count("POST /segments/{segment_id}/actions/remove-customer") == 1


async def test_add_and_remove_touch_no_other_member(sandbox):
    """`add` removes none, `remove` adds none, and a second run writes nothing."""
    segment = segment_of(sandbox, ids(sandbox, 0, 1))
    async with connect(sandbox) as client:
        report = await client.segments.sync(segment, ids(sandbox, 1, 2), mode="add")
        assert counts(report) == (1, 0, 1, 0)
        report = await client.segments.sync(segment, ids(sandbox, 1, 7), mode="remove")
        assert counts(report) == (0, 1, 1, 0)
        again = await client.segments.sync(segment, ids(sandbox, 1, 7), mode="remove")
    assert counts(again) == (0, 0, 2, 0)
    assert members(sandbox, segment) == sorted(ids(sandbox, 0, 2))


@pytest.mark.parametrize("match", ["customer_id", "email"])
async def test_members_with_ids_in_capitals(sandbox, match):
    """A customer whose id the segment's list spells in upper case is a member of it."""
    segment = segment_of(sandbox, [customer_id.upper() for customer_id in ids(sandbox, 0, 1, 2)])
    source = ids(sandbox, 0, 1, 2, 3)
    async with connect(sandbox) as client:
        if match == "email":
            people = [await client.customers.get(customer_id) for customer_id in source]
            source = [{"email": row.personal_information.email} for row in people]
        report = await client.segments.sync(segment, source, mode="mirror", match=match)
    assert counts(report) == (1, 0, 3, 0)
    assert report.complete
    assert sandbox.count("POST /segments/{segment_id}/actions/remove-customer") == 0


async def test_customers_by_email_and_unknown_ones(sandbox, tmp_path):
    """Rows of a file are found by their key, each row without a customer counts; other columns are passed over."""
    emails = {customer["customer_id"]: customer["personal_information"]["email"] for customer in sandbox.customers}
    known = [customer_id for customer_id in ids(sandbox, 3, 4, 5) if emails[customer_id]]
    path = tmp_path / "members.csv"
    lines = [f"{emails[known_id]},x" for known_id in known] + ["nobody@example.com,x", "nobody@example.com,y", ",x"]
    path.write_text("\n".join(["email,campaign", *lines, ""]))
    segment = segment_of(sandbox, [])
    async with connect(sandbox) as client:
        report = await client.segments.sync(segment, path, mode="add", match="email")
    assert counts(report) == (len(known), 0, 0, 3)
    assert not report.complete
    assert members(sandbox, segment) == sorted(known)


async def test_a_row_that_means_several_customers_removes_none_of_them(sandbox):
    """A row may mean any of the customers who share its key: a mirror leaves those who are members."""
    source, rows = with_emails(sandbox, 6)
    for customer_id in source[:2]:
        sandbox.customers.update(customer_id, {"personal_information": {"email": "shared@example.com"}})
    segment = segment_of(sandbox, source)
    async with connect(sandbox) as client:
        rows = [{"email": "shared@example.com"}, *rows[2:5]]
        report = await client.segments.sync(segment, rows, mode="mirror", match="email")
    assert counts(report) == (0, 1, 3, 1)
    assert members(sandbox, segment) == sorted(source[:5])


async def test_an_id_that_no_customer_has_is_unknown(sandbox):
    """An unknown id is counted, and nothing is written for it."""
    segment = segment_of(sandbox, ids(sandbox, 0))
    async with connect(sandbox) as client:
        report = await client.segments.sync(segment, [*ids(sandbox, 0, 1), "never-there"], mode="mirror")
    assert counts(report) == (1, 0, 1, 1)


@pytest.mark.parametrize(
    ("numbers", "keyless", "problem"),
    [
        ([0], 0, "3 of 4 members would be removed"),
        ([], 0, "4 of 4 members would be removed"),
        ([0, 1, 2], 1, "1 rows have no key, or one that cannot be looked up"),
    ],
)
async def test_a_mirror_that_may_be_a_mistake_is_refused(sandbox, numbers, keyless, problem):
    """A source that is much smaller, is empty, or lacks a key removes nobody, unless `allow_shrink` accepts it."""
    segment = segment_of(sandbox, ids(sandbox, 0, 1, 2, 3))
    rows = [
        *({"customer_id": customer_id} for customer_id in ids(sandbox, *numbers)),
        *({"customer_id": ""} for _ in range(keyless)),
    ]
    async with connect(sandbox) as client:
        with pytest.raises(BulkWriteError, match=f"{problem}.*allow_shrink=True"):
            await client.segments.sync(segment, rows, mode="mirror")
        assert len(members(sandbox, segment)) == 4
        report = await client.segments.sync(segment, rows, mode="mirror", allow_shrink=True)
    assert report.removed == 4 - len(numbers)
    assert members(sandbox, segment) == sorted(ids(sandbox, *numbers))


async def test_a_customer_whose_look_up_fails_keeps_no_other_one_up(sandbox):
    """A row on whose look-up the server fails is unknown, with the reason, and all other customers are added."""
    people, rows = with_emails(sandbox, 6)
    segment = segment_of(sandbox, [])

    def fail(request):
        return httpx.Response(500) if f"{people[3]}%40" in str(request.url) else None

    async with connect(sandbox, transport=through(sandbox, fail), clock=FakeClock()) as client:
        report = await client.segments.sync(segment, rows, mode="add", match="email")
    assert (report.added, report.unknown) == (5, 1)
    ((reason, lines),) = report.reasons.items()
    assert (reason.partition(":")[0], lines) == ("the key cannot be looked up", [4])


async def test_reasons_say_which_rows_are_unknown_or_refused(sandbox, tmp_path):
    """Each reason has the lines of its rows; keys are compared without their case, and a dry run says the same."""
    people, _ = with_emails(sandbox, 8)
    for row in people[6:]:
        sandbox.customers.update(row, {"personal_information": {"email": "shared@example.com"}})
    segment = segment_of(sandbox, [*people[:2], people[5]])
    path = tmp_path / "members.csv"
    emails = [f"{people[0]}@example.com", f"{people[1].upper()}@EXAMPLE.com", f"{people[2]}@example.com"]
    rows = [*emails, "shared@example.com", "nobody@example.com", "", emails[2]]
    path.write_text("\n".join(["name;email", *(f"x;{row}" for row in rows), ""]))
    sandbox.faults.add("POST /segments/{segment_id}/actions/add-customer", status=400, body=REFUSED, times=1)
    unknown = {
        "2 customers have this key": [5],
        "no customer has this key": [6],
        "the row has no key, or cannot be read": [7],
    }
    async with connect(sandbox) as client:
        options = {"mode": "mirror", "match": "email", "allow_shrink": True}
        dry = await client.segments.sync(segment, path, dry_run=True, **options)
        report = await client.segments.sync(segment, path, **options)
    assert (dry.added, dry.removed, dry.reasons) == (1, 1, unknown)
    assert (report.added, report.removed, report.unchanged, report.unknown, report.refused) == (0, 1, 2, 3, 1)
    assert report.reasons == {**unknown, "already_done": [4, 8]}
    assert members(sandbox, segment) == sorted(people[:2])


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": True}, {"cut": True, "late": 0.0}])
async def test_lost_answers_are_made_good(sandbox, fault):
    """Calls whose answers are lost are judged by the members that are read afterwards."""
    segment = segment_of(sandbox, [])
    sandbox.faults.add("POST /segments/{segment_id}/actions/add-customer", times=3, **fault)
    async with connect(sandbox, clock=FakeClock()) as client:
        report = await client.segments.sync(segment, ids(sandbox, *range(6)), mode="add")
    assert counts(report) == (6, 0, 0, 0)
    assert report.complete
    assert members(sandbox, segment) == sorted(ids(sandbox, *range(6)))


@pytest.mark.parametrize("mode", ["add", "remove"])
async def test_refusal_of_a_change_that_is_done_already_is_ignored(sandbox, mode):
    """A customer who is as the mode asks is not refused, even if the server refused the call as done already."""
    segment = segment_of(sandbox, ids(sandbox, 0, 1, 2))
    sandbox.faults.add(f"POST /segments/{{segment_id}}/actions/{mode}-customer", status=400, worked=True, body=REFUSED)
    async with connect(sandbox) as client:
        report = await client.segments.sync(segment, ids(sandbox, 0 if mode == "remove" else 5), mode=mode)
    assert counts(report) == ((0, 1, 0, 0) if mode == "remove" else (1, 0, 0, 0))
    assert report.complete


@pytest.mark.parametrize("mode", ["add", "remove", "mirror"])
async def test_what_another_program_changes_meanwhile_is_made_good(sandbox, mode):
    """A customer of the source who leaves or joins the segment during the run is as the mode asks at its end."""
    people = ids(sandbox, *range(6))
    segment = segment_of(sandbox, people[:4] if mode != "remove" else people[1:])
    table = sandbox.records("segments/segment-records", of=segment)
    calls = []

    def interfere(call):
        if "-customer" in call.path and not calls:
            calls.append(call)
            others = [item["customer_id"] for item in table if item["customer_id"] != people[0]]
            table.refill([])
            for item in others if mode != "remove" else [*others, people[0]]:
                table.insert({"segment_id": segment, "customer_id": item})

    async with connect(sandbox, on_call=interfere, clock=FakeClock()) as client:
        report = await client.segments.sync(segment, people, mode=mode)
    assert calls
    assert members(sandbox, segment) == ([] if mode == "remove" else sorted(people))
    assert report.complete
    assert report.removed == (5 if mode == "remove" else 0)


async def test_a_list_of_members_that_is_behind(sandbox):
    """The refusal of a repeated call is no refusal of the customer: the list had not shown the first one yet."""
    segment = segment_of(sandbox, ids(sandbox, 0))
    old = json.dumps({"data": {"segment_records": [{"customer_id": ids(sandbox, 0)[0]}], "total_items": 1}})
    sandbox.faults.add("GET /segments/{segment_id}/segment-records", status=200, body=old, after=1, times=2)
    add = "POST /segments/{segment_id}/actions/add-customer"
    sandbox.faults.add(add, status=400, body=REFUSED, after=1)
    async with connect(sandbox, clock=FakeClock()) as client:
        report = await client.segments.sync(segment, ids(sandbox, 0, 1), mode="add")
    assert counts(report) == (1, 0, 1, 0)
    assert report.complete


async def test_sync_that_cannot_work_is_refused(sandbox, tmp_path):
    """An unknown mode, a file without the key's column and a segment that does not exist say what is wrong."""
    (tmp_path / "rows.csv").write_text("campaign\n7\n")
    segment = segment_of(sandbox, [])
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match="mode is one of add, remove, mirror"):
            await client.segments.sync(segment, [], mode="replace")
        with pytest.raises(BulkWriteError, match="needs the column customer_id"):
            await client.segments.sync(segment, tmp_path / "rows.csv", mode="add")
        with pytest.raises(NotFoundError):
            await client.segments.sync("nobody", ids(sandbox, 0), mode="add")


async def test_a_mirror_removes_none_while_a_key_cannot_be_looked_up(sandbox):
    """A customer whom the server finds by e-mail and shows without it may be a member; so may one of an odd address."""
    source, rows = with_emails(sandbox, 6)
    segment = segment_of(sandbox, source)

    def hide(request, answer):
        if request.method == "GET" and "/customers" in request.url.path:
            body = answer.json()
            for shown in body["data"].get("customers", [body["data"]]):
                if shown["customer_id"] == source[0]:
                    shown["personal_information"]["email"] = None
            return httpx.Response(200, json=body)
        return None

    def refuse(request):
        return httpx.Response(400, json={"error": {"message": "no"}}) if "odd%40" in str(request.url) else None

    async with connect(sandbox, transport=through(sandbox, refuse), clock=FakeClock()) as client:
        fewer = [*rows[1:], {"email": "odd@example"}]
        with pytest.raises(BulkWriteError, match="1 rows have no key, or one that cannot be looked up"):
            await client.segments.sync(segment, fewer, mode="mirror", match="email", dry_run=True)
    async with connect(sandbox, transport=through(sandbox, after=hide), clock=FakeClock()) as client:
        with pytest.raises(BulkWriteError, match="1 rows have no key, or one that cannot be looked up"):
            await client.segments.sync(segment, rows, mode="mirror", match="email")
        assert members(sandbox, segment) == sorted(source)
        report = await client.segments.sync(segment, rows, mode="add", match="email")
    assert counts(report) == (0, 0, 5, 1)
