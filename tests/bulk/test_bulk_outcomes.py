"""Each row has one outcome, and the server holds what it says."""

import gzip
import itertools
import json
import sqlite3

import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, denied, emails, long, outcomes, people, read

from carecloud_async import CareCloudError, ConfigurationError
from carecloud_async.bulk import BadSourceError, BulkWriteError, TooManyRefusedError

pytestmark = pytest.mark.anyio


async def test_new_rows_are_created_once(client, tmp_path):
    """Rows with unknown keys are created; the same rows again are unchanged and send no write."""
    rows = people(30)
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(report) == {"created": 30}
    with client.record_calls() as calls:
        again = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    assert counts(again) == {"unchanged": 30}
    assert {call.method for call in calls} == {"GET"}
    found = await emails(client)
    assert all(found[row["email"]] == 1 for row in rows)


async def test_results_hold_the_row_the_outcome_and_the_changed_fields(client, sandbox, tmp_path):
    """Results hold the source's columns and the outcome of each row, in the order of the rows."""
    known = [customer async for customer in client.customers.list(count=3)][:2]
    source = tmp_path / "customers.csv"
    source.write_text(
        "email,last_name,language_id\n"
        f"new@example.com,New,en\n{known[0].personal_information.email},Changed,en\n,Nobody,en\nnew@example.com,Twice,en\n",
        encoding="utf-8",
    )
    results, rejects = tmp_path / "results.csv", tmp_path / "rejects.csv"
    report = await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, rejects=rejects)
    assert counts(report) == {"created": 1, "updated": 1, "refused": 2}
    rows = read(results)
    assert [row["outcome"] for row in rows] == ["created", "updated", "refused", "refused"]
    assert rows[0]["email"] == "new@example.com"
    assert rows[0]["record_id"]
    assert "personal_information.last_name" in rows[1]["changed_fields"]
    assert rows[2]["reasons"] == "personal_information.email: the row has no key"
    assert rows[3]["reasons"] == "email: repeats line 2"
    assert [row["last_name"] for row in read(rejects)] == ["Nobody", "Twice"]
    assert list(read(rejects)[0]) == ["email", "last_name", "language_id", "line", "reasons"]
    assert oct(results.stat().st_mode)[-3:] == "600"
    assert not list(tmp_path.glob(".*"))  # the journal is gone


async def test_results_in_the_format_of_their_suffix(client, tmp_path):
    """Results and rejects are written in the format of their suffix, packed too."""
    results = tmp_path / "results.jsonl.gz"
    report = await client.customers.bulk_write(people(3), match="email", defaults=SOURCE, results=results)
    assert report.results == str(results)
    again = await client.customers.bulk_write(
        [{"email": "new1@example.com"}, {"email": ""}], match="email", rejects=results
    )
    assert counts(again) == {"unchanged": 1, "refused": 1}
    assert [json.loads(line)["email"] for line in gzip.decompress(results.read_bytes()).splitlines()] == [""]


async def test_modes(client):
    """`create` finds a known key a conflict, `update` refuses an unknown one, and neither writes."""
    known = (await client.customers.list().first()).personal_information.email
    rows = [{"email": known, "last_name": "X", "language_id": "en"}, *people(1)]
    assert counts(await client.customers.bulk_write(rows, match="email", mode="update")) == {"updated": 1, "refused": 1}
    report = await client.customers.bulk_write(rows, match="email", mode="create", defaults=SOURCE)
    assert counts(report) == {"conflict": 1, "created": 1}


async def test_a_dry_run_decides_and_writes_nothing(client, sandbox, results):
    """A dry run says what would happen, field by field, and sends no write."""
    known = (await client.customers.list().first()).personal_information.email
    rows = [{"email": known, "last_name": "Other"}, *people(2)]
    with client.record_calls() as calls:
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, dry_run=True, results=results)
    assert report.dry_run
    assert counts(report) == {"updated": 1, "created": 2}
    assert read(results)[0]["changed_fields"] == ["personal_information.last_name"]
    assert {call.method for call in calls} == {"GET"}


