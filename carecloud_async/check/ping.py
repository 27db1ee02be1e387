"""`ping`: does the project answer, and does it take the token?"""

from __future__ import annotations

from carecloud_async._base import codec
from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._calls.auth.device import DeviceToken
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from carecloud_async.resources.customers import Customers
from carecloud_async.resources.declare import declared

__all__ = ["ping"]


async def ping(caller: Caller) -> None:
    """Make one small request; see `CareCloud.ping`.

    Args:
        caller: makes the calls of the client.

    Raises:
        CareCloudError: the project does not answer, or refuses the token.
    """
    manager, bearer = caller.manager, None
    if manager is not None and isinstance(manager.provider, DeviceToken):
        # With the token named: a 401 that is about the customer must not make a new device token.
        with caller.context.bounded(caller.options.timeout, title="ping()"):
            bearer = secret_text((await manager.get()).value)
    operation = declared(Customers.list).operation
    try:
        await caller.fresh.call(CallRequest(operation, decode=codec.data, params={"count": 1}, bearer=bearer))
    except (AuthenticationError, PermissionDeniedError, NotFoundError):
        if bearer is None:
            raise
