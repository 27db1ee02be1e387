"""The reading of the whole list in place of look-ups, while the list changes."""

import pytest
from bulk_tools import SOURCE, connect, counts, long, people
from kit import data, through
from memory_servers import CustomerServer, client_of

pytestmark = pytest.mark.anyio


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
