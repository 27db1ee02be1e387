"""Bills in bulk: what is not there is sent with its items, what is there is compared and updated."""

import pytest
from bulk_tools import BILL_DEFAULTS, ITEM, OTHER_STORE, STORE, bill, counts, read
from memory_servers import LoyaltyServer, client_of

from carecloud_async.bulk import BadSourceError
from carecloud_async.models import BillItemInput, FinalBillInput

pytestmark = pytest.mark.anyio

KEY = "external_purchase_id"
LINES = """\
external_purchase_id;payment_time;total_price;plu_name;price;paid_amount;bill_item_id;plu_ids.list_code;plu_ids.code
B1;2026-03-08 10:00:00;100;Teapot;50;50;1;GLOBAL;e345
B1;2026-03-08 10:00:00;100;Cup;50;50;2;GLOBAL;e346
B2;08.03.2026 10:05;30;Spoon;30;30;1;GLOBAL;e347
"""
ITEM_VALUES = {
    "vat_rate": 21,
    "quantity": 1,
    "loyalty_off": False,
    "purchase_item_type_id": ITEM["purchase_item_type_id"],
}
ITEM_LINES = ";".join(ITEM_VALUES), ";".join(map(str, ITEM_VALUES.values()))


@pytest.fixture
def server(clock):
    return LoyaltyServer(clock)


def lines(text):
    """A file of item lines with the columns that items need."""
    header, *rows = text.splitlines()
    return "\n".join([f"{header};{ITEM_LINES[0]}", *(f"{row};{ITEM_LINES[1]}" for row in rows)]) + "\n"


async def write(server, clock, source, **options):
    """Write bills in bulk."""
    async with client_of(server, clock) as client:
        return await client.purchases.bulk_write(source, match=KEY, **{"defaults": BILL_DEFAULTS, **options})


async def test_unknown_bills_are_sent_with_their_items(server, clock):
    """Each unknown bill is sent once, with all items; the same rows again change nothing."""
    rows = [bill(number, items=3) for number in range(40)]
    report = await write(server, clock, rows)
    assert counts(report) == {"created": 40}
    assert [len(value["bill"]["bill_items"]) for value in server.bills] == [3] * 40
    assert {value["bill"]["bill_id"] for value in server.bills} == {f"B{number}" for number in range(40)}
    sent = server.bills[0]
    assert (sent["store_id"], sent["cashdesk_number"]) == (STORE, 1)
    assert sent["bill"].keys().isdisjoint({"store_id", "cashdesk_number", KEY})
    again = await write(server, clock, rows)
    assert counts(again) == {"unchanged": 40}
    assert len(server.bills) == 40


@pytest.mark.parametrize("fault", ["before", "after", 20.0])
async def test_a_lost_answer_makes_no_second_bill(server, clock, fault):
    """A bill whose answer is lost is looked up by its id, and is there once."""
    server.faults = [fault] * 5
    report = await write(server, clock, [bill(number) for number in range(20)])
    assert counts(report) == {"created": 20}
    assert sorted(purchase[KEY] for purchase in server.purchases) == sorted(f"B{number}" for number in range(20))


async def test_a_bill_in_the_form_of_the_request(server, clock):
    """A row may hold the bill as an object, or as an input, with its id under the name that the request has."""
    nested = bill(1)
    bill_object = {**{name: value for name, value in nested.items() if name != KEY}, "bill_id": "B1", "utm": None}
    typed = FinalBillInput(
        bill_id="B2",
        payment_time="2026-03-08 10:00:00",
        currency_id=BILL_DEFAULTS["currency_id"],
        total_price=50,
        bill_items=[BillItemInput(**ITEM)],
        purchase_type_id=BILL_DEFAULTS["purchase_type_id"],
        canceled=False,
        payment_type="S",
    )
    rows = [{"store_id": STORE, "bill": bill_object}, {"store_id": STORE, "cashdesk_number": 2, "bill": typed}]
    assert counts(await write(server, clock, rows)) == {"created": 2}
    first, second = sorted(server.bills, key=lambda one: one["bill"]["bill_id"])
    assert (first["bill"]["bill_id"], second["bill"]["bill_id"]) == ("B1", "B2")
    assert second["cashdesk_number"] == 2
    assert second["bill"]["bill_items"] == [ITEM]


