"""`listing.compare()`: every row and every record has one verdict, of an exact reading of the list."""

import csv
import errno
import json

import httpx
import pytest
from disks import FullFile, make_files_of, watch_databases
from kit import connect, cut, data, served, through

from carecloud_async import ConfigurationError, ExportError
from carecloud_async.bulk import BulkWriteError
from carecloud_async.sandbox import Sandbox
from carecloud_async.workflows import find_duplicates

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=230, records=60, untidy=False)


def bills(sandbox, count=None):
    """The rows that a till would have kept of the sandbox's purchases."""
    found = list(sandbox.records("purchases"))[:count]
    return [{name: item[name] for name in ("external_purchase_id", "store_id", "total_price")} for item in found]


def writes(sandbox):
    return [
        request for request in sandbox.requests if request.method in {"PUT", "POST"} and "login" not in request.path
    ]


async def test_a_list_and_its_own_rows_are_the_same(sandbox):
    """Rows with the values of the records are the same, and nothing is written."""
    async with connect(sandbox) as client:
        report = await client.purchases.list().compare(bills(sandbox), match="external_purchase_id")
    assert (report.rows, report.records, report.same) == (60, 60, 60)
    assert report.exact
    assert report.all_same
    assert writes(sandbox) == []


async def test_each_row_and_each_record_has_one_verdict(sandbox, tmp_path):
    """The results name each row as same, different, missing on one side, there twice, or unreadable."""
    rows = bills(sandbox)
    rows[0]["total_price"] = rows[0]["total_price"] + 1
    rows[1]["external_purchase_id"] = "never-arrived"
    rows[3] = dict(rows[2])
    del rows[4]["external_purchase_id"]
    async with connect(sandbox) as client:
        listing = client.purchases.list()
        report = await listing.compare(rows, match="external_purchase_id", results=tmp_path / "diff.jsonl")
    found = (report.same, report.different, report.missing_there, report.twice, report.unreadable)
    assert found == (55, 1, 1, 2, 1)
    assert report.missing_here == 3  # the records of rows 1, 3 and 4
    assert not report.all_same
    lines = [json.loads(line) for line in (tmp_path / "diff.jsonl").read_text().splitlines()]
    assert len(lines) == report.rows + report.missing_here
    assert [value["outcome"] for value in lines[:6]] == [
        "different",
        "missing_there",
        "twice",
        "twice",
        "unreadable",
        "same",
    ]
    assert lines[0]["changed_fields"] == ["total_price"]
    assert lines[4]["reasons"] == ["external_purchase_id: the row has no key"]
    missing = {value["external_purchase_id"] for value in lines if value["outcome"] == "missing_here"}
    known = [record["external_purchase_id"] for record in sandbox.records("purchases")]
    assert missing == {known[1], known[3], known[4]}


async def test_two_records_with_one_key_are_twice(sandbox):
    """A bill that was recorded twice is the question that the comparison is asked for."""
    purchases = sandbox.records("purchases")
    first, second = purchases.ids()[:2]
    same = {name: purchases.get(first)[name] for name in ("external_purchase_id", "store_id")}
    purchases.update(second, same)
    async with connect(sandbox) as client:
        report = await client.purchases.list().compare(bills(sandbox, 1), match="external_purchase_id")
    assert (report.rows, report.twice) == (1, 1)
    assert report.missing_here == 58


async def test_records_of_one_key_far_apart_are_twice():
    """Records are compared in portions, and a key is counted over all of them."""
    sandbox = Sandbox(customers=10, records=1100, untidy=False)
    purchases = sandbox.records("purchases")
    ids = purchases.ids()
    rows = bills(sandbox)
    purchases.update(ids[-1], {name: rows[0][name] for name in ("external_purchase_id", "store_id")})
    rows[700]["total_price"] += 1
    async with connect(sandbox) as client:
        report = await client.purchases.list().compare(rows, match="external_purchase_id")
    assert (report.rows, report.records) == (1100, 1100)
    assert (report.same, report.different, report.twice, report.missing_there) == (1097, 1, 1, 1)
    assert report.missing_here == 0


