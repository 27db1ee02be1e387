"""An application for several workers with one store; the test starts it and counts what it does."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from carecloud_async import (
    CareCloud,
    CustomerSession,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    RedisTokenStore,
)
from carecloud_async.fastapi import CareCloudDep, carecloud_lifespan, install_error_handlers
from carecloud_async.sandbox import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_PASSWORD,
    USER_APPLICATION_ID,
    USER_LOGIN,
    USER_PASSWORD,
)

USER = EnterpriseCredentials(external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD)


def kiosk(email):
    """A customer on a device with a fixed id: the same one in every worker."""
    device = DeviceToken(
        external_application_id=CUSTOMER_APPLICATION_ID,
        device=Device(device_id=f"kiosk-of-{email}", device_system="web", device_name="Kiosk", device_type="kiosk"),
        setup=DeviceSetup(language_id="en", allowed_gps=False, allowed_notifications=False),
    )
    return CustomerSession(device, login_type="email", login_value=email, password=CUSTOMER_PASSWORD)


def note(journal, number):
    with journal.open("a") as file:
        file.write(f"{number}\n")


@asynccontextmanager
async def connected():
    """The client, and the store that is the application's to close."""
    store = RedisTokenStore(os.environ["REDIS_URL"], timeout=60)  # the test keeps all cores busy
    try:
        async with CareCloud(os.environ["CARECLOUD_PROJECT_URL"], auth=USER, token_store=store) as client:
            yield client
    finally:
        await store.aclose()


def create_app():
    """Make the application."""
    app = FastAPI(lifespan=carecloud_lifespan(connected))
    install_error_handlers(app)
    journal = Path(os.environ["JOURNAL"])

    @app.get("/customers/{customer_id}")
    async def show(customer_id: str, carecloud: CareCloudDep, number: int = 0) -> tuple[int, str | None]:
        note(journal, number)
        return os.getpid(), (await carecloud.customers.get(customer_id)).customer_id

    @app.get("/me")
    async def me(email: str, carecloud: CareCloudDep) -> tuple[int, str | None]:
        return os.getpid(), (await carecloud.acting_as(kiosk(email)).customers.me()).customer_id

    return app
