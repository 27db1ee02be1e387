"""All data of one customer: what is read, what is not, and the files."""

import csv
import io
import json
import os
import stat
from functools import partial

import anyio
import httpx
import kit
import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async import ConfigurationError, NotFoundError, RetryPolicy
from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import PartStatus, dossier

pytestmark = pytest.mark.anyio

LISTS = {
    operation.call.removesuffix(".list"): operation
    for operation in OPERATIONS.values()
    if operation.method == "GET"
    and operation.result_key
    and "enterprise" in {each.value for each in operation.interfaces}
}
UNDER = {name for name, item in LISTS.items() if item.path.startswith("/customers/{customer_id}/")}
#: They can be asked for with a customer, but list what all customers can have.
CATALOGUES = {"booking_tickets", "rewards.reward_recommendations"}
FILTERED = {
    name for name, item in LISTS.items() if "{" not in item.path and "customer_id" in item.parameters
} - CATALOGUES


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, records=30)


connect = partial(kit.connect, retry=RetryPolicy(attempts=2, base=0.001))


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def made():
    """A dossier, to be written."""

    async def read():
        async with connect(Sandbox(customers=20, records=30)) as client:
            return await dossier(client, FIRST_CUSTOMER_ID)

    return anyio.run(read)


def ordered(records):
    """Records in one order, to be compared."""
    return sorted(records, key=json.dumps)


def by_name(made):
    return {part.name: part for part in made.parts}


async def test_every_list_of_a_customer_is_read(client, sandbox):
    """The record, all lists under a customer and all that can be filtered by one are there, exactly, with all pages."""
    sandbox.max_count = 2
    made = await dossier(client, FIRST_CUSTOMER_ID)
    parts = by_name(made)
    assert set(parts) == {"customer"} | UNDER | FILTERED
    assert {part.status for part in made.parts} == {PartStatus.READ}
    assert all(part.exact for part in made.parts)
    assert made.is_complete
    cards = [record for record in sandbox.records("cards") if record["customer_id"] == FIRST_CUSTOMER_ID]
    assert len(cards) > 2
    assert ordered(parts["cards"].records) == ordered(cards) == ordered(parts["customers.cards"].records)
    addresses = sandbox.records("customers/addresses", of=FIRST_CUSTOMER_ID)
    assert ordered(parts["customers.addresses"].records) == ordered(addresses)
    assert parts["customer"].records == [sandbox.customers.get(FIRST_CUSTOMER_ID)]
    assert not broken_rules(sandbox)


async def test_lists_are_asked_for_all_that_they_have(client, sandbox):
    """Property records, items of purchases and bookings, past relations and stores come with their records."""
    await dossier(client, FIRST_CUSTOMER_ID)
    asked = {}
    for request in sandbox.requests:
        asked.setdefault(request.path.partition("/v1.0")[2], {}).update(request.query)
    assert asked["/events"]["include_property_records"] == "true"
    assert asked["/purchases"]["purchase_items_extension"] == "true"
    assert asked["/bookings"]["add_booking_items"] == "full"
    assert asked["/vouchers"]["without_stores"] == "false"
    assert asked[f"/customers/{FIRST_CUSTOMER_ID}/related-customers"]["all_customer_relations"] == "true"


async def test_what_may_not_be_read_does_not_stop_the_rest(client, sandbox):
    """A 403, a 404 and a server that fails are the status of their lists, with the reason."""
    sandbox.faults.add("GET /messages", status=403, times=None)
    sandbox.faults.add("GET /stamps", status=404, times=None)
    sandbox.faults.add("GET /purchases", status=500, times=None)
    made = await dossier(client, FIRST_CUSTOMER_ID)
    parts = by_name(made)
    assert [parts[name].status for name in ("messages", "stamps", "purchases", "cards")] == [
        PartStatus.FORBIDDEN,
        PartStatus.NOT_AVAILABLE,
        PartStatus.FAILED,
        PartStatus.READ,
    ]
    assert "403 on GET /messages" in parts["messages"].reason
    assert not made.is_complete


async def test_a_customer_who_is_deleted_meanwhile_has_no_dossier(sandbox):
    """Lists of a customer who is gone are empty or not found: no dossier calls that complete."""

    def before(request):
        if request.url.path.endswith("/addresses") and FIRST_CUSTOMER_ID in sandbox.customers.ids():
            sandbox.customers.delete(FIRST_CUSTOMER_ID)

    async with connect(sandbox, transport=kit.through(sandbox, before)) as client:
        with pytest.raises(NotFoundError):
            await dossier(client, FIRST_CUSTOMER_ID)


def without_filter(sandbox, path):
    """The sandbox's transport without the filter of a list by customers."""

    def before(request):
        if request.url.path.endswith(path):
            request.url = request.url.copy_remove_param("customer_id")

    return kit.through(sandbox, before)


async def test_no_record_of_another_customer_gets_in(sandbox, tmp_path):
    """A list that the server does not filter is left out whole, and the index says why."""
    async with connect(sandbox, transport=without_filter(sandbox, "/v1.0/cards")) as client:
        made = await dossier(client, FIRST_CUSTOMER_ID)
    part = by_name(made)["cards"]
    assert (part.status, part.raw_records, part.exact) == (PartStatus.FILTER_IGNORED, (), None)
    assert not made.is_complete
    await made.write(tmp_path / "dossier")
    assert not (tmp_path / "dossier/cards.json").exists()
    assert (tmp_path / "dossier/customers.cards.json").exists()
    assert "ignores the filter" in (tmp_path / "dossier/index.md").read_text()