async def test_lines_of_items_in_csv(server, clock, tmp_path):
    """In CSV one line is an item, and neighbouring lines with one id are one bill; results have every line."""
    source = tmp_path / "bills.csv"
    source.write_text(lines(LINES))
    report = await write(server, clock, source, results=tmp_path / "results.csv")
    assert counts(report) == {"created": 2}
    first, second = (item["bill"] for item in sorted(server.bills, key=lambda sent: sent["bill"]["bill_id"]))
    assert [item["plu_name"] for item in first["bill_items"]] == ["Teapot", "Cup"]
    assert first["bill_items"][1]["plu_ids"] == [{"list_code": "GLOBAL", "code": "e346"}]
    assert (first["bill_items"][0]["price"], first["bill_items"][0]["loyalty_off"]) == (50, False)
    assert second["payment_time"] == "2026-03-08 10:05:00"
    assert (tmp_path / "results.csv").read_text().count("created") == 3
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert [row.split(";")[-5] for row in rows] == ["line", "2", "3", "4"]
    assert counts(await write(server, clock, source)) == {"unchanged": 2}


async def test_lines_of_a_bill_that_do_not_stand_together(server, clock, tmp_path):
    """A bill whose lines do not stand together is refused with all its lines, since it would lack an item."""
    source, rejects = tmp_path / "bills.csv", tmp_path / "rejects.csv"
    head, one, two, three = LINES.splitlines()
    source.write_text(lines("\n".join([head, one, three, two, one])))
    report = await write(server, clock, source, rejects=rejects)
    assert counts(report) == {"created": 1, "refused": 2}
    assert [bill["bill"]["bill_id"] for bill in server.bills] == ["B2"]
    text = rejects.read_text()
    assert "more of its lines begin in line 4" in text
    assert text.count("external_purchase_id: repeats line 2") == 2


@pytest.mark.parametrize("stray", ["B1;2026-03-08 10:00:00;100", ";;;Cup;50;50;2;GLOBAL;e346;21;1;False;x"])
async def test_a_line_that_belongs_to_no_bill(server, clock, tmp_path, stray):
    """Next to a line that cannot be read, or has no id, bills are refused: it may be an item of theirs."""
    source = tmp_path / "bills.csv"
    rows = lines(LINES + "B3;2026-03-08 10:00:00;50;Cup;50;50;1;GLOBAL;e345\n").splitlines()
    source.write_text("\n".join([*rows[:3], stray, *rows[3:]]) + "\n")
    report = await write(server, clock, source, rejects=tmp_path / "rejects.csv")
    assert counts(report) == {"created": 1, "refused": 3}
    assert [bill["bill"]["bill_id"] for bill in server.bills] == ["B3"]
    assert (
        "line 4: it cannot be read or has no key, and may be one of these items"
        in (tmp_path / "rejects.csv").read_text()
    )


async def test_lines_of_a_bill_that_differ(server, clock, tmp_path):
    """Lines of one bill with two totals are refused; an empty cell takes its value from the bill's other lines."""
    source, rejects = tmp_path / "bills.csv", tmp_path / "rejects.csv"
    head, one, two, three = LINES.splitlines()
    source.write_text(lines("\n".join([head, one, two.replace(";100;", ";99;"), three, three.replace(";30;S", ";;S")])))
    report = await write(server, clock, source, rejects=rejects)
    assert counts(report) == {"created": 1, "refused": 1}
    assert "line 3: total_price is another than in line 2" in rejects.read_text()
    assert len(server.bills[0]["bill"]["bill_items"]) == 2


async def test_lines_of_a_bill_may_differ_in_ignored_columns(server, clock, tmp_path):
    """A column that is ignored, by its name or by `ignore_columns`, may differ between the lines of a bill."""
    source = tmp_path / "bills.csv"
    head, *rows = lines(LINES).splitlines()
    numbered = [f"{head};line;Shelf", *(f"{row};{number};S{number}" for number, row in enumerate(rows))]
    source.write_text("\n".join(numbered))
    assert counts(await write(server, clock, source, ignore_columns=["Shelf"])) == {"created": 2}


async def test_missing_bills_and_corrected_rejects_are_imported(server, clock, tmp_path):
    """The lines that `compare` calls missing can be imported as they are, and so can corrected rejects."""
    source, missing, rejects = (tmp_path / f"{name}.csv" for name in ("bills", "missing", "rejects"))
    source.write_text(lines(LINES))
    async with client_of(server, clock) as client:
        await client.purchases.list().compare(source, match=KEY, results=missing)
    missing.write_text(missing.read_text().replace(";Cup;50;", ";Cup;fifty;"))
    assert counts(await write(server, clock, missing, rejects=rejects)) == {"created": 1, "refused": 1}
    rejects.write_text(rejects.read_text().replace(";fifty;", ";50;"))
    assert counts(await write(server, clock, rejects)) == {"created": 1}