async def test_blank_cells(client, tmp_path):
    """An empty cell keeps the field; with `blank="clear"` it sends null."""
    one = next(
        customer
        for customer in [c async for c in client.customers.list(count=60)]
        if customer.personal_information.pre_nominals
    )
    source = tmp_path / "c.csv"
    source.write_text(f"customer_id,pre_nominals\n{one.customer_id},\n", encoding="utf-8")
    assert counts(await client.customers.bulk_write(source, match="customer_id")) == {"unchanged": 1}
    report = await client.customers.bulk_write(source, match="customer_id", blank="clear")
    assert counts(report) == {"updated": 1}
    assert not (await client.customers.get(one.customer_id)).personal_information.pre_nominals


async def test_the_server_refuses_single_rows(client, results):
    """A row that the server refuses has its reasons and stops no other."""
    rows = people(3)
    rows[1]["phone"] = "+not a phone"
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results)
    assert outcomes(results) == ["created", "refused", "created"]
    assert "phone" in read(results)[1]["reasons"][0]
    assert report.refused == 1


WRONG = [
    (".", {}, "name the format by the suffix"),
    *((source, {}, "give a path, an iterable of rows") for source in (7, None, {"email": "a@example.com"})),
    ([], {"match": "mail"}, "keys: customer_id, email, phone, external_id, card_number"),
    *(([], {"max_refused": most}, "max_refused") for most in (-1, float("nan"), True, "1")),
    *(([], {"settle": settle}, "settle") for settle in (0, -1, "60", True, 1e6)),
    *(
        ([], {"phone_prefix": prefix}, r"prefix of phone numbers: write phone_prefix= .*as in \+420")
        for prefix in ("CZ", "", "+42 0", 420)
    ),
    *(
        ([], {"date_format": days}, r"no format of dates: write date_format= .*as in dd/mm/yyyy")
        for days in ("%d/%m/%y", "dd/mm", "dd/mm/mm", "dd/mm-yy", "", 5)
    ),
    *(([], {name: "r.parquet"}, r"by the suffix: \.csv, \.jsonl; \.gz or") for name in ("results", "rejects")),
    ([], {"results": "r.xlsx"}, r"by the suffix: \.csv, \.jsonl; \.gz or"),
    (
        people(1),
        {"defaults": {"langage_id": "en"}},
        "'langage_id' is no field .*language_id.*: name a field in defaults= and values=",
    ),
]


async def test_arguments_that_cannot_work(client, sandbox):
    """A wrong argument is an error that says what is right, before anything is sent."""
    for source, options, problem in WRONG:
        with pytest.raises(ConfigurationError, match=problem):
            await client.customers.bulk_write(source, **{"match": "email", **options})
    assert sandbox.count("POST /customers") == 0


@pytest.mark.parametrize("most", [1, 0, 0.0])
async def test_max_refused_stops_before_anything_is_sent(client, most):
    """More refused rows than allowed stop the run, before a write where the check shows it."""
    rows = [*people(2), {"email": ""}, {"email": " "}]
    with client.record_calls() as calls, pytest.raises(Exception, match="2 of 4 rows are refused") as caught:
        await client.customers.bulk_write(rows, match="email", defaults=SOURCE, max_refused=most)
    assert caught.value.report.refused == 2
    assert not [call for call in calls if call.method == "POST" and "login" not in call.path]


@pytest.mark.parametrize("by_server", [False, True])
async def test_rejects_of_a_run_that_max_refused_stopped(client, tmp_path, by_server):
    """A run that stops since too many rows are refused has written its rejects, and the error names the file."""
    rows, rejects = people(4), tmp_path / "bad.jsonl"
    with pytest.raises(
        Exception, match=r"rows are refused, more than allowed, and .* sent \(see .*bad.jsonl"
    ) as caught:
        await client.customers.bulk_write(
            [{**row, "email": row["email"].replace("@", " ") if by_server else ""} for row in rows],
            match="email",
            defaults=SOURCE,
            max_refused=1,
            rejects=rejects,
        )
    assert len(read(rejects)) == caught.value.report.refused == 4


