"""Look-ups that fail, are refused, contradict themselves, or are replaced by a reading of the whole list."""

import httpx
import pytest
from bulk_tools import SOURCE, connect, counts, long, people, properties_of_texts, read
from kit import RefusedError, data, through
from memory_servers import CustomerServer, LoyaltyServer, client_of
from thorough import variants

from carecloud_async import ConnectionFailedError, ResponseError, ServerError

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


def amounts(count):
    """Rows of points, one for each customer."""
    return [{"customer_id": f"c{number}", "reference": f"B{number}", "amount": number + 1} for number in range(count)]


class FailingServer(CustomerServer):
    """Fails on look-ups of some addresses, or of all.

    Attributes:
        failing: the addresses; with `*` every read fails.
        status: the status of these answers; 0 hangs up.
        failed: how many there were.
    """

    def __init__(self, clock, *failing, status=500):
        super().__init__(clock)
        self.failing, self.status, self.failed = {*failing}, status, 0

    def on_read(self, path, query):
        if self.failing & {*query.get_list("email_list[]"), "*"}:
            self.failed += 1
            if not self.status:
                raise httpx.ReadError("cut")
            raise RefusedError(self.status)
        return super().on_read(path, query)


@pytest.mark.parametrize(("status", "tries"), [(500, 3), *variants((504, 6))])
async def test_a_customer_whose_history_cannot_be_read(clock, results, status, tries):
    """The row is refused with the reason after some tries, and all others are written, whatever their number."""
    server = LoyaltyServer(clock)
    server.failing["c3"] = status
    async with client_of(server, clock) as client:
        report = await client.points.bulk_write(amounts(30), match="reference", results=results)
        assert counts(report) == {"created": 29, "refused": 1}
        assert read(results)[3]["reasons"] == [f"the server failed {tries} times on its look-up: {status}"]
        assert len(server.points) == 29
        alone = await client.points.bulk_write(amounts(30)[3:4], match="reference")
    assert counts(alone) == {"refused": 1}


@pytest.mark.parametrize("status", [504, *variants(500, 0)])
async def test_a_key_that_breaks_the_look_up_of_many(write, clock, results, status):
    """The keys of a look-up on which the server fails are halved: the rows at fault are refused, the others written."""
    rows = people(60)
    server = FailingServer(clock, rows[7]["email"], rows[45]["email"], status=status)
    report = await write(rows, results=results, transport=server)
    assert counts(report) == {"created": 58, "refused": 2}
    assert [number for number, item in enumerate(read(results)) if item["outcome"] == "refused"] == [7, 45]
    assert all("on its look-up" in row["reasons"][0] for row in read(results) if row["outcome"] == "refused")


async def test_a_look_up_that_succeeds_later(clock):
    """A key whose look-up fails for a while is looked up again, and its row is written."""
    server = LoyaltyServer(clock)
    server.failing["c3"] = 504
    async with client_of(server, clock) as client:

        def on_progress(progress):
            if progress.waits_for:
                assert progress.waits_for == "look-ups on which the server failed (1 rows)"
                server.failing.clear()

        report = await client.points.bulk_write(amounts(30), match="reference", on_progress=on_progress)
    assert counts(report) == {"created": 30}


@pytest.mark.parametrize("rows", [1, 40])
async def test_a_server_that_is_away_refuses_no_row(clock, tmp_path, rows):
    """If no look-up is answered, the run ends as before, after few requests; it goes on when the server is back."""
    server, arguments = (
        FailingServer(clock, "*", status=503),
        {"journal": tmp_path / "j.db", "resume": True, **BY_EMAIL},
    )
    async with client_of(server, clock) as client:
        with pytest.raises(ServerError):
            await client.customers.bulk_write(people(rows), **arguments)
        assert server.failed <= 8
        server.failing.clear()
        assert counts(await client.customers.bulk_write(people(rows), **arguments)) == {"created": rows}


@pytest.mark.parametrize("away", [20, *variants(30)])
async def test_a_server_that_goes_away_meanwhile_refuses_no_row(clock, tmp_path, away):
    """Look-ups that were answered prove nothing later: after them the run ends with an error, and goes on after it."""
    server, arguments = LoyaltyServer(clock), {"match": "reference", "journal": tmp_path / "j.db", "resume": True}
    rows = amounts(40)
    server.failing["c3"] = 500

    def cut(request):
        if len(server.requests) - len(server.sent) > away:
            raise httpx.ReadError("cut", request=request)

    async with client_of(through(server, cut), clock) as client:
        with pytest.raises(ConnectionFailedError):
            await client.points.bulk_write(rows, concurrency=5, **arguments)
    server.failing.clear()
    async with client_of(server, clock) as client:
        report = await client.points.bulk_write(rows, **arguments)
    assert counts(report) == {"created": 40}
    assert len(server.points) == 40


