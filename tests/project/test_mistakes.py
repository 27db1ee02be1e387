"""Frequent mistakes: what a reader writes at first, and the message that names the fix."""

import asyncio
import gc
import subprocess
import sys
import warnings
from functools import partial

import httpx
import kit
import pytest

from carecloud_async import (
    CareCloud,
    CareCloudError,
    CustomerSession,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    FileTokenStore,
)
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

SETUP = DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False)


@pytest.fixture
def sandbox():
    return Sandbox(customers=10)


@pytest.fixture
def connect(sandbox):
    return partial(kit.connect, sandbox)


def message(mistake):
    """What a reader sees after a mistake; a coroutine is run."""

    async def make():
        found = mistake()
        return await found if hasattr(found, "__await__") else found

    with pytest.raises((CareCloudError, TypeError, AttributeError)) as caught:
        asyncio.run(make())
    return str(caught.value)


def test_a_class_in_place_of_an_identity(connect):
    """`auth=EnterpriseCredentials` says to make an object of it."""
    assert "not the class EnterpriseCredentials: make one, EnterpriseCredentials(…)" in message(
        lambda: connect(auth=EnterpriseCredentials)
    )


def test_login_and_password_in_place_of_an_identity(connect):
    """A tuple, as httpx takes it for `auth`, names the identities."""
    assert "auth must be an AuthProvider object such as EnterpriseCredentials(…)" in message(
        lambda: connect(auth=("fabulous_user", "password_example"))
    )


def test_with_in_place_of_async_with(connect):
    """`with CareCloud(…)` says `async with`."""

    def mistake():
        with connect():
            pass

    assert "write `async with CareCloud(…) as client`" in message(mistake)


def test_for_in_place_of_async_for(connect):
    """`for` over a listing says `async for`."""
    assert "write `async for record in listing`" in message(lambda: list(connect().customers.list()))


def test_a_listing_that_is_awaited(connect):
    """`await client.customers.list()` names what can be awaited."""
    assert "await listing.page(), .first(), .total() or .collect(limit=…)" in message(
        lambda: connect().customers.list().__await__()
    )


def test_a_position_of_a_listing(connect):
    """`listing[0]` says how the first record is had."""
    assert "await listing.first()" in message(lambda: connect().customers.list()[0])


def test_a_forgotten_await(connect):
    """A call that is not awaited is a coroutine, and Python warns that it was never awaited."""

    def mistake():
        connect().customers.get(FIRST_CUSTOMER_ID).customer_id  # noqa: B018  (the mistake)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "'coroutine' object has no attribute 'customer_id'" in message(mistake)
        gc.collect()
    assert any("Customers.get' was never awaited" in str(one.message) for one in caught)


def test_a_client_that_is_never_closed(sandbox):
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


def test_a_client_that_is_closed(connect):
    """A call after the block says that the client was closed."""

    async def mistake():
        async with connect() as client:
            await client.ping()
        await client.ping()

    assert message(mistake) == "the client was closed: make a new one"


def test_a_client_in_two_event_loops(connect):
    """One client under two `asyncio.run` says to make one for each loop."""
    client = connect()
    asyncio.run(client.ping())
    assert "make one CareCloud per event loop, thread and process" in message(client.ping)


def test_prefetch_without_a_block(connect):
    """Iterating a prefetch, or entering it by `with`, shows the block to write."""

    async def iterated():
        async for _ in connect().customers.list().prefetch(2):
            pass

    def entered():
        with connect().customers.list().prefetch(2):
            pass

    for mistake in (iterated, entered):
        assert "async with listing.prefetch(8) as records" in message(mistake)


def test_a_text_in_place_of_a_device():
    """`device="123456"` shows a `Device` with its arguments."""
    text = message(lambda: DeviceToken(external_application_id="81", device="123456", setup=SETUP))
    assert 'write Device(device_id="…", device_system="…", device_name="…", device_type="…")' in text


def test_a_device_in_place_of_its_token():
    """A session on a `Device` shows the `DeviceToken` to write."""
    device = Device(device_id="1", device_system="OSX", device_name="Test", device_type="iPhone")
    text = message(lambda: CustomerSession(device, login_type="email", login_value="x@example.com", password="p"))
    assert "device must be a DeviceToken object, not Device: write DeviceToken(" in text


def test_an_unknown_login_type(sandbox):
    """`login_type="mail"` names the three there are."""
    text = message(lambda: CustomerSession(sandbox.device(), login_type="mail", login_value="x", password="p"))
    assert text == "login_type must be one of email, phone, card"


