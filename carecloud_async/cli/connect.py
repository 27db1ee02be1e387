"""Where CareCloud is and who asks: the options that every command shares, and the client they make."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import frozen

from carecloud_async.auth.enterprise import EnterpriseCredentials
from carecloud_async.calls.rate_limit import AdaptiveRateLimit, RateLimit
from carecloud_async.calls.retry import RetryPolicy
from carecloud_async.cli.failures import MissingExtraError, UsageError
from carecloud_async.client import CareCloud

if TYPE_CHECKING:
    from carecloud_async.sandbox import Sandbox

_PANEL = "Connection"

ProjectUrl = Annotated[
    str,
    typer.Option(
        envvar="CARECLOUD_PROJECT_URL",
        metavar="DOMAIN",
        help="The project's domain, such as acme.crmcarecloud.com.",
        rich_help_panel=_PANEL,
    ),
]
Login = Annotated[
    str,
    typer.Option(
        envvar="CARECLOUD_LOGIN",
        metavar="NAME",
        help="Login of the API user. The password comes from CARECLOUD_PASSWORD, or is asked for on a terminal.",
        rich_help_panel=_PANEL,
    ),
]
ApplicationId = Annotated[
    str,
    typer.Option(
        "--external-application-id",
        envvar="CARECLOUD_EXTERNAL_APPLICATION_ID",
        metavar="ID",
        help="Id of your application, from the CareCloud administrator.",
        rich_help_panel=_PANEL,
    ),
]
Timezone = Annotated[
    str,
    typer.Option(envvar="CARECLOUD_TIMEZONE", metavar="ZONE", help="Time zone of the project.", rich_help_panel=_PANEL),
]
Language = Annotated[
    str,
    typer.Option(envvar="CARECLOUD_LANGUAGE", metavar="TAGS", help="Language of the answers.", rich_help_panel=_PANEL),
]
AllowHttp = Annotated[
    bool,
    typer.Option(
        "--allow-http", help="Take an http:// address: a sandbox in a private network.", rich_help_panel=_PANEL
    ),
]
SandboxSize = Annotated[
    int | None,
    typer.Option(
        "--sandbox",
        min=0,
        metavar="N",
        help="Ask a made-up CareCloud with N customers inside this command; nothing else need be set.",
        rich_help_panel=_PANEL,
    ),
]

#: Someone is waiting at the keyboard: a wrong address shows within seconds. An export, once it runs, has more patience.
_IMPATIENT = RetryPolicy(attempts=4, max_wait=5)

DEFAULT_TIMEZONE = "Europe/Prague"
DEFAULT_LANGUAGE = "cs, en-gb;q=0.8"

#: What a missing setting is called in the environment, and as an option.
_SETTINGS = {
    "project_url": ("CARECLOUD_PROJECT_URL", "--project-url"),
    "application_id": ("CARECLOUD_EXTERNAL_APPLICATION_ID", "--external-application-id"),
    "login": ("CARECLOUD_LOGIN", "--login"),
}


@frozen(kw_only=True)
class Connection:
    """Where to and as whom, as given on the command line and in the environment.

    Attributes:
        project_url, login, application_id: the project and the API user; empty where not given.
        timezone, language: the project's.
        allow_http: whether an `http://` address may lead off this machine.
        sandbox: how many customers the embedded sandbox has; `None` asks a real project.
    """

    project_url: str = ""
    login: str = ""
    application_id: str = ""
    timezone: str = DEFAULT_TIMEZONE
    language: str = DEFAULT_LANGUAGE
    allow_http: bool = False
    sandbox: int | None = None

    @asynccontextmanager
    async def open(self, *, rate: float | None = None, connections: int = 20) -> AsyncIterator[CareCloud]:
        """Make the client, and close it at the end.

        Args:
            rate: requests per second at most; `None` finds the server's own limit.
            connections: how many connections may be open.

        Raises:
            UsageError: something that only the user can know is missing.
            ConfigurationError: a setting cannot work.
        """
        async with self._client(rate=rate, connections=connections) as client:
            yield client

    def _client(self, *, rate: float | None, connections: int) -> CareCloud:
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
        missing = [
            f"{variable} (or {option})"
            for name, (variable, option) in _SETTINGS.items()
            if not getattr(self, name).strip()
        ]
        password = _password(ask=not missing)
        if password is None:
            missing.append("CARECLOUD_PASSWORD")
        if missing:
            raise UsageError(f"set {', '.join(missing)}; or try a made-up CareCloud with --sandbox 1000")
        return CareCloud(
            self.project_url.strip(),
            auth=EnterpriseCredentials(
                external_application_id=self.application_id.strip(), login=self.login.strip(), password=password or ""
            ),
            timezone=self.timezone,
            language=self.language,
            rate_limit=limit,
            max_connections=connections,
            retry=_IMPATIENT,
            allow_http=self.allow_http,
        )


def embedded_sandbox(customers: int) -> Sandbox:
    """Make a sandbox.

    Raises:
        MissingExtraError: what it needs is not installed.
    """
    try:
        from carecloud_async.sandbox import Sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "uvicorn"}:
            raise
        raise MissingExtraError("the sandbox needs the extra sandbox: pip install 'carecloud-async[sandbox]'") from None
    return Sandbox(customers=customers)


def _password(*, ask: bool) -> str | None:
    """Return the password from the environment or the keyboard; never from an option, which `ps` would show."""
    given = os.environ.get("CARECLOUD_PASSWORD", "")
    if given or not ask or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return given or None
    return getpass.getpass("Password: ") or None