@pytest.mark.parametrize("match", ["email", None])
async def test_a_run_that_max_refused_stopped_goes_on_with_a_higher_number_only(client, sandbox, tmp_path, match):
    """A resumed run with the same `max_refused` sends nothing and stops again, however often it is tried."""
    rows = [{**row, "email": "no address"} if number < 3 else row for number, row in enumerate(people(30))]
    options = {"match": match, "defaults": SOURCE, "journal": tmp_path / "run.db", "resume": True}
    with pytest.raises(TooManyRefusedError):
        await client.customers.bulk_write(rows, max_refused=1, **options)
    sent = sandbox.count("POST /customers")
    for _ in range(3):
        with pytest.raises(TooManyRefusedError):
            await client.customers.bulk_write(rows, max_refused=1, **options)
    assert sandbox.count("POST /customers") == sent
    report = await client.customers.bulk_write(rows, max_refused=3, **options)
    assert counts(report) == {"created": 27, "refused": 3}


async def test_a_part_that_may_be_refused_is_one_of_the_rows_that_were_seen(client):
    """Rows that are refused before anything is sent count among all rows, not among those that were sent so far."""
    rows = [{**row, "email": ""} if number % 25 == 7 else row for number, row in enumerate(people(150))]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, max_refused=0.05)
    assert counts(report) == {"created": 144, "refused": 6}


async def test_an_unknown_column_is_an_error_before_anything_is_sent(client):
    """A column that has no field is an error that names the nearest field; `ignore_columns` passes it over."""
    rows = people(1, nickname="x")
    with pytest.raises(ConfigurationError, match="'nickname' has no field"):
        await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, ignore_columns=["nickname"])
    assert counts(report) == {"created": 1}


async def test_external_ids_find_customers(client):
    """Customers are found by their id in another system; a second run finds those that the first created."""
    rows = [
        {"external_id": f"erp-{number}", "first_name": "E", "language_id": "en", "email": f"erp{number}@example.com"}
        for number in range(4)
    ]
    report = await client.customers.bulk_write(rows, match="external_id", defaults=SOURCE)
    assert counts(report) == {"created": 4}
    rows[2]["first_name"] = "Changed"
    again = await client.customers.bulk_write(rows, match="external_id", defaults=SOURCE)
    assert counts(again) == {"unchanged": 3, "updated": 1}


async def test_cards_go_by_the_batch_endpoint(client):
    """Families with a batch endpoint are created by it, up to 1,000 a request; refused rows are found by halving."""
    rows = [{"card_number": f"99000{number:05}", "card_type_id": CARD_TYPE, "state": 1} for number in range(1200)]
    with client.record_calls() as calls:
        report = await client.cards.bulk_write(rows, match="card_number")
    assert counts(report) == {"created": 1200}
    assert len([call for call in calls if call.path == "/cards/batch"]) == 2
    assert counts(await client.cards.bulk_write(rows[:50], match="card_number")) == {"unchanged": 50}


async def test_without_a_key_every_row_is_created(client):
    """`match=None` creates every row, equal ones too."""
    rows = [{"first_name": "Same", "language_id": "en"}] * 3
    assert counts(await client.customers.bulk_write(rows, match=None, defaults=SOURCE)) == {"created": 3}


async def test_a_batch_that_updates_has_what_the_endpoint_requires(sandbox, client):
    """A row for the batch endpoint, which also updates, has its own fields and the required ones of the record."""
    bodies = []

    async def note(request):
        if request.path.endswith("/batch"):
            bodies.append(request.json())

    sandbox.on_request = note
    group = await client.product_groups.list().first()
    row = {"external_id": group.external_id, "code": "another"}
    assert counts(await client.product_groups.bulk_write([row], match="external_id")) == {"updated": 1}
    assert [body["product_groups"] for body in bodies] == [[{"name": group.name, **row}]]


