"""What the tests of webhooks share: an application with one webhook, and a sender."""

from typing import Annotated

from fastapi import Depends, FastAPI

from carecloud_async import CareCloud, Customer
from carecloud_async.fastapi import (
    WebhookCall,
    WebhookSettings,
    carecloud_lifespan,
    install_error_handlers,
    webhook_dep,
)
from carecloud_async.sandbox import FIRST_CUSTOMER_ID

SECRET = "planted-secret-7f3a"
HEADERS = {"X-Secret": SECRET}
PATH = "/hooks/customer"
DELIVERY = {"event": "planted-event-1", "customer_id": FIRST_CUSTOMER_ID, "note": "planted-note Jan"}


async def read_customer(carecloud: CareCloud, customer_id: str) -> Customer:
    return await carecloud.customers.get(customer_id)


def settings(**changes):
    return WebhookSettings(
        **{"secret": SECRET, "header": "X-Secret", "id_field": "event", "record_field": "customer_id"} | changes
    )


def webhook_app(make, handle, *, read=read_customer, handlers=True, **changes):
    """An application whose webhook calls `handle` with each delivery."""
    app = FastAPI(lifespan=carecloud_lifespan(make))
    if handlers:
        install_error_handlers(app)
    call = Annotated[WebhookCall[Customer], Depends(webhook_dep(settings(**changes), read=read))]

    @app.post(PATH, status_code=204)
    async def changed(call: call) -> None:
        await handle(call)

    return app


class Handler:
    """Keeps the deliveries that reached it, and fails or waits when a test says so."""

    def __init__(self):
        self.calls = []
        self.error = None
        self.wait = None

    async def __call__(self, call):
        self.calls.append(call)
        if self.wait is not None:
            await self.wait()
        if self.error is not None:
            raise self.error