@pytest.mark.parametrize("odd", ["no customer", "no object"])
async def test_records_that_name_no_customer_are_left_out(sandbox, odd):
    """Nothing shows whose they are: they are counted, not in the dossier, and it is not said to be complete."""
    cards = [card["card_id"] for card in sandbox.records("cards") if card["customer_id"] == FIRST_CUSTOMER_ID]

    def after(request, answer):
        if request.url.path.endswith("/v1.0/cards"):
            data = answer.json()
            made = data["data"]["cards"]
            for place, card in enumerate(made):
                if card["card_id"] == cards[0]:
                    made[place] = [] if odd == "no object" else card | {"customer_id": None}
            return httpx.Response(200, json=data)
        return None

    async with connect(sandbox, transport=kit.through(sandbox, after=after)) as client:
        made = await dossier(client, FIRST_CUSTOMER_ID)
    part = by_name(made)["cards"]
    assert not made.is_complete
    assert (len(part.raw_records), part.left_out, part.status) == (len(cards) - 1, 1, PartStatus.READ)


async def test_the_files_hold_what_was_read(client, sandbox, tmp_path):
    """Each part is JSON as the server sent it and CSV for a spreadsheet, private, and named in the index."""
    addresses = sandbox.records("customers/addresses", of=FIRST_CUSTOMER_ID)
    first = addresses.ids()[0]
    addresses.update(first, {"address": {"city": "=HYPERLINK(1)"}, "exotic": 12345678901234567890})
    made = await dossier(client, FIRST_CUSTOMER_ID)
    folder = tmp_path / "new" / "dossier"
    await made.write(folder)
    index = json.loads((folder / "index.json").read_text())
    assert index["complete"] is True
    assert {part["name"] for part in index["parts"]} == set(by_name(made))
    files = {name for part in index["parts"] for name in part["files"]}
    assert files | {"index.json", "index.md"} == {file.name for file in folder.iterdir()}
    for part in index["parts"]:
        if part["files"]:
            records = json.loads((folder / part["files"][0]).read_text())
            rows = list(csv.DictReader(io.StringIO((folder / part["files"][1]).read_text(encoding="utf-8-sig"))))
            assert len(records) == len(rows) == part["records"]
    rows = list(csv.DictReader(io.StringIO((folder / "customers.addresses.csv").read_text(encoding="utf-8-sig"))))
    row = next(row for row in rows if row["additional_address_id"] == first)
    assert (row["address.city"], row["exotic"]) == ("'=HYPERLINK(1)", "12345678901234567890")
    assert ordered(json.loads((folder / "customers.addresses.json").read_text())) == ordered(addresses)
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert [file.name for file in folder.parent.iterdir()] == ["dossier"]
    text = (folder / "index.md").read_text()
    assert "GET /customers/{customer_id}/cards" in text
    assert "password" in text


async def test_a_folder_that_is_in_use_is_refused(made, tmp_path):
    """A folder with files, a file and a place that cannot be written are refused, and nothing is left there."""
    (tmp_path / "empty").mkdir()
    await made.write(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="not empty"):
        await made.write(tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        await made.write(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        await made.write(tmp_path / "file" / "below")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "file"]


async def test_the_folder_that_a_link_leads_to_is_written(made, tmp_path, monkeypatch):
    """A link is followed, whether its folder is there or not, and the current folder may be named by a dot."""
    for name in ("there", "here"):
        (tmp_path / name).mkdir()
    for name in ("there", "missing"):
        (tmp_path / f"link to {name}").symlink_to(tmp_path / name)
        await made.write(tmp_path / f"link to {name}")
    monkeypatch.chdir(tmp_path / "here")
    await made.write(".")
    assert all((tmp_path / name / "index.md").is_file() for name in ("there", "missing", "here"))
    assert len(list(tmp_path.iterdir())) == 5


async def test_what_a_killed_run_has_left_is_removed(made, tmp_path):
    """The next dossier of a name removes the personal data that a killed run has left in the folder and beside it."""
    left = tmp_path / ".dossier.partial"
    left.mkdir(mode=0o700)
    (left / "customers.cards.json").write_text("of another day")
    (left / "left.json").write_text("of another day")
    await made.write(tmp_path / "dossier")
    assert [file.name for file in tmp_path.iterdir()] == ["dossier"]
    assert not any("of another day" in file.read_text() for file in (tmp_path / "dossier").iterdir())


async def test_of_two_dossiers_for_one_folder_one_is_written(made, tmp_path):
    """Of several that are written at once, one gets the folder, whole; the others are refused and take nothing away."""
    outcomes = []

    async def write():
        try:
            outcomes.append(await made.write(tmp_path / "dossier"))
        except ConfigurationError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(write)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 3
    assert all("another run is using it" in item or "not empty" in item for item in refused)
    await made.write(tmp_path / "alone")
    names = [{file.name for file in (tmp_path / folder).iterdir()} for folder in ("dossier", "alone")]
    assert names[0] == names[1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alone", "dossier"]
