"""The project and the API user: the options that all commands share, and the client that they make."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from attrs import frozen

from carecloud_async.auth.enterprise import EnterpriseCredentials
from carecloud_async.calls.retry import RetryPolicy
from carecloud_async.cli.failures import MissingExtraError, UsageError
from carecloud_async.cli.parameters import option_of
from carecloud_async.client import CareCloud
from carecloud_async.errors import ConnectionFailedError
from carecloud_async.fixes import Fix
from carecloud_async.http.timeout import Timeout
from carecloud_async.project import is_loopback
from carecloud_async.rate_limits.rate_limit import AdaptiveRateLimit, RateLimit

if TYPE_CHECKING:
    from carecloud_async.sandbox import Sandbox

__all__ = ["MAX_CONNECTIONS", "Connection", "embedded_sandbox"]

#: The size of the connection pool.
MAX_CONNECTIONS = 20

#: A user waits: a wrong address must show within seconds. An export, once it runs, retries for longer.
_INTERACTIVE_RETRY = RetryPolicy(attempts=3, max_wait=3)
_INTERACTIVE_TIMEOUT = Timeout(connect=5, read=30, total=60)

#: What a missing setting is called in the environment, and as an option.
_SETTINGS = {
    "project_url": ("CARECLOUD_PROJECT_URL", "--project-url"),
    "external_application_id": ("CARECLOUD_EXTERNAL_APPLICATION_ID", "--external-application-id"),
    "login": ("CARECLOUD_LOGIN", "--login"),
}


_option = partial(option_of, "Connection")


@frozen(kw_only=True)
class Connection:
    """The project and the API user, as given on the command line and in the environment.

    Attributes:
        sandbox: number of records in the embedded sandbox; `None` asks a real project.
        project_url, login, external_application_id: the project and the API user; empty where not given.
        timezone, language: the project's.
        allow_http: whether an `http://` address may lead off this machine.
    """

    sandbox: Annotated[
        int | None,
        _option(
            "--sandbox",
            "N",
            "Use a made-up CareCloud with N records in every list in place of a project; needs no settings.",
        ),
    ] = None
    project_url: Annotated[
        str,
        _option(
            "--project-url",
            "DOMAIN",
            "The project's domain, such as acme.crmcarecloud.com.",
            envvar="CARECLOUD_PROJECT_URL",
        ),
    ] = ""
    login: Annotated[
        str,
        _option(
            "--login",
            "NAME",
            "Login of the API user. The password comes from CARECLOUD_PASSWORD, or from a prompt on a terminal.",
            envvar="CARECLOUD_LOGIN",
        ),
    ] = ""
    external_application_id: Annotated[
        str,
        _option(
            "--external-application-id",
            "ID",
            "Id of your application, from the CareCloud administrator.",
            envvar="CARECLOUD_EXTERNAL_APPLICATION_ID",
        ),
    ] = ""
    timezone: Annotated[
        str, _option("--timezone", "ZONE", "Time zone of the project.", envvar="CARECLOUD_TIMEZONE")
    ] = "Europe/Prague"
    language: Annotated[
        str,
        _option("--language", "TAGS", "Languages of the answers, as in Accept-Language.", envvar="CARECLOUD_LANGUAGE"),
    ] = "cs, en-gb;q=0.8"
    allow_http: Annotated[
        bool, _option("--allow-http", "", "Allow an http:// address, for a sandbox in a private network.")
    ] = False

    def __attrs_post_init__(self) -> None:
        if self.sandbox is not None and self.sandbox < 0:
            raise UsageError(f"--sandbox takes a number of records from 0 up, not {self.sandbox}")

    @asynccontextmanager
    async def open(self, *, rate: float | None = None, connections: int = MAX_CONNECTIONS) -> AsyncIterator[CareCloud]:
        """Make the client, and close it at the end.

        Args:
            rate: requests per second at most; `None` finds the server's own limit.
            connections: largest number of open connections.

        Raises:
            UsageError: a setting that only the user can know is missing, or the rate is not above 0.
            ConfigurationError: a setting cannot work.
        """
        try:
            async with self._client(rate=rate, connections=connections) as client:
                yield client
        except ConnectionFailedError as error:
            if self.sandbox is None and self._lacks_http():
                error.fix = Fix(f"if this is a sandbox, write {{project_url}} as http://{self.project_url.strip()}")
            raise

    def _lacks_http(self) -> bool:
        """Return whether the address is on this machine, where sandboxes are, and https:// was assumed."""
        address = self.project_url.strip()
        return "://" not in address and is_loopback(urlsplit(f"//{address}").hostname or "")

    def _client(self, *, rate: float | None, connections: int) -> CareCloud:
        if rate is not None and not rate > 0:
            raise UsageError(f"--rate must be greater than 0, not {rate:g}")
        limit: RateLimit | AdaptiveRateLimit
        limit = RateLimit.adaptive() if rate is None else RateLimit(requests_per_second=rate)
        if self.sandbox is not None:
            sandbox = embedded_sandbox(self.sandbox)
            return CareCloud(
                "sandbox.example",
                auth=sandbox.credentials(),
                timezone=self.timezone,
                language=self.language,
                rate_limit=limit,
                transport=sandbox.transport(),
            )
        return CareCloud(
            self.project_url.strip(),
            auth=self._credentials(),
            timezone=self.timezone,
            language=self.language,
            rate_limit=limit,
            max_connections=connections,
            retry=_INTERACTIVE_RETRY,
            timeout=_INTERACTIVE_TIMEOUT,
            allow_http=self.allow_http,
        )

    def _credentials(self) -> EnterpriseCredentials:
        """Return the API user's credentials; raise if one of them or the project is missing."""
        missing = [
            f"{variable} (or {option})"
            for name, (variable, option) in _SETTINGS.items()
            if not getattr(self, name).strip()
        ]
        password = _password(ask=not missing)
        if password is None:
            missing.append("CARECLOUD_PASSWORD")
        if missing or password is None:
            raise UsageError(f"set {', '.join(missing)}; or try a made-up CareCloud with --sandbox 1000")
        return EnterpriseCredentials(
            external_application_id=self.external_application_id.strip(), login=self.login.strip(), password=password
        )


def embedded_sandbox(size: int) -> Sandbox:
    """Make a sandbox with this number of records in every list, customers included.

    Raises:
        MissingExtraError: what it needs is not installed.
    """
    try:
        from carecloud_async.sandbox import Sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "uvicorn"}:
            raise
        raise MissingExtraError("the sandbox needs the extra sandbox: pip install 'carecloud-async[sandbox]'") from None
    return Sandbox(customers=size, records=size, users=max(size, 1))


def _password(*, ask: bool) -> str | None:
    """Return the password from the environment or the keyboard; never from an option, which `ps` would show."""
    given = os.environ.get("CARECLOUD_PASSWORD", "")
    if given or not ask or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return given or None
    return getpass.getpass("Password: ") or None
