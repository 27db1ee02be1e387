"""Mistakes and the texts that name their fix: those of the page on troubleshooting, and others."""

import asyncio
import gc
import inspect
import json
import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import httpx
import kit
import pytest
from every import every
from fastapi import FastAPI
from fastapi.testclient import TestClient
from project_files import ROOT

import carecloud_async
from carecloud_async import (
    CareCloud,
    CustomerInput,
    CustomerSession,
    CustomerSourceInput,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    FileTokenStore,
    PersonalInformationInput,
    RetryPolicy,
)
from carecloud_async.fastapi import CareCloudDep, carecloud_lifespan
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)
NAMED_JANE = {"personal_information": {"first_name": "Jane"}}
#: A call is sent once.
ONCE = RetryPolicy(attempts=1)
#: What new customers need.
NEW = {"customer_source_id": CUSTOMER_SOURCE_IDS[0], "language_id": "cs"}


def without_settings(here):
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
        here.monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    CareCloud.from_env()


def without_redis(here):
    here.monkeypatch.setitem(sys.modules, "redis", None)
    carecloud_async.RedisTokenStore("redis://localhost")


def refused(here, path="*", **fault):
    here.sandbox.faults.add(path, **fault)
    return here.connect(retry=ONCE)


async def where_nothing_listens(here):
    async with CareCloud("http://127.0.0.1:9", auth=here.sandbox.credentials(), retry=ONCE) as client:
        await client.ping()


async def in_another_loop(here):
    await asyncio.to_thread(asyncio.run, here.client.ping())


async def after_its_end(here):
    async with here.connect() as client:
        await client.ping()
    await client.ping()


def jane():
    person = PersonalInformationInput(language_id="en", first_name="Jane")
    return {
        "customer": CustomerInput(personal_information=person),
        "customer_source": CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0]),
    }


async def changed_meanwhile(here):
    await here.client.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Jon"}})
    await here.client.customers.update(FIRST_CUSTOMER_ID, NAMED_JANE, if_unchanged=here.john)


async def another_list(here):
    for number, listing in enumerate((here.client.stores.list(), here.client.cards.list())):
        await listing.export(here.folder / f"{number}.jsonl", state=here.folder / "a.state")


async def imported(here, text, *, encoding="utf-8", named=None, match="email", defaults=NEW):
    (here.folder / "people.csv").write_text(text, encoding=encoding)
    file = here.folder / "people.csv"
    report = await here.client.customers.bulk_write(file, encoding=named, match=match, defaults=defaults)
    return " ".join(report.reasons)


async def put_points(here, *, references=(), times=1):
    async with here.client.outbox(here.folder / "till.db") as outbox:
        for number in range(times):
            given = {"reference": references[number]} if references else {}
            await outbox.put(
                here.client.points.assign_points, customer_id=FIRST_CUSTOMER_ID, amount=5 + number, **given
            )


async def opened_twice(here):
    async with here.client.outbox(here.folder / "till.db"), here.client.outbox(here.folder / "till.db"):
        pass


def with_the_class(_):
    @FastAPI().get("/")
    async def show(carecloud: CareCloud) -> None: ...


def without_an_annotation(here):
    app = FastAPI()

    @app.get("/")
    async def show(carecloud) -> None: ...

    return TestClient(app).get("/").text


def returning_a_record(here):
    app = FastAPI()

    @app.get("/")
    async def show():
        return here.john

    TestClient(app).get("/")


def without_its_lifespan(_):
    app = FastAPI(lifespan=carecloud_lifespan(CareCloud.from_env))

    @app.get("/")
    async def show(carecloud: CareCloudDep) -> None: ...

    TestClient(app).get("/")


def session(device, login_type="email"):
    return CustomerSession(device, login_type=login_type, login_value="x@example.com", password="p")


def one_device_for_two_identities(here):
    device = here.sandbox.device()
    return here.connect(auth=device).acting_as(session(device)).login()


async def iterated_prefetch(here):
    async for _ in here.client.customers.list().prefetch(2):
        pass


def device_in_place_of_its_token():
    return session(Device(device_id="1", device_system="OSX", device_name="Test", device_type="iPhone"))


def device_as_text():
    setup = DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False)
    return DeviceToken(external_application_id="81", device="123456", setup=setup)


