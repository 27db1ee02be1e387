"""A recording of a project: no value of the project is in it, and a sandbox starts from it."""

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from carecloud_async import CareCloud, ConfigurationError
from carecloud_async.recording import record
from carecloud_async.sandbox import Sandbox

PROGRAM = [sys.executable, "-c", "from carecloud_async.cli import main; main()"]

PERSON = {
    "salutation": "Dear Wilhelmina Quackenbush",
    "first_name": "Wilhelmina",
    "last_name": "Quackenbush",
    "pre_nominals": "Plantedtitle.",
    "post_nominals": "Plantedpost",
    "birthdate": "1907-11-13",
    "email": "Wilhelmina.Quackenbush@planted-mail.test",
    "phone": "+420 777 123 987",
    "photo_url": "https://photos.planted-host.test/wilhelmina.jpg",
    "address": {f"address{number}": f"Plantedstreet{number}xyz" for number in range(1, 8)}
    | {"city": "Plantedtown", "zip": "PL4NT3D"},
    "unknown_text": "Plantedunknown",
    "unknown_object": {"plantedkey": ["Planteddeep", {"name": "Planteddeeper"}], "count": 987654321},
}
CARD = {"card_number": "9876543210987", "note": "call Plantedfriend", "unknown_url": "https://planted-host.test/card"}
#: What a search must not find: values, and parts and other spellings of them.
PLANTED = [
    *("wilhelmina", "quackenbush", "planted", "pl4nt3d", "1907-11-13", "420777123987", "777123987", "777 123 987"),
    *("9876543210987", "987654321", "fabulous", "legend", "secretproject"),
]


def planted():
    """A sandbox that is a project with known personal values."""
    sandbox = Sandbox(customers=40, records=12)
    ids = sandbox.customers.ids()
    sandbox.customers.update(ids[3], {"personal_information": PERSON})
    cards = sandbox.records("cards")
    cards.update(cards.ids()[1], CARD | {"customer_id": ids[3]})
    return sandbox


def client_of(sandbox, project="secretproject.crmcarecloud.com"):
    return CareCloud(project, auth=sandbox.credentials(), transport=sandbox.transport())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "acme.sandbox"


async def recorded(sandbox, target, **options):
    async with client_of(sandbox) as client:
        return await record(client, target, **options)


def lines_of(target):
    return [json.loads(line) for line in target.read_text().split("\n") if line]


@pytest.mark.asyncio
async def test_no_planted_value_is_in_the_file(target):
    """A search of the file for each personal value, its parts and other spellings finds none."""
    await recorded(planted(), target)
    text = target.read_text().casefold()
    assert [value for value in PLANTED if value in text] == []
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(lines_of(target)) > 500


