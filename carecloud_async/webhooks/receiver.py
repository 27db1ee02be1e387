"""WebhookReceiver: checks a delivery by the settings of its webhook and lets it be handled once, in any framework."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock, SystemClock
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.validators import whole_number
from carecloud_async._calls.auth.secret import Secret, masked, require_secret, resolve_secret, secret_setting
from carecloud_async.errors import ConfigurationError
from carecloud_async.webhooks.problem import (
    NO_STORE,
    UNDER_WAY,
    WRONG_SECRET,
    DeliveryRefusedError,
    DeliveryRepeatedError,
)
from carecloud_async.webhooks.repeats import Claim, LeasedRepeatStore, MemoryRepeats, RepeatStore
from carecloud_async.webhooks.request import (
    Body,
    Headers,
    header_values,
    is_secret,
    query_values,
    read_object,
    record_id,
    text_field,
)

__all__ = ["Delivery", "WebhookReceiver", "WebhookSettings"]

DEFAULT_MAX_BYTES = 64 * 1024


def _name(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not all(value.split("."))):
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} must be a name, such as 'customer_id'")


@frozen(kw_only=True)
class WebhookSettings:
    """What a webhook is set to; the other half is set by an administrator of the project.

    Attributes:
        secret: the shared secret, or a callable (also an async one) that returns it. A callable is called for each
            request, so a new secret needs no restart.
        record_field: the field of the body with the id of the record; dots lead into objects (`data.customer_id`).
        id_field: the field with the id of the delivery, by which repeats are known; `None` if the body has no such
            field, and then each delivery reaches the handler.
        header: the name of the header that holds the secret. Its whole value is compared.
        query: the name of the query parameter that holds the secret, for senders that cannot set a header. Either this
            or `header` is given.
        max_bytes: a longer body is refused.
        repeats: remembers the deliveries that were handled. The default one remembers for this process only.

    Raises:
        ConfigurationError: a setting cannot work; the message names it.
    """

    secret: Secret = field(converter=secret_setting, validator=require_secret, repr=masked)
    record_field: str = field(validator=_name)
    id_field: str | None = field(validator=_name)
    header: str | None = field(default=None, validator=_name)
    query: str | None = field(default=None, validator=_name)
    max_bytes: int = field(default=DEFAULT_MAX_BYTES, validator=whole_number(least=1))
    repeats: RepeatStore = field(factory=MemoryRepeats)

    def __attrs_post_init__(self) -> None:
        if self.record_field is None:
            raise ConfigurationError("WebhookSettings: record_field must be a name, such as 'customer_id'")
        if (self.header is None) == (self.query is None):
            raise ConfigurationError(
                "WebhookSettings: the secret stands in one place: give either header= or query=, as the administrator "
                "sets it"
            )


_log = logging.getLogger("carecloud_async.webhooks")

#: How long a store may take to finish or release a claim (seconds); a cancelled request waits for it too.
_SECONDS_TO_CLOSE = 5
#: How often a claim is extended in the time that it lasts.
_EXTENSIONS = 3


@frozen(kw_only=True)
class Delivery:
    """A delivery that was accepted.

    Attributes:
        body: the JSON object that was sent. It says what happened, and may be old: senders repeat and overtake.
        record_id: the id of the record.
    """

    body: Mapping[str, Any] = field(repr=False)
    record_id: str = field(repr=False)


class WebhookReceiver:
    """Checks the deliveries of one webhook: secret, size, JSON, ids, repeats.

    Args:
        settings: secret, fields and bounds.
        clock: waits between two extensions of a claim, for tests.
    """

    def __init__(self, settings: WebhookSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def delivery(self, *, headers: Headers, body: Body, query: str | bytes = "") -> AsyncIterator[Delivery]:
        """Check a request, and hand its delivery to the block that handles it.

        The delivery is remembered when the block ends, and forgotten when it raises, so that the sender's next attempt
        counts. The secret is checked before chunks of the body are read.

        Args:
            headers: all headers of the request; a mapping, or pairs of names and values.
            body: the body, or an async iterator of its chunks, which is read up to the bound.
            query: the query string of the URL, if the secret is a parameter.

        Raises:
            DeliveryRefusedError: the request was refused; answer with its `problem`.
            DeliveryRepeatedError: the delivery was handled before; answer with a 2xx status.
        """
        settings = self._settings
        await self._check_secret(headers, query)
        content = await read_object(body, headers, max_bytes=settings.max_bytes)
        delivery = Delivery(body=content, record_id=record_id(content, settings.record_field))
        if settings.id_field is None:
            yield delivery
            return
        # A digest has one length, and shows a shared store nothing of the body.
        text = text_field(content, settings.id_field).encode(errors="surrogatepass")
        async with self._handled_once(hashlib.sha256(text).hexdigest()):
            yield delivery

    async def _check_secret(self, headers: Headers, query: str | bytes) -> None:
        settings = self._settings
        if settings.header is not None:
            given = header_values(headers, settings.header)
        else:
            given = query_values(query, settings.query or "")
        if not is_secret(given, await resolve_secret(settings.secret)):
            raise DeliveryRefusedError(WRONG_SECRET)

    @asynccontextmanager
    async def _handled_once(self, key: str) -> AsyncIterator[None]:
        store = self._settings.repeats
        match await _claim(store, key):
            case "done":
                raise DeliveryRepeatedError
            case "under_way":
                raise DeliveryRefusedError(UNDER_WAY)
        try:
            async with BackgroundTasks() as background:
                if isinstance(store, LeasedRepeatStore):
                    background.start(self._extend, store, key)
                yield
        except BaseException:
            await _close(store.release, key)
            raise
        await _close(store.finish, key)

    async def _extend(self, store: LeasedRepeatStore, key: str) -> None:
        while True:
            await self._clock.sleep(store.lease_seconds / _EXTENSIONS)
            try:
                await store.extend(key)
            except Exception as error:  # noqa: BLE001  (a user's store raises errors of its own library)
                _log_failure(error)


async def _claim(store: RepeatStore, key: str) -> Claim:
    try:
        return await store.claim(key)
    except Exception as error:  # noqa: BLE001  (as above)
        _log_failure(error)
        raise DeliveryRefusedError(NO_STORE) from None


async def _close(close: Callable[[str], Awaitable[None]], key: str, *, seconds: float = _SECONDS_TO_CLOSE) -> None:
    # The handler's result stands: a store that fails now must neither replace its error nor have it called again.
    try:
        with anyio.move_on_after(seconds, shield=True) as scope:
            await close(key)
        if scope.cancelled_caught:
            _log.error("the repeat store of a webhook did not answer in %d s", seconds)
    except Exception as error:  # noqa: BLE001  (as above)
        _log_failure(error)


def _log_failure(error: Exception) -> None:
    _log.error("the repeat store of a webhook failed: %s", type(error).__name__)