#: How each text of the page comes about.
MISTAKES = {
    "set CARECLOUD_… in the environment": without_settings,
    "http:// to … would send tokens in the clear": lambda here: here.connect(host="http://acme.crmcarecloud.com"),
    "… - the login was refused: check the credentials, external_application_id and project_url": lambda here: (
        here.connect(auth=kit.CREDENTIALS).ping()
    ),
    "… does not exist on the … interface of this identity": lambda here: here.client.customers.me(),
    "… the server was not reached (…": where_nothing_listens,
    "… something in front of CareCloud answered with …": lambda here: refused(here, status=403, html=True).ping(),
    "403 on …": lambda here: refused(here, "GET /users", status=403).users.list().total(),
    "… pip install 'carecloud-async[…]'": without_redis,
    "a Listing cannot be awaited": lambda here: here.client.cards.list().__await__(),
    "a Listing is async": lambda here: list(here.client.cards.list()),
    "'coroutine' object has no attribute …": lambda here: here.unawaited.customer_id,
    "collect() needs a bound": lambda here: here.client.cards.list().collect(),
    "this client was opened in another …": in_another_loop,
    "the client was closed": after_its_end,
    "Object of type Customer is not JSON serializable": lambda here: json.dumps(here.john),
    "'Customer' object is not subscriptable": lambda here: here.john["customer_id"],
    "Customer has no …: did you mean …": lambda here: here.john.email,
    "client.customers.cards belongs to one record, whose id it needs": lambda here: here.client.customers.cards.list(),
    "client.customers has no …": lambda here: here.client.customers.find,
    "… got an unexpected keyword argument …": lambda here: here.client.customers.list(lastname="Smith"),
    "… takes several values: give a list, even of one": lambda here: here.client.customers.list(customer_ids="8ea6"),
    "sort_field is not a field of …": lambda here: here.client.customers.list(sort_field="last_chnge"),
    "429 on …": lambda here: refused(here, "GET /users", status=429, retry_after=40).users.list().total(),
    "… no answer in time (…": lambda here: (
        here.sandbox.faults.add("GET /users", delay=2) and here.connect(timeout=0.3).users.list().total()
    ),
    "400 on … [customer.personal_information.phone: invalid_value_format]": lambda here: here.client.customers.update(
        FIRST_CUSTOMER_ID, {"personal_information": {"phone": "+420 603 123 456"}}
    ),
    "… it may have happened, look before sending it again": lambda here: refused(
        here, "POST /customers", cut="after"
    ).customers.create(**jane()),
    "… the record changed since it was read (…": changed_meanwhile,
    "… is not a field of this record: did you mean …": lambda here: here.client.customers.update(
        FIRST_CUSTOMER_ID, {"email": "new@example.com"}
    ),
    "… to change parts of a record as it was read, use update(), which keeps the rest": lambda here: (
        here.client.customers.replace(FIRST_CUSTOMER_ID, here.john)
    ),
    "… exists already: pass overwrite=True to replace it": lambda here: here.client.cards.list().export(here.file),
    "… the suffix names no known format": lambda here: here.client.cards.list().export(here.folder / "cards.xml"),
    "… workbooks are not written": lambda here: here.client.cards.list().export(here.folder / "cards.xlsx"),
    "… belongs to another nightly export (…": another_list,
    "… line … is not UTF-8: name its encoding with encoding=": lambda here: imported(
        here, "email,last_name\na@example.com,Dvořák\n", encoding="cp1250"
    ),
    "its text is probably cp1250, not …": lambda here: imported(
        here, "email,last_name\na@example.com,Žižka\n", encoding="cp1250", named="iso8859-2"
    ),
    "the column … has no field": lambda here: imported(here, "email,surname\na@example.com,Smith\n"),
    "match=… is no key of …": lambda here: imported(here, "email\na@example.com\n", match="mail"),
    "… the row has no key": lambda here: imported(here, "email,last_name\n,Smith\n"),
    "customer_source_id: required": lambda here: imported(here, "email\na@example.com\n", defaults={}),
    "another call with this key … as entry …": lambda here: put_points(here, references=["b1", "b1"], times=2),
    "… needs a key, as the API gives its records none: give reference=…": put_points,
    "… another program is using it: wait for its end": opened_twice,
    "a CareCloud cannot be read from a request": with_the_class,
    "Field required": without_an_annotation,
    "[TypeError(\"'Customer' object is not iterable\"), …": returning_a_record,
    "no client named 'default' is open": without_its_lifespan,
}


#: How other texts come about: each is the whole text, or the part of it that names the fix.
FIXES = {
    "not the class EnterpriseCredentials: make one, EnterpriseCredentials(…)": lambda here: here.connect(
        auth=EnterpriseCredentials
    ),
    "auth must be an AuthProvider object such as EnterpriseCredentials(…)": lambda here: here.connect(
        auth=("fabulous_user", "password_example")
    ),
    "write `async with CareCloud(…) as client`": lambda here: here.client.__enter__(),
    "await listing.first()": lambda here: here.client.customers.list()[0],
    "listing.page()": lambda here: here.client.customers.list().__await__(),
    "async for record in listing": lambda here: list(here.client.customers.list()),
    "async with listing.prefetch(8) as records": iterated_prefetch,
    "…async with listing.prefetch(8) as records": lambda here: here.client.customers.list().prefetch(2).__enter__(),
    'write Device(device_id="…", device_system="…", device_name="…", device_type="…")': lambda _: device_as_text(),
    "device must be a DeviceToken object, not Device: write DeviceToken(": lambda _: device_in_place_of_its_token(),
    "login_type must be one of email, phone, card": lambda here: session(here.sandbox.device(), "mail"),
    "Device(device_id=None, …) makes a random one": one_device_for_two_identities,
    "give seconds, such as timeout=600": lambda here: here.connect(timeout=None),
    "Timeout: total must be a number greater than 0": lambda here: here.connect(timeout=httpx.Timeout(3)),
    "retry must be a RetryPolicy such as RetryPolicy(attempts=5), not 3": lambda here: here.connect(retry=3),
    "rate_limit must be RateLimit(requests_per_second=20)": lambda here: here.connect(rate_limit=20),
    "give an IANA name such as 'Europe/Prague'": lambda here: here.connect(timezone="Prague"),
    "token_store must be a TokenStore object such as FileTokenStore(path)": lambda here: here.connect(
        token_store="tokens.json"
    ),
    "not the class FileTokenStore: make one": lambda here: here.connect(token_store=FileTokenStore),
    "http_client must be an httpx.AsyncClient or httpx2.AsyncClient object": lambda here: here.connect(
        http_client=object()
    ),
    "give the domain alone": lambda here: here.connect(host="sandbox.crmcarecloud.com/webservice"),
    "last_name takes one non-empty text, not several": lambda here: here.client.customers.list(last_name=["Smith"]),
    "count must be a whole number from 1 up, not 0": lambda here: here.client.customers.list(count=0),
}


