"""Webhooks: a route that CareCloud's marketing automation calls, with the current record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from inspect import Parameter, Signature
from typing import Any, Generic, TypeVar

from attrs import field, frozen
from fastapi import Depends, HTTPException
from starlette.requests import ClientDisconnect, Request

from carecloud_async.client import CareCloud
from carecloud_async.errors import NotFoundError
from carecloud_async.fastapi.dependencies import DEFAULT_NAME, carecloud_dep
from carecloud_async.fastapi.disconnect import ClientDisconnectedError
from carecloud_async.webhooks.problem import DeliveryRefusedError, DeliveryRepeatedError, Problem
from carecloud_async.webhooks.receiver import WebhookReceiver, WebhookSettings

#: The statuses that only a webhook may have, with their meaning for the OpenAPI document.
WEBHOOK_STATUSES = {400: "The body is no JSON object", 413: "The body is too large"}


class WebhookRefusedError(HTTPException):
    """A delivery was refused before the handler: wrong secret, unusable body, or the same delivery is being handled.

    `install_error_handlers` answers it with the problem document; without it the answer is FastAPI's own.

    Attributes:
        problem: what is answered.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, detail=problem.detail, headers=problem.headers())
        self.problem = problem


class WebhookRepeatedError(HTTPException):
    """The delivery was handled before: 204, so that the sender stops, and the handler is not called."""

    def __init__(self) -> None:
        super().__init__(204)


T = TypeVar("T")


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
    receiver = WebhookReceiver(settings)

    async def deliver(
        request: Request,
        carecloud: CareCloud = Depends(carecloud_dep(name)),  # noqa: B008  (FastAPI's way)
    ) -> AsyncIterator[WebhookCall[T]]:
        query = request.scope["query_string"]
        try:
            async with receiver.delivery(headers=request.headers, query=query, body=_chunks(request)) as delivery:
                try:
                    record = await read(carecloud.fresh(), delivery.record_id)
                except NotFoundError:
                    record = None
                yield WebhookCall(body=delivery.body, record_id=delivery.record_id, record=record)
        except DeliveryRefusedError as error:
            raise WebhookRefusedError(error.problem) from None
        except DeliveryRepeatedError:
            raise WebhookRepeatedError from None

    return WebhookDependency(deliver)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                yield chunk
    except ClientDisconnect:
        raise ClientDisconnectedError from None
