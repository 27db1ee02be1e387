"""What a webhook is set to: its secret, where the secret stands, the fields of the body, and the bounds."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from carecloud_async._base.runtime.validators import whole_number
from carecloud_async._calls.auth.secret import Secret, masked, require_secret, secret_setting
from carecloud_async.errors import ConfigurationError
from carecloud_async.webhooks.repeats import MemoryRepeats, RepeatStore

__all__ = ["WebhookSettings"]

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