async def test_lines_of_items_need_the_id_of_their_bill(server, clock, tmp_path):
    """Columns of items without the column that tells whose they are are an error, before anything is sent."""
    source = tmp_path / "bills.csv"
    source.write_text("purchase_id,plu_name\nx,Cup\n")
    async with client_of(server, clock) as client:
        with pytest.raises(BadSourceError, match="need the column external_purchase_id"):
            await client.purchases.bulk_write(source, match="purchase_id")
    assert not server.sent


async def test_renamed_columns_of_items(server, clock, tmp_path):
    """Columns of items may be renamed, and be ignored, like any other."""
    source = tmp_path / "bills.csv"
    source.write_text(lines(LINES.replace("plu_name", "Ware")).replace("external_purchase_id", "Beleg"))
    columns = {"Beleg": KEY, "Ware": "bill_items.plu_name"}
    assert counts(await write(server, clock, source, columns=columns)) == {"created": 2}
    assert server.bills[0]["bill"]["bill_items"][0]["plu_name"] in {"Teapot", "Spoon"}


async def test_a_field_of_an_item_beside_the_bill_is_refused(server, clock):
    """In rows with nested items, a field of an item beside the list is refused: it would belong to no item."""
    report = await write(server, clock, [{**bill(1), "plu_name": "Cup"}, bill(2)])
    assert counts(report) == {"created": 1, "refused": 1}


async def test_missing_values_of_items_are_named(server, clock, results):
    """The reasons name the item and its field, for missing values and for those of another kind."""
    first, second = bill(1, items=2), bill(2)
    del first["bill_items"][1]["price"]
    second["bill_items"][0]["quantity"] = "many"
    assert counts(await write(server, clock, [first, second], results=results)) == {"refused": 2}
    reasons = [row["reasons"][0] for row in read(results)]
    assert reasons[0] == "bill_items: item 2: price: required"
    assert reasons[1].startswith("bill_items: item 1: quantity: not a number")


async def test_a_known_bill_with_another_total_is_refused(server, clock, results):
    """A bill that is there with another total is not sent again, and the reason names the field."""
    await write(server, clock, [bill(1), bill(2)])
    rows = [bill(1, total_price=51), bill(2, payment_time="2026-03-08T10:00:00")]
    report = await write(server, clock, rows, results=results)
    assert counts(report) == {"unchanged": 1, "refused": 1}
    assert read(results)[0]["reasons"] == ["total_price: the purchase has another, which the API cannot change"]
    assert len(server.bills) == 2


async def test_a_bill_is_unchanged_as_the_server_spells_it(server, clock):
    """An id of the customer in capital letters, and a total as a text with a comma, change nothing."""
    rows = [bill(1, customer_id="8ea6abece4cd0a4ded0a29f093")]
    assert counts(await write(server, clock, rows)) == {"created": 1}
    server.purchases[0] |= {"customer_id": rows[0]["customer_id"].upper(), "total_price": "50,00"}
    assert counts(await write(server, clock, rows)) == {"unchanged": 1}
    assert len(server.sent) == 1


async def test_the_same_id_in_another_store_is_another_bill(server, clock):
    """Ids of bills may be unique in a store only: bills of two stores with one id are two bills."""
    assert counts(await write(server, clock, [bill(1)])) == {"created": 1}
    assert counts(await write(server, clock, [bill(1, store_id=OTHER_STORE)])) == {"created": 1}
    assert counts(await write(server, clock, [bill(1, store_id=OTHER_STORE)])) == {"unchanged": 1}
    assert [purchase["store_id"] for purchase in server.purchases] == [STORE, OTHER_STORE]


async def test_the_same_file_is_compared_with_the_list(server, clock, tmp_path):
    """A file of item lines can be compared with the purchases: fields that the list does not show are passed over."""
    source = tmp_path / "bills.csv"
    source.write_text(lines(LINES))
    await write(server, clock, source)
    server.purchases.pop()
    async with client_of(server, clock) as client:
        report = await client.purchases.list().compare(source, match=KEY)
    assert (report.same, report.missing_there, report.different) == (1, 1, 0)