async def test_bills_are_compared_in_their_stores(sandbox):
    """Ids of bills are unique in a store: a row's record is of its store, and a row without a store takes any."""
    purchases = sandbox.records("purchases")
    first, second, third, *_ = purchases.ids()
    purchases.update(second, {"external_purchase_id": purchases.get(first)["external_purchase_id"], "store_id": "s2"})
    purchases.update(first, {"store_id": "s1"})
    purchases.update(third, {"store_id": None})
    rows = bills(sandbox, 3)
    rows[1]["store_id"] = "S2"
    rows[2]["store_id"] = "s3"
    async with connect(sandbox) as client:
        both = await client.purchases.list().compare(rows, match="external_purchase_id")
        one = await client.purchases.list().compare(rows[1:2], match="external_purchase_id")
        plain = [{"external_purchase_id": rows[0]["external_purchase_id"]}]
        any_store = await client.purchases.list().compare(plain, match="external_purchase_id")
    assert (both.same, both.twice, both.different, both.missing_here) == (2, 0, 1, 57)
    assert (one.same, one.twice, one.missing_here) == (1, 0, 59)
    assert (any_store.twice, any_store.missing_here) == (1, 58)


async def test_keys_are_compared_as_in_bulk_writes(sandbox):
    """Case and spaces of an e-mail address do not count, and spelled numbers equal numbers."""
    emails = [customer["personal_information"]["email"] for customer in sandbox.customers]
    rows = [{"email": f" {email.upper()} "} for email in emails if email]
    async with connect(sandbox) as client:
        report = await client.customers.list().compare(rows, match="email")
    assert report.missing_there == 0
    assert report.different == 0
    assert report.same + report.twice == len(rows)


async def test_missing_records_are_shown_under_the_columns_of_the_file(sandbox, tmp_path):
    """The key of a record without a row stands in the file's own column, whatever its name."""
    emails = [email for customer in sandbox.customers if (email := customer["personal_information"]["email"])]
    path, results = tmp_path / "c.csv", tmp_path / "diff.csv"
    path.write_text(f"Mail,Name\n{emails[0]},\n")
    async with connect(sandbox) as client:
        columns = {"Mail": "email", "Name": "last_name"}
        report = await client.customers.list().compare(path, match="email", columns=columns, results=results)
    assert report.missing_here > 0
    with results.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [*rows[0]][:3] == ["Mail", "Name", "line"]
    assert emails[1].lower() in {row["Mail"].lower() for row in rows if row["outcome"] == "missing_here"}


async def test_columns_that_the_list_does_not_show(sandbox):
    """The report names the columns that were not compared; those passed over and those of results are none of them."""
    email = next(email for customer in sandbox.customers if (email := customer["personal_information"]["email"]))
    row = {"email": email, "Karta": "7,7E+12", "note": "x", "outcome": "created", "external_id": ""}
    async with connect(sandbox) as client:
        customers = client.customers.list()
        arguments = {"columns": {"Karta": "card_number"}, "ignore_columns": ["note"]}
        report = await customers.compare([row], match="email", **arguments)
        assert (report.rows, report.same) == (1, 1)
        assert report.not_compared == {"Karta": "card_number", "external_id": "external_id"}
        assert (await customers.compare([{"email": email}], match="email")).not_compared == {}
        bill = {"external_purchase_id": "1", "bill_number": "7", "total_price": 5}
        report = await client.purchases.list().compare([bill], match="external_purchase_id")
        assert report.not_compared == {"bill_number": "bill_number"}


