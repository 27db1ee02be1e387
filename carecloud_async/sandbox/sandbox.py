"""The sandbox's public class: its settings, the ways to reach it, changes of its state, identities for the client."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any, Literal, overload
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import httpx

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    USER_APPLICATION_ID,
    USER_LOGIN,
    USER_PASSWORD,
)
from carecloud_async.sandbox.server import serving
from carecloud_async.sandbox.server.faults import Faults
from carecloud_async.sandbox.server.pipeline import Pipeline
from carecloud_async.sandbox.server.recording import RequestLog
from carecloud_async.sandbox.server.serving import Connections, SandboxApp, in_process
from carecloud_async.sandbox.state.customers import CustomerStore
from carecloud_async.sandbox.state.facts import CUSTOMERS, api_plans
from carecloud_async.sandbox.state.recorded import Recording, read_recording
from carecloud_async.sandbox.state.sandbox_state import SandboxClock, SandboxState
from carecloud_async.sandbox.state.table import Table
from carecloud_async.sandbox.state.tables import Tables

# Imported when they are called for: a sandbox that serves other clients does not load this one.
if TYPE_CHECKING:
    import httpx2

    from carecloud_async._calls.auth.customer import CustomerSession, DeviceToken
    from carecloud_async._calls.auth.enterprise import EnterpriseCredentials


class Sandbox(SandboxState, RequestLog):
    """A made-up CareCloud: in process through `transport()`, or on a socket through `running()`.

    ```python
    sandbox = Sandbox(customers=10_000, seed=1)
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="https://sandbox.example/") as http: ...
    ```
    The ids, logins and passwords that it knows are the constants of `carecloud_async.sandbox`.

    Args:
        customers: number of customers; 100,000 take no time and half a megabyte.
        seed: makes other customers and records; the first customer is always the quickstart's John Smith.
        records: number of records in every other list; in lists of a parent's records, for each parent.
        timezone: time zone of the project, in which all timestamps are written without offset.
        token_lifetime: seconds that the token of an enterprise login is valid.
        max_count: the server's own cap on `count`.
        latency: seconds that every answer takes.
        untidy: whether some records are as untidy as real ones: zero dates, nulls, unknown fields and values.
        clock: returns the server's time, in seconds since 1970.
        sleep: waits for a number of seconds.
        random: source of tokens; the default never repeats itself.
        recording: records in place of made-up ones; `from_recording` reads them.

    Attributes:
        app: the ASGI app.
        token_lifetime: as the argument; this and the next two may be changed at any time.
        max_count: as the argument.
        latency: as the argument.
        customers: the customers, to read and to change; see `CustomerStore`.
        faults: the faults; see `Faults.add`.
        clock: the server's clock; `clock.set` sets it.
        user_tokens: tokens of enterprise logins.
        device_tokens: device tokens, and the customers logged in on them.
        connections: sockets of clients, counted.
    """

    def __init__(
        self,
        customers: int = 10_000,
        seed: int = 1,
        *,
        records: int = 250,
        timezone: str = "Europe/Prague",
        token_lifetime: float = 7 * 3600,
        max_count: int | None = None,
        latency: float = 0.0,
        untidy: bool = True,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Random | None = None,
        recording: Recording | None = None,
    ) -> None:
        zoned = SandboxClock(clock, ZoneInfo(timezone))
        recorded = recording.records if recording else {}
        first = recorded.get(CUSTOMERS, ())
        people = CustomerStore(customers, seed=seed, timestamp=zoned.local_now, untidy=untidy, recorded=first)
        SandboxState.__init__(
            self,
            clock=zoned,
            random=random or SystemRandom(),
            customers=people,
            tables=Tables(
                seed=seed,
                records=records,
                customers=people,
                timestamp=zoned.local_now,
                untidy=untidy,
                recorded=recorded,
            ),
        )
        self.refused: Mapping[str, int] = recording.refused if recording else {}
        self.token_lifetime: float = token_lifetime
        self.max_count: int | None = max_count
        self.latency: float = latency
        RequestLog.__init__(self)
        self.faults: Faults = Faults()
        self.app: SandboxApp = SandboxApp(Pipeline(state=self, log=self, faults=self.faults, sleep=sleep))
        self.connections: Connections = self.app.connections

    @classmethod
    def from_recording(cls, path: str | os.PathLike[str], **settings: Any) -> Sandbox:
        """Make a sandbox that starts from a recording of a project: its records, zone, cap of pages and refusals.

        Lists that were not recorded are empty.

        Args:
            path: the file that `carecloud record` wrote.
            **settings: the other arguments of `Sandbox`, such as `clock`; they come before what was recorded.

        Raises:
            ValueError: the file is no recording.
            OSError: it cannot be read.
        """
        recording = read_recording(path)
        recorded = {"timezone": recording.timezone, "max_count": recording.max_count, "customers": 0, "records": 0}
        return cls(**{**recorded, **settings}, recording=recording)

    def __repr__(self) -> str:
        return f"<Sandbox of {len(self.customers)} customers>"

    # Ways in

    @overload
    def transport(self, *, family: Literal["httpx"] = "httpx") -> httpx.AsyncBaseTransport: ...

    @overload
    def transport(self, *, family: Literal["httpx2"]) -> httpx2.AsyncBaseTransport: ...

    def transport(self, *, family: Literal["httpx", "httpx2"] = "httpx") -> Any:
        """A transport that calls the sandbox in process, on asyncio and on trio.

        Args:
            family: library of the transport: `httpx` or `httpx2`.
        """
        return in_process(self.app, family=family)

    def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve on a real socket from another thread: `with sandbox.running() as url:`.

        Args:
            host: address to listen on.
            port: port to listen on; 0 chooses a free one.
        """
        return serving.serving_in_thread(self.app, host=host, port=port)

    @asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """The same for async code, on asyncio and on trio: `async with sandbox.serving() as url:`."""
        running = self.running(host=host, port=port)
        url = running.__enter__()  # in place, some milliseconds: in a thread, `Task.cancel()` would leave it alone
        try:
            yield url
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(running.__exit__, None, None, None)

    def serve(
        self, host: str = "127.0.0.1", port: int = 8000, *, on_ready: Callable[[str], object] = lambda _: None
    ) -> None:
        """Serve in the foreground until Ctrl-C, then return; for the main thread.

        Args:
            host: address to listen on.
            port: port to listen on; 0 chooses a free one.
            on_ready: called with the base URL once clients may connect.

        Raises:
            OSError: the address is not available.
        """
        with serving.listening(host, port) as listener, suppress(KeyboardInterrupt):
            on_ready(serving.url_of(listener))
            serving.server_for(self.app, host=host, port=port).run([listener])

    # Identities for `CareCloud(auth=…)`

    def credentials(self) -> EnterpriseCredentials:
        """The API user's credentials, for `CareCloud(auth=…)`."""
        from carecloud_async._calls.auth.enterprise import EnterpriseCredentials

        return EnterpriseCredentials(
            external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD
        )

    def device(self, device_id: str | None = None) -> DeviceToken:
        """A device of the sandbox's application.

        Args:
            device_id: as the application calls it; `None` makes a random one.
        """
        from carecloud_async._calls.auth.customer import Device, DeviceSetup, DeviceToken

        return DeviceToken(
            external_application_id=CUSTOMER_APPLICATION_ID,
            device=Device(device_id=device_id, device_system="OSX", device_name="Test device", device_type="iPhone"),
            setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
        )

    def customer_session(self, index: int = 0, device_id: str | None = None) -> CustomerSession:
        """A seeded customer on a device; logs in by e-mail, or by card if it has no e-mail.

        Args:
            index: position of the customer, oldest first.
            device_id: as the application calls the device; `None` makes a random one.
        """
        from carecloud_async._calls.auth.customer import CustomerSession

        customer_id = self.customers.id_at(index)
        account = self.customers.account(customer_id)
        email = (self.customers.get(customer_id).get("personal_information") or {}).get("email")
        return CustomerSession(
            self.device(device_id),
            login_type="email" if email else "card",
            login_value=email or account.card or "",
            password=account.password or "",
        )

    # Changing the state

    def records(self, resource: str, *, of: str | None = None) -> Table:
        """Return the records of a list, to read and to change.

        ```python
        cards = sandbox.records("cards")
        cards.update(cards.ids()[0], {"state": 0})
        addresses = sandbox.records("customers/addresses", of=FIRST_CUSTOMER_ID)
        ```

        Args:
            resource: path of the list without the parent's id.
            of: id of the parent, for lists of a parent's records.

        Raises:
            KeyError: the API has no such list, or it needs a parent, or it has no parents.
        """
        return self.tables.table(api_plans().named(resource), of)

    def revoke(self, token: str) -> bool:
        """End a token of a user or a device now, and return whether it was valid."""
        return self.user_tokens.revoke(token) or self.device_tokens.revoke(token)

    def revoke_all(self) -> None:
        """End all tokens now."""
        self.user_tokens.revoke_all()
        self.device_tokens.revoke_all()

    def advance(self, seconds: float) -> None:
        """Move the server's clock by a number of seconds."""
        self.clock.advance(seconds)

    def set_password(self, password: str, *, login: str = "fabulous_user") -> None:
        """Give an enterprise user another password; tokens stay valid.

        Args:
            password: the new one.
            login: the user's login name.
        """
        self.passwords[login] = password
