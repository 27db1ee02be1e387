"""Look-ups on which the server fails: one key keeps no other row up, and a server that is away refuses no row."""

import httpx
import pytest
from bulk_tools import SOURCE, connect, counts, people, properties_of_texts, read
from kit import RefusedError, through
from memory_servers import CustomerServer, LoyaltyServer, client_of
from thorough import variants

from carecloud_async import ConnectionFailedError, ServerError

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
