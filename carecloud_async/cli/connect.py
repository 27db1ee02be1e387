"""The project and the API user: the options that all commands share, and the client that they make."""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from carecloud_async._base.project import is_loopback
from carecloud_async._base.runtime.durable_files import state_folder
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async._calls.auth.file_store import FileTokenStore
from carecloud_async._calls.call.events import CallRecord
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async._calls.rate_limits.rate_limit import AdaptiveRateLimit, RateLimit
from carecloud_async.cli.console import ends_questions
from carecloud_async.cli.failures import MissingExtraError, UsageError, run
from carecloud_async.cli.parameters import flag, option
from carecloud_async.client import CareCloud
from carecloud_async.environment import Environment, variable_of
from carecloud_async.errors import ConnectionFailedError
from carecloud_async.fixes import Fix

if TYPE_CHECKING:
    from carecloud_async.sandbox import Sandbox

T = TypeVar("T")

#: The size of the connection pool.
MAX_CONNECTIONS = 20

#: A user waits: a wrong address must show within seconds. An export, once it runs, retries for longer.
_INTERACTIVE_RETRY = RetryPolicy(attempts=3, max_wait=3)
_INTERACTIVE_TIMEOUT = Timeout(connect=5, read=30, total=60)

#: The option that gives a setting.
_OPTIONS = {
    "project_url": "--project-url",
    "external_application_id": "--external-application-id",
    "login": "--login",
}


_option, _flag = partial(option, rich_help_panel="Connection"), partial(flag, rich_help_panel="Connection")

#: When a command logs in, for which it needs the password. The kept token is the one that `carecloud login` obtained.
#: `first`: at once.
#: `if_ended`: when the kept token has ended. If a password is set, the kept token must have been obtained with it.
#: `never`: it only ends the kept token, whatever password is set.
LogsIn: TypeAlias = Literal["first", "if_ended", "never"]