def test_one_device_for_two_identities(sandbox, connect):
    """A session on the client's own device says how each gets a device of its own."""
    device = sandbox.device()

    def mistake():
        session = CustomerSession(device, login_type="email", login_value="x@example.com", password="p")
        return connect(auth=device).acting_as(session).login()

    assert "Device(device_id=None, …) makes a random one" in message(mistake)


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"timeout": None}, "give seconds, such as timeout=600"),
        ({"timeout": httpx.Timeout(3)}, "Timeout: total must be a number greater than 0"),
        ({"retry": 3}, "retry must be a RetryPolicy such as RetryPolicy(attempts=5), not 3"),
        ({"rate_limit": 20}, "rate_limit must be RateLimit(requests_per_second=20)"),
        ({"timezone": "Prague"}, "give an IANA name such as 'Europe/Prague'"),
        ({"token_store": "tokens.json"}, "token_store must be a TokenStore object such as FileTokenStore(path)"),
        ({"token_store": FileTokenStore}, "not the class FileTokenStore: make one"),
        ({"http_client": object()}, "http_client must be an httpx.AsyncClient or httpx2.AsyncClient object"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_settings_of_the_wrong_kind(settings, fix, connect):
    """A setting of the wrong kind names the right one."""
    assert fix in message(lambda: connect(**settings))


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("sandbox.crmcarecloud.com/webservice", "give the domain alone"),
        ("http://sandbox.crmcarecloud.com", "use https://"),
    ],
)
def test_an_address_that_cannot_work(address, fix, sandbox):
    """A path, or plain HTTP, in the address says what to write."""
    assert fix in message(lambda: CareCloud(address, auth=sandbox.credentials()))


def test_an_environment_without_settings(monkeypatch):
    """`from_env()` names every variable that is missing."""
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    text = message(CareCloud.from_env)
    assert "set CARECLOUD_PROJECT_URL, CARECLOUD_EXTERNAL_APPLICATION_ID, CARECLOUD_LOGIN, CARECLOUD_PASSWORD" in text


@pytest.mark.parametrize(
    ("filters", "fix"),
    [
        ({"last_name": ["Smith"]}, "last_name takes one text that is not empty, not several"),
        ({"customer_ids": []}, "customer_ids is empty, which the API would read as no filter at all: leave it out"),
        ({"customer_ids": "8ea6"}, "customer_ids takes several values: give a list, even of one"),
        ({"lastname": "Smith"}, "Did you mean 'last_name'?"),
        ({"count": 0}, "count must be a whole number from 1 up, not 0"),
    ],
    ids=["several", "none", "one", "unknown", "count"],
)
def test_filters_of_the_wrong_kind(filters, fix, connect):
    """A filter that the API would drop is an error that says why, before anything is sent."""
    assert fix in message(lambda: connect().customers.list(**filters))


def test_a_change_at_the_wrong_level(connect):
    """`update(…, {"email": …})` names the whole path of the field."""
    text = message(lambda: connect().customers.update(FIRST_CUSTOMER_ID, {"email": "x@example.com"}))
    assert text == "email is not a field of this record: did you mean personal_information.email?"


def test_a_record_that_was_read_in_place_of_an_input(connect):
    """`replace` with a read model names `update`."""

    async def mistake():
        client = connect()
        await client.customers.replace(FIRST_CUSTOMER_ID, await client.customers.get(FIRST_CUSTOMER_ID))

    assert "use update(), which keeps the rest" in message(mistake)


def test_an_operation_of_the_other_interface(connect):
    """`me()` as an enterprise user says that the interface has no such operation."""
    assert "does not exist on the enterprise interface" in message(lambda: connect().customers.me())


def test_an_export_of_an_unknown_format(connect, tmp_path):
    """A suffix that is no format lists those there are."""
    text = message(lambda: connect().customers.list().export(tmp_path / "customers.xlsx"))
    assert "use .jsonl, .ndjson, .csv, .parquet" in text


def test_an_export_over_a_file(connect, tmp_path):
    """A target that exists names `overwrite=True`."""
    (tmp_path / "customers.jsonl").touch()
    text = message(lambda: connect().customers.list().export(tmp_path / "customers.jsonl"))
    assert "pass overwrite=True to replace it" in text


@pytest.mark.parametrize(
    ("hidden", "use", "extra"),
    [
        ("redis", "from carecloud_async import RedisTokenStore; RedisTokenStore('redis://localhost')", "redis"),
        ("starlette", "import carecloud_async.sandbox", "sandbox"),
        ("uvicorn", "import carecloud_async.sandbox", "sandbox"),
        ("fastapi", "import carecloud_async.fastapi", "fastapi"),
        ("typer", "from carecloud_async.cli import main; main()", "cli"),
    ],
)
def test_an_extra_that_is_missing(hidden, use, extra):
    """Whatever needs an extra that is not installed names the command that installs it."""
    source = f"import sys; sys.modules[{hidden!r}] = None; {use}"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install 'carecloud-async[{extra}]'" in done.stderr.splitlines()[-1]