async def test_records_that_the_file_lacks_are_passed_over(sandbox):
    """With `only_file` a source that holds a part of the list is all the same, and no record is missing here."""
    async with connect(sandbox) as client:
        rows = bills(sandbox, 3)
        report = await client.purchases.list().compare(rows, match="external_purchase_id", only_file=True)
        other = await client.purchases.list().compare(rows, match="external_purchase_id")
    assert (report.records, report.same, report.missing_here, report.all_same) == (60, 3, 0, True)
    assert (other.missing_here, other.all_same) == (57, False)


async def test_only_the_filtered_list_is_compared(sandbox):
    """A filter of the list says which records belong to the file."""
    store = bills(sandbox)[0]["store_id"]
    rows = [row for row in bills(sandbox) if row["store_id"] == store]
    async with connect(sandbox) as client:
        report = await client.purchases.list(store_id=store).compare(rows, match="external_purchase_id")
    assert report.all_same
    assert report.records == len(rows)


async def test_a_list_that_may_lack_records_is_not_exact(sandbox):
    """A record that was counted and not shown is not known to be missing: the report says so."""

    def count_more(_request, answer):
        body = answer.content.replace(b'"total_items":60', b'"total_items":75')
        return httpx.Response(answer.status_code, content=body)

    async with connect(sandbox, transport=through(sandbox, after=count_more)) as client:
        report = await client.purchases.list().compare(bills(sandbox), match="external_purchase_id")
    assert not report.exact
    assert not report.all_same


async def test_lists_and_keys_that_cannot_be_compared(sandbox, tmp_path):
    """A list without keys, an unknown key, one that records do not show, and a wrong target are refused unsent."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=r"languages.list cannot be compared"):
            await client.languages.list().compare([], match="language_id")
        with pytest.raises(BulkWriteError, match=r"did you mean|keys: "):
            await client.purchases.list().compare([], match="external_purchase")
        with pytest.raises(BulkWriteError, match=r"records do not show this key.*email"):
            await client.customers.list().compare([{"external_id": "1"}], match="external_id")
        with pytest.raises(BulkWriteError, match="carecloud compare cards"):
            await client.customers.list().compare([{"card_number": "1"}], match="card_number")
        with pytest.raises(BulkWriteError, match="the folder does not exist"):
            await client.purchases.list().compare([], match="purchase_id", results=tmp_path / "no" / "diff.csv")
    assert sandbox.count("GET /purchases") == 0


async def test_results_of_a_csv_file(sandbox, tmp_path):
    """Results in CSV hold the columns of the file, the verdict and the differing fields."""
    path = tmp_path / "bills.csv"
    rows = bills(sandbox)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["external_purchase_id", "store_id", "total_price", "till"])
        writer.writeheader()
        writer.writerows({**row, "till": 7} for row in rows[:-1])
    async with connect(sandbox) as client:
        report = await client.purchases.list().compare(
            path, match="external_purchase_id", ignore_columns=["till"], results=tmp_path / "diff.csv"
        )
    assert (report.same, report.missing_here) == (59, 1)
    with (tmp_path / "diff.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [item["outcome"] for item in found] == ["same"] * 59 + ["missing_here"]
    assert found[-1]["external_purchase_id"] == rows[-1]["external_purchase_id"]


SPELLINGS = {
    "text": {"total_price": "12.5000"},
    "comma": {"total_price": "12,50"},
    "another zone": {"payment_time": "2026-03-02T09:00:00Z"},
    "capitals": {"customer_id": "8EA6ABECE4CD0A4DED0A29F093", "store_id": "81EAEEA13B8984A169C490A325"},
}
BILL = {
    "external_purchase_id": "7001",
    "store_id": "81eaeea13b8984a169c490a325",
    "customer_id": "8ea6abece4cd0a4ded0a29f093",
    "payment_time": "2026-03-02 10:00:00",
    "total_price": 12.5,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("row", "verdict"), [({}, "same"), ({"total_price": 12.51}, "different")])
async def test_bills_are_compared_as_bulk_writes_compare_them(spelling, row, verdict):
    """Times in another zone, amounts as texts and ids in capital letters are the same; another cent is different."""
    shown = {"purchase_id": "86e05affc7a7abefcd513ab4aa", **BILL, **SPELLINGS[spelling]}
    async with served(lambda request: cut("purchases", [shown], request)) as client:
        report = await client.purchases.list().compare([BILL | row], match="external_purchase_id")
    assert getattr(report, verdict) == 1


async def test_a_record_that_is_no_object(sandbox, tmp_path):
    """An empty record, which PHP writes as a list, is one without a key: it ends neither kind of run."""
    empty, total = sandbox.customers.id_at(3), len(sandbox.customers)

    def empty_one(request, answer):
        if request.method != "GET" or not request.url.path.endswith("/customers"):
            return None
        page = answer.json()["data"]
        shown = [[] if record["customer_id"] == empty else record for record in page["customers"]]
        return data({**page, "customers": shown})

    async with connect(sandbox, transport=through(sandbox, after=empty_one)) as client:
        report = await client.customers.list().compare([{"customer_id": empty}], match="customer_id")
        assert (report.missing_there, report.missing_here) == (1, total)
        groups = await find_duplicates(
            client, listing=client.customers.list(), by=["email"], file=tmp_path / "groups.csv", plan=False
        )
    assert groups.records == total


async def test_a_full_disk_for_the_results(sandbox, tmp_path, monkeypatch):
    """The results need room of their own: the error is one of exports, and names the file."""

    def is_full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("carecloud_async.comparisons.run.write_rows", is_full)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=r"diff\.csv: the disk is full: free some space and run it again"):
            await client.customers.list().compare(
                [{"email": "a@example.com"}], match="email", results=tmp_path / "diff.csv"
            )


@pytest.mark.parametrize("full", ["INSERT INTO rows", "INSERT INTO keys", "INSERT INTO strangers"])
async def test_a_full_temporary_folder(sandbox, monkeypatch, full):
    """The error names the folder and says what to do; a row source's own error of SQLite passes through."""

    def is_full(database, statement):
        if statement.startswith(full):
            limit = "PRAGMA max_page_count=1"
            database.execute(limit)

    watch_databases(monkeypatch, is_full)
    rows = [{"customer_id": f"{number:0500}"} for number in range(200)]
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=r"the temporary folder is full: free some space and run it again"):
            await client.customers.list().compare(rows, match="customer_id")


