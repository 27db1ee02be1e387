"""The public API as type checkers see it: checked by mypy and pyright, never run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

import httpx
import httpx2

from carecloud_async import (
    CallRecord,
    CareCloud,
    CareCloudAuth,
    Change,
    ChangesReport,
    Customer,
    CustomerInput,
    CustomerSession,
    CustomerSourceInput,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    ExportReport,
    Listing,
    LoggedIn,
    Page,
    PersonalInformation,
    RateLimit,
    RetryPolicy,
    Timeout,
    User,
)
from carecloud_async.sandbox import Sandbox


async def rotating() -> str:
    """Return a password, as a vault would."""
    return "secret"


async def reading() -> None:
    """Listings, records and untyped calls have the types that the README says."""
    credentials = EnterpriseCredentials(external_application_id="a", login="b", password=rotating)
    async with CareCloud("acme.crmcarecloud.com", auth=credentials) as client:
        assert_type(client, CareCloud)
        assert_type(client.customers.list(), Listing[Customer])
        assert_type(client.users.list(count=5), Listing[User])
        async for customer in client.customers.list(last_name="Smith"):
            assert_type(customer, Customer)
            assert_type(customer.customer_id, str)
            assert_type(customer.personal_information, PersonalInformation)
            assert_type(customer.last_change, datetime | None)
        assert_type(await client.customers.list().page(), Page[Customer])
        async for page in client.customers.list().pages():
            assert_type(page.items, list[Customer])
        async for record in client.customers.list().raw():
            assert_type(record, bytes)
        async with client.customers.list().prefetch(8) as customers:
            async for customer in customers:
                assert_type(customer, Customer)
        assert_type(await client.customers.list().first(), Customer | None)
        assert_type(await client.customers.list().total(), int)
        assert_type(await client.customers.list().collect(limit=3), list[Customer])
        assert_type(await client.customers.list().export("customers.jsonl"), ExportReport)
        async with client.customers.list().changes(state="customers.state") as changes:
            async for change in changes:
                assert_type(change, Change[Customer])
                assert_type(change.record, Customer | None)
        assert_type(changes.report, ChangesReport)
        assert_type(await client.customers.get("id"), Customer)
        assert_type(await client.request("GET", "customers"), dict[str, Any])
        assert_type(await client.request("GET", "customers/x", into=Customer), Customer)
        assert_type(await client.request("GET", "customers", into=list[Customer]), list[Customer])
        assert_type(await client.request("GET", "customers", into=None), dict[str, Any])
        assert_type(client.listing("cards"), Listing[dict[str, Any]])
        assert_type(client.listing("cards", into=None, list_key=None), Listing[dict[str, Any]])
        assert_type(
            client.listing("cards", into=Customer, list_key="cards", id_field="card_id", count=5), Listing[Customer]
        )
        for _ in client.customers.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
            pass
        httpx.AsyncClient(auth=client.auth)
    httpx.AsyncClient(auth=CareCloudAuth("acme.crmcarecloud.com", credentials))
    httpx2.AsyncClient(auth=CareCloudAuth("acme.crmcarecloud.com", credentials, timezone="Europe/Prague"))
    CareCloudAuth("acme.crmcarecloud.com", ("user", "word"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def writing(client: CareCloud, customer: CustomerInput, source: CustomerSourceInput) -> None:
    """Inputs and changes are typed; a read model is no input."""
    customer_id = await client.customers.create(customer, customer_source=source)
    assert_type(customer_id, str)
    await client.customers.update(customer_id, {"personal_information": {"email": None}})
    read = await client.customers.get(customer_id)
    await client.customers.replace(customer_id, read)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def identities(portal: CareCloud) -> None:
    """Views are clients, and a login says what it brought."""
    device = DeviceToken(
        external_application_id="a",
        device=Device(device_id=None, device_system="OSX", device_name="n", device_type="t"),
        setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
    )
    session = CustomerSession(device, login_type="email", login_value="x@example.com", password="…")
    mine = portal.acting_as(session)
    assert_type(mine, CareCloud)
    state = await mine.login()
    assert_type(state, LoggedIn)
    assert_type(state.customer_id, str | None)
    assert_type(await mine.customers.me(), Customer)
    if state.customer_id is not None:
        portal.acting_as(CustomerSession.resume(token_id=state.token_id, customer_id=state.customer_id))
    assert_type(portal.with_options(timeout=3, retry=RetryPolicy(attempts=2)), CareCloud)


def settings() -> None:
    """Every setting of the client takes what the README gives it."""
    sandbox = Sandbox(customers=3)
    CareCloud(
        "acme.crmcarecloud.com",
        auth=sandbox.credentials(),
        transport=sandbox.transport(),
        rate_limit=RateLimit(requests_per_second=20),
        timeout=Timeout(total=10, limiter=5),
        on_call=print,
    )
    CareCloud("acme.crmcarecloud.com", auth=sandbox.device(), rate_limit=None, http_client=httpx.AsyncClient())
    assert_type(CareCloud.from_env(), CareCloud)
    CareCloud.from_env(timezone="Asia/Kolkata", timeout=5)
    CareCloud.from_env(time_zone="UTC")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CareCloud.from_env(project_url="acme.crmcarecloud.com", auth=sandbox.device(), read_only=True)
    CareCloud.from_env(max_connections="20")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CareCloud("acme.crmcarecloud.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CareCloud(
        "acme.crmcarecloud.com",
        auth=sandbox.credentials(),
        time_zone="UTC",  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    )
    CareCloud(
        "acme.crmcarecloud.com",
        auth=sandbox.credentials(),
        timeout="5",  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        retry=RetryPolicy(attempts=2),
    )


async def records_of_calls(client: CareCloud) -> None:
    """`record_calls` is a plain context manager that gives a list."""
    with client.record_calls() as calls:
        await client.ping()
    assert_type(calls, list[CallRecord])
    assert_type(calls[-1].headers.get("x-request-id"), str | None)
    assert_type(calls[-1].attempt_statuses, tuple[int | None, ...])