async def test_an_object_in_a_property_is_one_value(sandbox, client):
    """An object in a property is written whole if any field of it differs from what the record has."""
    found = await client.customers.list().first()
    records = client.customers.property_records(found.customer_id)
    property_id = sandbox.records("customer-properties").ids()[0]
    values = [{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, "text", {"a": None}]
    for value in [*values, "text", {}]:
        rows = [{"property_id": property_id, "property_value": value}]
        for outcome in ("updated", "unchanged"):
            report = await records.bulk_write(rows, match="property_id")
            assert getattr(report, outcome) or report.created
            assert value in [
                record.property_value async for record in records.list() if record.property_id == property_id
            ]


async def test_the_reward_of_a_known_voucher(sandbox, tmp_path):
    """A row that names the reward of its voucher changes nothing; one that names another reward is refused."""
    vouchers = sandbox.records("vouchers")
    first, second = (vouchers.get(name) for name in vouchers.ids()[:2])
    for voucher, code in ((first, "V1"), (second, "V2")):
        vouchers.update(voucher["voucher_id"], {"code": code, "reward": {"reward_id": "8BED991C68A4", "name": "Tea"}})
    rows = [
        {"code": "V1", "customer_id": first["customer_id"], "reward_id": "8bed991c68a4"},
        {"code": "V2", "customer_id": second["customer_id"], "reward_id": "another"},
    ]
    async with connect(sandbox) as client:
        report = await client.vouchers.bulk_write(rows, match="code", results=tmp_path / "results.jsonl")
    assert counts(report) == {"unchanged": 1, "refused": 1}
    assert read(tmp_path / "results.jsonl")[1]["reasons"] == [
        "reward_id: the record has another one, and the API has no way to change it"
    ]
    assert sandbox.count("PUT /vouchers/{voucher_id}") == 0


BY_EMAIL = {"match": "email", "defaults": SOURCE}


async def test_defaults_fill_new_records_and_values_set_every_row(server, write):
    """A known customer keeps what it has where a default differs, or is no value; a value is set in every row."""
    server.add("new0@example.com", last_name="No 0", first_name="Kept", language_id="cs")
    rows = [{"email": f"new{number}@example.com", "last_name": "Row"} for number in (0, 1)]
    defaults, values = {**SOURCE, "first_name": "Default", "language_id": "en"}, {"last_name": "Value"}
    assert counts(await write(rows, defaults=defaults, values=values)) == {"created": 1, "updated": 1}
    known, new = [record["personal_information"] for record in server.customers.values()]
    assert (known["first_name"], known["last_name"], known["language_id"]) == ("Kept", "Value", "cs")
    assert (new["first_name"], new["last_name"], new["language_id"]) == ("Default", "Value", "en")
    rows += [{"email": "new2@example.com", "last_name": "Row"}]
    report = await write(rows, defaults={**defaults, "birthdate": "soon"}, values=values)
    assert counts(report) == {"unchanged": 2, "refused": 1}


async def test_the_first_rows_of_an_iterable_are_resumed(sandbox, client, tmp_path):
    """`limit=` ends rows that have no end, in a run that is resumed too."""
    arguments = {"journal": tmp_path / "j.db", "resume": True, "limit": 5, **BY_EMAIL}

    def endless():
        return ({**people(1)[0], "email": f"e{item}@example.com"} for item in itertools.count())

    with denied(sandbox, "POST /customers", after=2):
        await client.customers.bulk_write(endless(), concurrency=1, **arguments)
    with pytest.raises(BulkWriteError, match="its limit differs"):
        await client.customers.bulk_write(endless(), **{**arguments, "limit": 6})
    assert counts(await client.customers.bulk_write(endless(), **arguments)) == {"created": 5}


@pytest.mark.parametrize(
    "error", [sqlite3.DatabaseError("theirs"), ConnectionResetError(104, "reset"), OSError(30, "ro")]
)
async def test_an_error_of_the_rows_is_their_own(write, tmp_path, error):
    """An exception of the user's rows or progress function is raised unchanged, and is not blamed on the journal."""

    def rows():
        yield from people(3)
        raise error

    def on_progress(_progress):
        raise error

    for source, more in ((rows(), {}), (people(3), {"on_progress": on_progress})):
        with pytest.raises(type(error)) as caught:
            await write(source, journal=tmp_path / "j.db", **more)
        assert caught.value is error


async def test_results_that_cannot_be_written_show_before_any_row_is(server, write, tmp_path):
    """A path of results that is a directory, or in none, is an error before anything is sent."""
    directory = tmp_path / "r.csv"
    directory.mkdir()
    for path in (directory, tmp_path / "none" / "r.csv"):
        with pytest.raises(BadSourceError):
            await write(people(3), results=path)
    assert server.requests == []


async def test_results_that_are_a_link_are_written_through(write, tmp_path, results):
    """A link as results keeps pointing to its file, which gets them."""
    link, target = results, tmp_path / "kept" / "target.jsonl"
    target.parent.mkdir()
    link.symlink_to(target)
    await write(people(2), results=link)
    assert link.is_symlink()
    assert [json.loads(line)["outcome"] for line in target.read_text().splitlines()] == ["created"] * 2


async def test_a_file_without_names_shows_no_data(write, tmp_path):
    """A file whose first line is a row of data is refused without a word of it."""
    source = tmp_path / "c.csv"
    source.write_text("ada@example.com,Ada,Lovelace\nbob@example.com,Bob,Bobson\n")
    with pytest.raises(BadSourceError, match="no column has the name of a field") as caught:
        await write(source)
    assert "ada" not in repr(caught.value).lower()


async def test_a_column_that_a_frame_has_twice(write):
    """A frame or a file with two columns of one name is refused, with the name."""
    pyarrow = pytest.importorskip("pyarrow")
    names = ["email", "first_name", "first_name"]
    table = pyarrow.Table.from_arrays([pyarrow.array(["a@example.com"])] * 3, names=names)
    with pytest.raises(BadSourceError, match=r"first_name.* twice"):
        await write(table)


async def test_changed_fields_of_parts_that_were_written_before_a_stop(sandbox, client, results):
    """The results of a run that was stopped between a card and a property name both."""
    await client.customers.bulk_write(people(1), **BY_EMAIL)
    property_id = (await client.customer_properties.list().first()).property_id
    rows = [{**people(1)[0], "card_number": "771", "card_type_id": CARD_TYPE, f"property.{property_id}": "5"}]
    fault = sandbox.faults.add("POST /customers/{customer_id}/property-records", status=403, times=None)
    arguments = {"results": results, "resume": True, **BY_EMAIL}
    with pytest.raises(CareCloudError):
        await client.customers.bulk_write(rows, **arguments)
    sandbox.faults.remove(fault)
    report = await client.customers.bulk_write(rows, **arguments)
    assert counts(report) == {"updated": 1}
    assert read(results)[0]["changed_fields"] == ["card_number", f"property.{property_id}"]


async def test_a_record_that_the_list_showed_and_that_is_gone(server, write):
    """A row whose listed record is gone makes a new record; it is neither reported as updated nor left in conflict."""
    rows = [{**row, "email": long(row["email"])} for row in people(20)]
    for row in rows:
        server.add(row["email"], last_name="Old")
    first = next(iter(server.customers))

    async def arrived(request):
        if "email_list" in str(request.url) and first in server.customers:
            del server.customers[first]
            server.faults = ["after"]

    server.arrived = arrived
    report = await write(rows)
    assert counts(report) == {"created": 1, "updated": 19}
    assert set(server.emails().values()) == {1}