async def test_results_do_not_replace_the_source(sandbox, tmp_path):
    """Results with the name of the source are refused before anything is read, and the source stays."""
    path = tmp_path / "bills.csv"
    path.write_text("external_purchase_id,total_price\nnever-arrived,1\n")
    async with connect(sandbox) as client:
        with pytest.raises(BulkWriteError, match="the same file"):
            await client.purchases.list().compare(path, match="external_purchase_id", results=str(path))
    assert path.read_text() == "external_purchase_id,total_price\nnever-arrived,1\n"
    assert sandbox.count() == 0


async def test_a_list_that_does_not_fit(sandbox, tmp_path, monkeypatch):
    """A list that the temporary folder has no room for names no setting that a comparison does not have."""
    monkeypatch.setattr(FullFile, "room", 1000)
    make_files_of(FullFile, monkeypatch)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="the disk is full: free some space and run it again"):
            await client.customers.list().compare([{"customer_id": "1"}], match="customer_id")


async def test_phones_are_compared_as_bulk_writes_compare_them(sandbox):
    """A phone number of a file is the record's also without its prefix, as an import of the file would say."""
    async with connect(sandbox) as client:
        found = [customer async for customer in client.customers.list(count=500) if customer.personal_information.phone]
        phone = found[0].personal_information.phone
        rows = [
            {"customer_id": found[0].customer_id, "phone": value} for value in (f"+{phone}", phone[3:], f"{phone}1")
        ]
        reports = [await client.customers.list(count=500).compare([row], match="customer_id") for row in rows]
    assert [(report.same, report.different) for report in reports] == [(1, 0), (1, 0), (0, 1)]