async def test_no_look_up_of_any_customer_is_answered(clock):
    """A server that answers what it need not search for, and fails on every key, is not there: no row is refused."""
    server = LoyaltyServer(clock)
    server.failing |= {f"c{number}": 504 for number in range(20)}
    async with client_of(server, clock) as client:
        with pytest.raises(ServerError):
            await client.points.bulk_write(amounts(20), match="reference")
    assert not server.sent


async def test_a_lost_answer_whose_look_up_fails_is_unknown(clock, results):
    """A row that may have been written, and on whose look-up the server fails, is unknown and not refused."""
    server = LoyaltyServer(clock)
    server.faults = ["after"]
    rows = amounts(2)

    def fail(_request, answer):
        if answer.status_code == 503:
            server.failing[server.points[0]["customer_id"]] = 500

    async with client_of(through(server, after=fail), clock) as client:
        report = await client.points.bulk_write(rows, match="reference", concurrency=1, results=results)
    assert counts(report) == {"created": 1, "unknown": 1}
    assert "failed 3 times on its look-up: 500" in str([row["reasons"] for row in read(results)])


async def test_a_part_whose_look_up_fails(sandbox, results):
    """A row is refused whose properties the server fails to list; the properties of other customers are written."""
    ids = sandbox.customers.ids()[:6]

    def fail(request):
        return httpx.Response(500) if request.url.path.endswith(f"{ids[2]}/property-records") else None

    property_id = properties_of_texts(sandbox)[0]
    rows = [{"customer_id": customer_id, f"property.{property_id}": "7"} for customer_id in ids]
    async with connect(sandbox, transport=through(sandbox, fail)) as client:
        report = await client.customers.bulk_write(rows, match="customer_id", results=results)
    assert counts(report)["refused"] == 1
    assert read(results)[2]["outcome"] == "refused"
    assert "failed 3 times on its look-up: 500" in read(results)[2]["reasons"][0]


async def test_a_value_that_cannot_be_looked_up_refuses_its_row_alone(server, write, results):
    """Rows whose key makes the server refuse a look-up are refused with column and reason; the others are written."""
    rows = people(40)
    for number in (3, 29):
        rows[number]["email"] = f"!{number}@example.com"
    report = await write(rows, results=results)
    assert counts(report) == {"created": 38, "refused": 2}
    assert read(results)[29]["reasons"] == ["personal_information.email: invalid_value_format"]
    assert len(server.requests) < 1 + 25 + 38


@pytest.mark.parametrize("value", [b"NaN", b'"\\ud800"'])
async def test_a_record_that_is_not_json_is_an_error_of_its_call(sandbox, value):
    """A record with `NaN` or half a surrogate, looked up by its id, raises `ResponseError` with the call's path."""

    def after(request, answer):
        if request.method == "GET" and not request.url.path.endswith("/bookings"):
            body = answer.content.rstrip()
            headers = {"content-type": "application/json"}
            return httpx.Response(200, headers=headers, content=body[:-2] + b',"odd":' + value + b"}}")
        return None

    async with connect(sandbox, transport=through(sandbox, after=after)) as client:
        booking_id = (await client.bookings.list().first()).booking_id
        with pytest.raises(ResponseError, match=r"GET /bookings/\{booking_id\}: the body is not JSON"):
            await client.bookings.bulk_write([{"booking_id": booking_id}], match="booking_id")


@pytest.mark.parametrize("shown", [[], {"total_items": 0}])
async def test_new_rows_are_imported_from_a_server_that_leaves_an_empty_list_out(server, write, shown):
    """Look-ups that find nothing, answered with `"data": []` or with a total of 0 alone, are new rows."""

    def after(request, answer):
        return data(shown) if request.method == "GET" and answer.json()["data"]["total_items"] == 0 else None

    assert counts(await write(people(3), transport=through(server, after=after))) == {"created": 3}
    assert len(server.customers) == 3


def _without_email(record):
    return {**record, "personal_information": None}


def _masked(record):
    return {**record, "personal_information": {**record["personal_information"], "email": "k***@example.com"}}


@pytest.mark.parametrize("shown", [_without_email, _masked, lambda _record: None])
async def test_a_key_that_the_server_finds_and_does_not_show_is_not_created(server, write, results, shown):
    """A record that is found by a row's e-mail and shows none, or another, refuses the row; the others are created."""

    def after(request, answer):
        if request.method == "GET":
            page = answer.json()["data"]
            return data({**page, "customers": [*map(shown, page["customers"])]})
        return None

    server.add("new3@example.com")
    report = await write(people(8), results=results, transport=through(server, after=after))
    assert counts(report) == {"created": 7, "refused": 1}
    assert read(results)[3]["reasons"] == [
        "personal_information.email: the server finds a record by it that does not show it"
    ]
    assert set(server.emails().values()) == {1}


