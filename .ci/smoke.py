"""Run the quickstart against the sandbox with what is installed: the check of a wheel and of a source distribution."""

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

import carecloud_async
from carecloud_async import CareCloud, CustomerSession
from carecloud_async.sandbox import CUSTOMER_PASSWORD, FIRST_CUSTOMER_EMAIL, Sandbox


def expect(holds: bool, what: str) -> None:
    """Stop unless something holds."""
    if not holds:
        raise SystemExit(f"failed: {what}")


async def main() -> None:
    """Read as an enterprise user, as a device and as a customer, and export."""
    sandbox = Sandbox(customers=200)
    address, transport = "sandbox.crmcarecloud.com", sandbox.transport()
    async with CareCloud(address, auth=sandbox.credentials(), transport=transport) as client:
        found = [customer.customer_id async for customer in client.customers.list(count=50)]
        expect(len(found) == 200, "200 customers are listed")
        report = await client.customers.list().export("smoke.jsonl", overwrite=True)
        expect(report.records == 200, "200 customers are exported")
    device = sandbox.device()
    async with CareCloud(address, auth=device, transport=sandbox.transport()) as client:
        expect(bool((await client.login()).token_id), "a device has a token")
    session = CustomerSession(
        sandbox.device(), login_type="email", login_value=FIRST_CUSTOMER_EMAIL, password=CUSTOMER_PASSWORD
    )
    async with CareCloud(address, auth=session, transport=sandbox.transport()) as client:
        expect((await client.customers.me()).customer_id in found, "a customer reads their own record")
    expect("site-packages" in Path(carecloud_async.__file__).parts, "what runs is what was installed")
    print(f"carecloud-async {version('carecloud-async')} works on Python {sys.version.split()[0]}")  # noqa: T201  (its result)


asyncio.run(main())