def texts_of(value, model_key=""):
    """All texts below a value, with the names of their fields."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item, model_key)
    elif isinstance(value, str):
        yield model_key, value


@pytest.mark.asyncio
async def test_no_personal_value_of_a_customer_is_in_the_file(target):
    """No name, address, mail or phone of any customer of the project is found, nor a part of four letters."""
    sandbox = planted()
    await recorded(sandbox, target)
    shown = " ".join(value for line in lines_of(target) if "record" in line for _, value in texts_of(line)).casefold()
    people = [record.get("personal_information") or {} for record in sandbox.customers]
    names = {"first_name", "last_name", "email", "phone", "city", "photo_url", "salutation"}
    values = {value.casefold() for person in people for key, value in texts_of(person) if key in names}
    parts = {part for value in values if "://" not in value for part in re.findall(r"[^\W\d_]{4,}|\d{6,}", value)} - {
        "example",
        "https",
    }
    assert len(parts) > 40
    assert [part for part in parts if part in shown] == []
    assert [value for value in values if len(value) > 3 and value in shown] == []


@pytest.mark.asyncio
async def test_no_id_of_the_project_is_in_the_file(target):
    """Ids are made up, and references lead to the records that they led to."""
    sandbox = planted()
    await recorded(sandbox, target)
    text = target.read_text()
    ids = [record_id for name in ("customers", "cards", "stores") for record_id in sandbox.records(name).ids()]
    assert [record_id for record_id in ids if record_id in text] == []
    again = Sandbox.from_recording(target)
    owner = again.records("cards").get(again.records("cards").ids()[1])["customer_id"]
    assert again.customers.ids()[3] == owner


async def app_works(sandbox):
    """What a program of a shop does."""
    async with client_of(sandbox) as client:
        customers = await client.customers.list(count=7).collect(limit=1000)
        assert len(customers) == await client.customers.list().total() == 40
        for customer in customers[:5]:
            assert (await client.customers.get(customer.customer_id)).customer_id == customer.customer_id
        card = (await client.cards.list().collect(limit=5))[1]
        assert card.customer_id in {customer.customer_id for customer in customers}
        reachable = next(customer for customer in customers[1:] if customer.personal_information.email)
        mail = reachable.personal_information.email
        assert [c.customer_id for c in await client.customers.list(email=mail).collect(limit=5)] == [
            reachable.customer_id
        ]
        await client.customers.update(reachable.customer_id, {"personal_information": {"first_name": "New"}})
        assert (await client.customers.get(reachable.customer_id)).personal_information.first_name == "New"
        created = await client.cards.list().first()
        assert (await client.stores.list().first()).store_id
        assert created.card_id


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.asyncio
async def test_a_program_works_on_a_sandbox_and_on_its_recording_alike(tmp_path, suffix):
    """The records of a recording are valid, refer to each other, and are read and written like any others."""
    target = tmp_path / f"acme.sandbox{suffix}"
    sandbox = planted()
    await recorded(sandbox, target)
    await app_works(sandbox)
    await app_works(Sandbox.from_recording(target))


@pytest.mark.asyncio
async def test_every_list_of_a_recording_reads_as_that_of_the_project(target):
    """Each list has as many records with the same fields, and the models read them."""
    sandbox = planted()
    report = await recorded(sandbox, target, records=30)
    async with client_of(Sandbox.from_recording(target)) as client:
        for part in report.lists:
            items = await client.listing(part.path).collect(limit=1000)
            extra = 1 if part.name == "users" else 0
            assert len(items) == len(part.records) + extra, part.name
    assert len(report.lists) > 50


@pytest.mark.asyncio
async def test_dates_blanks_and_enums_keep_their_form(target):
    """Zero dates, nulls, empty texts, states and codes of languages are as they were."""
    sandbox = planted()
    await recorded(sandbox, target)
    again = Sandbox.from_recording(target)
    for before, after in zip(sandbox.customers, again.customers, strict=True):
        assert before["state"] == after["state"]
        old, new = before["personal_information"], after["personal_information"]
        assert old["language_id"] == new["language_id"]
        for name in ("birthdate", "phone", "email", "first_name"):
            if not old.get(name) or old[name] == "0000-00-00":
                assert new.get(name) == old.get(name)
            else:
                assert type(new[name]) is type(old[name])
                assert new[name] != old[name]


@pytest.mark.asyncio
async def test_the_same_project_is_recorded_with_other_values_each_time(tmp_path):
    """The key is random and in no file."""
    sandbox = planted()
    for name in ("one", "two"):
        await recorded(sandbox, tmp_path / name, lists=["customers"])
    one, two = ((tmp_path / name).read_text() for name in ("one", "two"))
    ids = re.findall(r'"customer_id": "(\w+)"', one)
    assert ids
    assert not [record_id for record_id in ids if record_id in two]


@pytest.mark.asyncio
async def test_refused_lists_and_caps_are_as_recorded(target):
    """A list that was refused is refused by the recording, and pages have the same cap."""
    sandbox = Sandbox(customers=40, max_count=9)
    sandbox.faults.add("GET /cards", status=403, times=None)
    await recorded(sandbox, target, lists=["customers", "cards"], records=30)
    again = Sandbox.from_recording(target)
    assert again.max_count == 9
    async with client_of(again) as client:
        with pytest.raises(Exception, match="403"):
            await client.cards.list().first()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no recording"),
        (b"{}\n{}\n", "no recording"),
        (b"\x1f\x8bxx", "no recording"),
        (b"\xff\xfe", "no recording"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(target, content, says):
    """The error says how to make one."""
    target.write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        Sandbox.from_recording(target)
    assert "carecloud record" in str(caught.value)


@pytest.mark.asyncio
async def test_a_recording_that_is_cut_off_is_refused(target):
    """A file without its end is not taken for a small project."""
    await recorded(planted(), target, lists=["customers"])
    target.write_text("\n".join(target.read_text().split("\n")[:-4]))
    with pytest.raises(ValueError, match="cut off"):
        Sandbox.from_recording(target)


@pytest.mark.asyncio
async def test_a_list_that_cannot_be_recorded_is_an_error(target):
    """An unknown list, and one that belongs to a parent, is refused before anything is sent."""
    for name in ("custmers", "customers.addresses"):
        with pytest.raises(ConfigurationError):
            await recorded(planted(), target, lists=[name])
    assert not target.exists()


def test_the_command_records_and_serves(target):
    """`carecloud record` writes the file, and `carecloud sandbox --from` serves it."""
    words = ["record", "-o", str(target), "--sandbox", "20", "--lists", "customers,cards", "--records", "15"]
    made = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=120, check=True)
    assert "30 records of 2 lists" in made.stderr
    served = subprocess.Popen(
        [*PROGRAM, "sandbox", "--from", str(target), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        first = served.stdout.readline()
        assert "15 customers" in first
        settings = dict(
            line.removeprefix("export ").strip().split("=", 1) for line in (served.stdout.readline() for _ in range(4))
        )
        listed = subprocess.run(
            [*PROGRAM, "total", "customers"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={"PATH": "", "HOME": str(target.parent), **settings},
        )
        assert listed.stdout.strip() == "15"
    finally:
        served.send_signal(signal.SIGTERM)
        served.wait(60)
        served.stdout.close()
    assert Path(target).exists()
