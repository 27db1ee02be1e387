"""What a client finds out about its project: `ping` and `check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecloud_async._base.codec.answers import data
from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._base.runtime.validators import require_number
from carecloud_async._calls.call.operation import CallRequest
from carecloud_async.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from carecloud_async.resources.declare import declared

if TYPE_CHECKING:
    from carecloud_async.check.look import Checked
    from carecloud_async.check.report import ProjectCheck


class Checks:
    """The checks of a client, which is a `Checked`: the client inherits them, so they know nothing of its class."""

    async def ping(self: Checked) -> None:
        """Check that the project answers and takes this identity's token; one small request.

        A device token can be checked only while a customer is logged in on it; otherwise any answer counts.

        Raises:
            CareCloudError: it does not.
        """
        from carecloud_async._calls.auth.customer import DeviceToken  # most clients have none
        from carecloud_async.resources.customers import Customers  # a server may never ask for it

        caller, tokens, bearer = self._caller, self._caller.tokens, None
        if tokens is not None and isinstance(tokens.provider, DeviceToken):
            # With the token named: a 401 that is about the customer must not make a new device token.
            with caller.context.bounded(caller.options.timeout, title="ping()"):
                bearer = secret_text((await tokens.get()).value)
        operation = declared(Customers.list).operation
        try:
            await caller.fresh.call(CallRequest(operation, decode=data, params={"count": 1}, bearer=bearer))
        except (AuthenticationError, PermissionDeniedError, NotFoundError):
            if bearer is None:
                raise

    async def check(self: Checked, *, seconds: float = 120.0) -> ProjectCheck:
        """Check whether the project behaves as this SDK assumes.

        Reading only, at most sixty requests: settings, TLS and proxy, logins and tokens, time zone and clocks, rights,
        pages, order, sorts, filters, totals, times of change, unknown fields and values, rate limit, latency. What it
        finds is in the result and never raised, a refused login too. What no answer shows is `not known`.

        Args:
            seconds: the longest time; what was found until then is returned.

        Raises:
            ClientClosedError: the client was closed before.
            WrongEventLoopError: the client belongs to another event loop.
            ConfigurationError: `seconds` is not a number above 0.
        """
        from carecloud_async.check.look import Look  # most programs never ask for it
        from carecloud_async.check.run import run_check

        require_number("seconds", seconds)
        context, tokens = self._caller.context, self._caller.tokens
        context.check()
        if tokens is None:
            raise AssertionError("a client has an identity")
        return await run_check(Look(self, context=context, provider=tokens.provider, seconds=seconds))