@pytest.mark.parametrize("shown", [None, []])
async def test_a_record_without_its_personal_information_is_not_changed(server, write, shown):
    """A record is found by its id, and the server does not show its names: a PUT would empty them."""
    server.add("old@example.com")
    ((customer_id, record),) = server.customers.items()
    record["personal_information"] = shown
    row = {"customer_id": customer_id, "personal_information": {"last_name": "Noe"}}
    report = await write([row], match="customer_id")
    assert counts(report) == {"refused": 1}
    assert server.customers == {customer_id: record}


async def test_a_server_that_ignores_the_filter_hides_no_key(write, clock):
    """Where look-ups are answered with all customers, those without an e-mail do not keep rows from being created."""

    class Deaf(CustomerServer):
        def on_read(self, path, query):
            return super().on_read(path, query.remove("email_list[]"))

    server = Deaf(clock)
    server.add("new3@example.com")
    server.add("")
    report = await write(people(8), transport=server)
    assert counts(report) == {"created": 7, "updated": 1}


def rows_of(number):
    """Rows with such long e-mails that a URL holds two of them: reading the list is cheaper than looking them up."""
    return [{**row, "email": long(row["email"])} for row in people(number)]


@pytest.mark.parametrize(("most", "is_read"), [(1000, True), (5, False)])
async def test_the_choice_knows_how_many_records_the_server_gives(clock, write, most, is_read):
    """The list is read in place of look-ups only if that costs fewer requests with the pages that the server gives."""
    server = CustomerServer(clock, most=most)
    for number in range(120):
        server.add(long(f"new{number}@example.com"), last_name="Old")
    report = await write(rows_of(24), mode="create", transport=server)
    assert counts(report) == {"conflict": 24}
    assert report.requests <= 24 / 2 + 1
    assert (report.requests < 24 / 2) == is_read


async def test_what_the_whole_list_shows_is_a_hint(server, clock):
    """Rows that the list shows unchanged are not looked up; before a create or a PUT the record is."""
    for row in rows_of(24):
        server.add(row["email"], **{name: value for name, value in row.items() if name != "email"})
    server.add(long("new24@example.com"), last_name="Old")
    async with client_of(server, clock) as client:
        with client.record_calls() as calls:
            report = await client.customers.bulk_write(rows_of(30), match="email", defaults=SOURCE)
    assert counts(report) == {"created": 5, "updated": 1, "unchanged": 24}
    assert len([call for call in calls if call.method == "GET"]) < 30 / 2


async def test_a_record_that_is_made_after_the_list_was_read(server, write):
    """A record that another program makes after the list was read is found before the row is sent."""

    async def arrived(request):
        if "email_list" in str(request.url) and not server.customers:
            server.add(long("new7@example.com"), last_name="Theirs")

    server.arrived = arrived
    report = await write(rows_of(20))
    assert counts(report) == {"created": 19, "updated": 1}
    assert set(server.emails().values()) == {1}


async def test_a_list_that_cannot_be_read(clock, write):
    """If the list cannot be read, since `offset` is ignored, rows are looked up, as where that costs fewer requests."""

    class OnePageServer(CustomerServer):
        def on_read(self, path, query):
            return super().on_read(path, query.set("offset", 0))

    server = OnePageServer(clock, most=5)
    for number in range(12):
        server.add(long(f"new{number}@example.com"), last_name="Old")
    report = await write(rows_of(24), transport=server)
    assert counts(report) == {"created": 12, "updated": 12}
    assert set(server.emails().values()) == {1}


async def test_a_lost_row_whose_list_changes_while_it_is_read(sandbox, clock):
    """A brand whose answer was lost is looked up again when its list could not be read exactly: it is not unknown."""
    lost_at, more = [], []

    def after(request, answer):
        """Let the list of brands count more than it shows, until 70 seconds after the loss."""
        if request.method == "POST" and request.url.path.endswith("/batch"):
            lost_at.append(clock.monotonic())
        elif lost_at and request.url.path.endswith("/product-brands") and clock.monotonic() < lost_at[0] + 70:
            page = answer.json()["data"]
            more.extend([1] * ("sort_field" not in request.url.params))
            return data({**page, "total_items": page["total_items"] + len(more)})
        return None

    async with connect(sandbox, clock=clock, transport=through(sandbox, after=after)) as client:
        sandbox.faults.add("POST /product-brands/batch", status=504, worked=True)
        rows = [{"external_id": f"b{number}", "name": f"No {number}"} for number in range(3)]
        report = await client.product_brands.bulk_write(rows, match="external_id")
    assert counts(report) == {"created": 3}