def test_every_heading_of_the_page_is_tried():
    """The page and the mistakes above are the same texts, and each is there once."""
    assert sorted(HEADINGS) == sorted(MISTAKES) != []


@pytest.mark.asyncio
@every("text, mistake", [*MISTAKES.items(), *FIXES.items()])
async def test_a_mistake_is_answered_with_its_fix(text, mistake, monkeypatch, tmp_path_factory):
    """Whoever makes a mistake reads the text that the page has as its heading, or one that names the fix."""
    sandbox = Sandbox(customers=3, records=3)
    folder = tmp_path_factory.mktemp("troubles")
    file = folder / "cards.jsonl"
    file.touch()

    def connect(**options):
        return kit.connect(sandbox, **options)

    with monkeypatch.context() as patched:
        async with connect() as client:
            unawaited = client.customers.get(FIRST_CUSTOMER_ID)
            here = SimpleNamespace(
                sandbox=sandbox,
                folder=folder,
                file=file,
                connect=connect,
                client=client,
                monkeypatch=patched,
                unawaited=unawaited,
                john=await client.customers.get(FIRST_CUSTOMER_ID),
            )
            shown = await seen(mistake, here)
            unawaited.close()
    pattern = ".*".join(re.escape(part) for part in text.split("…"))
    assert re.search(pattern, shown, re.DOTALL), shown


async def seen(mistake, here):
    """The text of the error, or what the program prints."""
    try:
        made = mistake(here)
        return str(await made if inspect.isawaitable(made) else made)
    except Exception as error:  # noqa: BLE001  (whatever it is, its text counts)
        return str(error)


def test_a_forgotten_await_is_warned_of():
    """Of a call that is not awaited, Python says by its name that it was never awaited."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kit.connect(Sandbox(customers=1)).customers.get(FIRST_CUSTOMER_ID)
        gc.collect()
    assert any("Customers.get' was never awaited" in str(warning.message) for warning in caught)


def test_a_client_that_is_never_closed():
    """The warning about open connections names `async with` and `aclose`."""
    source = (
        "import asyncio, gc, sys\n"
        "from carecloud_async import CareCloud\n"
        "from carecloud_async.sandbox import Sandbox\n"
        "async def main(url):\n"
        "    await CareCloud(url, auth=sandbox.credentials()).ping()\n"
        "sandbox = Sandbox(customers=1)\n"
        "with sandbox.running() as url:\n"
        "    asyncio.run(main(url))\n"
        "    gc.collect()\n"
    )
    done = subprocess.run([sys.executable, "-Wdefault", "-c", source], capture_output=True, text=True, check=True)
    assert "use `async with CareCloud(…) as client`, or await its aclose()" in done.stderr


#: What needs an extra: the library that is missing, the use, the extra.
EXTRAS = [
    ("redis", "from carecloud_async import RedisTokenStore; RedisTokenStore('redis://localhost')", "redis"),
    ("starlette", "import carecloud_async.sandbox", "sandbox"),
    ("uvicorn", "import carecloud_async.sandbox", "sandbox"),
    ("fastapi", "import carecloud_async.fastapi", "fastapi"),
    ("typer", "from carecloud_async.cli import main; main()", "cli"),
]


def test_an_extra_that_is_missing():
    """Whatever needs an extra that is not installed names the command that installs it."""
    source = (
        "import sys\n"
        f"for library, use, _ in {EXTRAS!r}:\n"
        "    sys.modules[library] = None\n"
        "    try:\n"
        "        exec(use)\n"
        "    except Exception as error:\n"
        "        print(error, file=sys.stderr)\n"
        "    except SystemExit:\n"
        "        pass  # the command has printed it\n"
        "    del sys.modules[library]\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    shown = re.findall(r"pip install 'carecloud-async\[(\w+)\]'", done.stderr)
    assert shown == [extra for _, _, extra in EXTRAS], done.stderr