@frozen(kw_only=True)
class Connection:
    """The project and the API user, as given on the command line; the rest comes from the environment.

    Attributes:
        sandbox: number of records in the embedded sandbox; `None` asks a real project.
        profile: the profile of `config.toml`; `None` takes that of `CARECLOUD_PROFILE`, if any.
        project_url, login, external_application_id: the project and the API user.
        timezone, language: the project's.
        allow_http: whether an `http://` address may lead off this machine.
        read_only: whether calls that may change something are refused.
    """

    sandbox: int | None = _option(
        "N", "Use a made-up CareCloud with N records in every list in place of a project; needs no settings."
    )
    profile: str | None = _option("NAME", "Take the settings from this profile of config.toml (CARECLOUD_PROFILE).")
    project_url: str | None = _option(
        "DOMAIN", "The project's domain, such as acme.crmcarecloud.com (CARECLOUD_PROJECT_URL)."
    )
    login: str | None = _option(
        "NAME",
        "Login of the API user (CARECLOUD_LOGIN). The password comes from CARECLOUD_PASSWORD, from the "
        "file that CARECLOUD_PASSWORD_FILE names, or from a prompt on a terminal.",
    )
    external_application_id: str | None = _option("ID", "Id of your application, from the CareCloud administrator.")
    timezone: str | None = _option("ZONE", "Time zone of the project, by default Europe/Prague (CARECLOUD_TIMEZONE).")
    language: str | None = _option("TAGS", "Languages of the answers, as in Accept-Language (CARECLOUD_LANGUAGE).")
    allow_http: bool = _flag("Allow an http:// address, for a sandbox in a private network.", "--allow-http")
    read_only: bool = _flag("Refuse every call that may change something (CARECLOUD_READ_ONLY=true).", "--read-only")

    def __attrs_post_init__(self) -> None:
        if self.sandbox is not None and self.sandbox < 0:
            raise UsageError(f"--sandbox takes a number of records from 0 up, not {self.sandbox}")

    @asynccontextmanager
    async def open(
        self,
        *,
        rate: float | None = None,
        connections: int = MAX_CONNECTIONS,
        token_store: FileTokenStore | None = None,
        logs_in: LogsIn = "if_ended",
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> AsyncIterator[CareCloud]:
        """Make the client, and close it at the end.

        Args:
            rate: requests per second at most; `None` finds the server's own limit.
            connections: largest number of open connections.
            token_store: where the token is kept; `None` takes the store of `carecloud login`, if there is one.
            logs_in: when the client logs in; see `LogsIn`.
            on_call: called with the record of each call.

        Raises:
            UsageError: a setting that only the user can know is missing, or the rate is not above 0.
            ConfigurationError: a setting cannot work.
        """
        if rate is not None and not rate > 0:
            raise UsageError(f"--rate must be greater than 0, not {rate:g}")
        limit: RateLimit | AdaptiveRateLimit
        limit = RateLimit.adaptive() if rate is None else RateLimit(requests_per_second=rate)
        if self.sandbox is None:
            environment, store = Environment.read(self.profile), token_store or kept_token_store()
            project_url, auth = self._project(environment, has_store=store is not None, logs_in=logs_in)
            own: dict[str, Any] = {"auth": auth, "token_store": store, "allow_http": self.allow_http}
        else:
            environment, project_url, sandbox = Environment({}), "sandbox.example", embedded_sandbox(self.sandbox)
            own = {"auth": sandbox.credentials(), "transport": sandbox.transport()}
        client = CareCloud(
            project_url,
            **own,
            **self._language_and_zone(environment),
            rate_limit=limit,
            max_connections=connections,
            retry=_INTERACTIVE_RETRY,
            timeout=_INTERACTIVE_TIMEOUT,
            on_call=on_call,
            read_only=self.read_only or environment.flag("read_only"),
        )
        with _suggesting_http(project_url):
            async with client:
                yield client

    def run(
        self,
        work: Callable[[CareCloud], Awaitable[T]],
        *,
        interrupted: Callable[[], str] | None = None,
        **options: Any,
    ) -> T:
        """Run the work of a command.

        Args:
            work: takes the open client.
            interrupted: what has become of it, said when Ctrl-C or SIGTERM ends it.
            **options: those of `open`.
        """

        async def with_client() -> T:
            async with self.open(**options) as client:
                return await work(client)

        return anyio.run(with_client) if interrupted is None else run(with_client, interrupted)

    def _project(
        self, environment: Environment, *, has_store: bool, logs_in: LogsIn
    ) -> tuple[str, EnterpriseCredentials]:
        """Return the project and the API user's credentials; raise if one of them is missing.

        Args:
            environment: the settings that no option gives.
            has_store: whether there is a store of tokens, which may hold one of this user.
            logs_in: when the client logs in.
        """
        settings = {name: (getattr(self, name) or environment.text(name) or "").strip() for name in _OPTIONS}
        missing = [f"{variable_of(name)} (or {_OPTIONS[name]})" for name, value in settings.items() if not value]
        password = None if logs_in == "never" else environment.secret("password")
        if password is None and (logs_in == "first" or not has_store):
            password = None if missing else _ask_now()
            if password is None:
                missing.append("CARECLOUD_PASSWORD")
        if missing:
            raise UsageError(f"set {', '.join(missing)}; or try a made-up CareCloud with --sandbox 1000")
        project_url = settings.pop("project_url")
        if password is None:
            return project_url, _KeptLogin(password=_ask_later, **settings)
        return project_url, EnterpriseCredentials(password=password, **settings)

    def _language_and_zone(self, environment: Environment) -> dict[str, Any]:
        given = {name: getattr(self, name) or environment.text(name) for name in ("timezone", "language")}
        return {name: value for name, value in given.items() if value}


@contextmanager
def _suggesting_http(address: str) -> Iterator[None]:
    """Suggest `http://` if no connection is possible to an address of this machine that was given without a scheme.

    It is probably a sandbox, which does not speak https, the default.
    """
    try:
        yield
    except ConnectionFailedError as error:
        if "://" not in address and is_loopback(urlsplit(f"//{address}").hostname or ""):
            error.fix = Fix(f"if this is a sandbox, write {{project_url}} as http://{address}")
        raise


async def require_token(client: CareCloud) -> None:
    """Log in unless `carecloud login` keeps a token, so that wrong credentials show before a file is made.

    Raises:
        CareCloudError: the credentials were refused, or the server cannot be asked.
    """
    caller = client._caller
    if caller.tokens is not None:
        with caller.context.bounded(caller.options.timeout, title="login()"):
            await caller.tokens.get()


def token_store() -> FileTokenStore:
    """Return the store in which `carecloud login` keeps the token."""
    return FileTokenStore(_tokens_path())


def kept_token_store() -> FileTokenStore | None:
    """Return the store of `carecloud login`; `None` if it holds no token."""
    return token_store() if kept_token_files() else None


def kept_token_files() -> set[Path]:
    """Return the files of the tokens that `carecloud login` kept, of all users and projects."""
    return set(_tokens_path().with_suffix(".d").glob("*.json"))


def _tokens_path() -> Path:
    """Return the path of the store. It is beside the folder of bulk writes, which must hold only files."""
    return state_folder().with_name("carecloud-async-login")


def embedded_sandbox(size: int) -> Sandbox:
    """Make a sandbox with this number of records in every list, customers included.

    Raises:
        MissingExtraError: what it needs is not installed.
    """
    return _sandbox_class()(customers=size, records=size)


def recorded_sandbox(path: Path) -> Sandbox:
    """Make a sandbox that starts from a recording.

    Raises:
        MissingExtraError: what it needs is not installed.
        UsageError: the file is no recording.
        OSError: it cannot be read.
    """
    try:
        return _sandbox_class().from_recording(path)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _sandbox_class() -> type[Sandbox]:
    try:
        from carecloud_async.sandbox import Sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "uvicorn"}:
            raise
        raise MissingExtraError("the sandbox needs the extra sandbox: pip install 'carecloud-async[sandbox]'") from None
    return Sandbox


@frozen(kw_only=True)
class _KeptLogin(EnterpriseCredentials):
    """An API user whose kept token is used without knowing the password: only the user can read the token's folder."""

    @property
    def secret(self) -> None:
        """See `AuthProvider.secret`."""
        return


def _ask_now() -> str | None:
    """Return the password from the keyboard, if there is one; `ps` would show it as an option."""
    return _ask() or None if _is_terminal() else None


def _ask_later() -> str:
    """Return the password from the keyboard, when the kept token has ended.

    Raises:
        UsageError: there is no terminal.
    """
    if not _is_terminal():
        raise UsageError(
            "carecloud login keeps no valid token of this user and project: set CARECLOUD_PASSWORD, or log in again"
        )
    return _ask()


def _ask() -> str:
    with ends_questions():
        return getpass.getpass("Password: ")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
