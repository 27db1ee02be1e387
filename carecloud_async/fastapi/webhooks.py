"""Webhooks: a route that CareCloud's marketing automation calls, with the current record."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import Parameter, Signature
from typing import Any, Generic, TypeVar

import anyio
from attrs import field, frozen
from fastapi import Depends
from starlette.requests import Request

from carecloud_async.client import CareCloud
from carecloud_async.errors import NotFoundError
from carecloud_async.fastapi.dependencies import carecloud_dep
from carecloud_async.fastapi.lifespan import DEFAULT_NAME
from carecloud_async.fastapi.webhook_problems import NO_STORE, UNDER_WAY, WebhookRefusedError, WebhookRepeatedError
from carecloud_async.fastapi.webhook_repeats import Claim, RepeatStore
from carecloud_async.fastapi.webhook_request import check_secret, read_body, record_id, text_field
from carecloud_async.fastapi.webhook_settings import WebhookSettings

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.fastapi")

#: Bound on a store's last word, which a cancelled request still waits for.
_SECONDS_TO_CLOSE = 5


@frozen(kw_only=True)
class WebhookCall(Generic[T]):
    """A delivery, as the handler gets it.

    Attributes:
        body: the JSON object that was sent. It says what happened, and may be old: senders repeat and overtake.
        record_id: the id of the record.
        record: the current record; `None` if CareCloud has no such record (any more).
    """

    body: Mapping[str, Any] = field(repr=False)
    record_id: str = field(repr=False)
    record: T | None = field(repr=False)


class WebhookDependency(Generic[T]):
    """Hands a delivery to the handler; see `webhook_dep`.

    Args:
        deliver: the dependency that checks a delivery, and remembers it once the handler has returned.
    """

    def __init__(self, deliver: Callable[..., AsyncIterator[WebhookCall[T]]]) -> None:
        # It ends before the answer is sent (`scope`): whether the delivery is remembered depends on the handler.
        checked = Depends(deliver, scope="function")
        self.__signature__: Signature = Signature(
            [Parameter("call", Parameter.KEYWORD_ONLY, default=checked, annotation=Any)]
        )

    async def __call__(self, *, call: WebhookCall[T]) -> WebhookCall[T]:
        """Return the delivery."""
        return call


def webhook_dep(
    settings: WebhookSettings, *, read: Callable[[CareCloud, str], Awaitable[T]], name: str = DEFAULT_NAME
) -> WebhookDependency[T]:
    """Return the dependency of a route that CareCloud's marketing automation calls with a JSON object.

    ```python
    async def read_customer(carecloud: CareCloud, customer_id: str) -> Customer:
        return await carecloud.customers.get(customer_id)

    Changed = Annotated[WebhookCall[Customer], Depends(webhook_dep(settings, read=read_customer))]

    @app.post("/webhooks/customer", status_code=204)
    async def changed(call: Changed) -> None: ...
    ```
    The secret is checked before the body is read. A delivery whose id was handled before is answered with 204 and does
    not reach the handler; one that is being handled, with 503 and `Retry-After`. When reading the record or the handler
    raises, the delivery is forgotten, so that the sender's next attempt counts.

    Args:
        settings: secret, fields and bounds.
        read: reads the record with a view of the client whose reads go past the cache, and the record's id.
            `NotFoundError` makes `WebhookCall.record` `None`.
        name: the client's name in `carecloud_lifespan`.
    """

    async def deliver(
        request: Request,
        carecloud: CareCloud = Depends(carecloud_dep(name)),  # noqa: B008  (FastAPI's way)
    ) -> AsyncIterator[WebhookCall[T]]:
        await check_secret(request, settings)
        body = await read_body(request, max_bytes=settings.max_bytes)
        key = record_id(body, settings.record_field)
        async with _handled_once(settings, body):
            try:
                record = await read(carecloud.fresh(), key)
            except NotFoundError:
                record = None
            yield WebhookCall(body=body, record_id=key, record=record)

    return WebhookDependency(deliver)


@asynccontextmanager
async def _handled_once(settings: WebhookSettings, body: Mapping[str, Any]) -> AsyncIterator[None]:
    if settings.id_field is None:
        yield
        return
    store = settings.repeats
    # A digest has one length, and shows a shared store nothing of the body.
    key = hashlib.sha256(text_field(body, settings.id_field).encode(errors="surrogatepass")).hexdigest()
    match await _claim(store, key):
        case "done":
            raise WebhookRepeatedError
        case "under_way":
            raise WebhookRefusedError(UNDER_WAY)
    try:
        yield
    except BaseException:
        await _close(store.release, key)
        raise
    await _close(store.finish, key)


async def _claim(store: RepeatStore, key: str) -> Claim:
    try:
        return await store.claim(key)
    except Exception as error:  # noqa: BLE001  (a user's store raises errors of its own library)
        _log.error("the repeat store of a webhook failed: %s", type(error).__name__)
        raise WebhookRefusedError(NO_STORE) from None


async def _close(close: Callable[[str], Awaitable[None]], key: str) -> None:
    # The handler's result stands: a store that fails now must neither replace its error nor have it called again.
    try:
        with anyio.move_on_after(_SECONDS_TO_CLOSE, shield=True) as scope:
            await close(key)
        if scope.cancelled_caught:
            _log.error("the repeat store of a webhook did not answer in %d s", _SECONDS_TO_CLOSE)
    except Exception as error:  # noqa: BLE001  (as above)
        _log.error("the repeat store of a webhook failed: %s", type(error).__name__)
