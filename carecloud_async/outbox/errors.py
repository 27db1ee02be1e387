"""Errors of outboxes."""

from __future__ import annotations

from carecloud_async.errors import CareCloudError, ConfigurationError

__all__ = ["KeyInUseError", "NotForOutboxError", "OutboxError", "OutboxInUseError"]


class OutboxError(CareCloudError):
    """An outbox cannot be used: it is in use, damaged or of another project, or the disk is full. Nothing is lost."""


class OutboxInUseError(OutboxError):
    """Another process has the file of the outbox open."""


class NotForOutboxError(OutboxError, ConfigurationError):
    """An operation that no outbox can send exactly once, or arguments that no server would take; nothing was stored."""


class KeyInUseError(NotForOutboxError):
    """Another call with this key, and with other content, is in the outbox or was sent today; nothing was stored."""
