"""The options of a read, checked; the clients and listings that they mean; whether workers will find this package."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from typing import Any

from attrs import field, frozen

from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async._calls.call.filters import Kind
from carecloud_async._calls.call.operation import PAGING, Operation
from carecloud_async._calls.rate_limits.rate_limit import RateLimit
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.client import CareCloud
from carecloud_async.config import from_environment
from carecloud_async.environment import Environment
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources.lookup.by_name import find_list, open_list

__all__ = ["ReadSettings", "connect", "problem_of_workers", "read_options"]

_FILTER = "filter."
_CLIENT = ("project_url", "external_application_id", "login", "timezone", "language")
_READING = ("resource", "partitions", "count", "concurrency", "changed_since", "allow_inexact")
_SECRETS = ("password", "token", "redis", "redis_url")


@frozen(kw_only=True)
class ReadSettings:
    """What is read, and how.

    Attributes:
        operation: the list operation.
        partitions: how many ranges to split it into at most.
        count: records per page.
        concurrency: pages in flight in each task.
        changed_since: the time that changes are wanted since; everything if `None`.
        allow_inexact: whether to accept a range that is not known to be exact.
    """

    operation: Operation
    filters: Mapping[str, Any] = field(repr=False)
    partitions: int
    count: int
    concurrency: int
    changed_since: str | None
    allow_inexact: bool

    @classmethod
    def read(cls, options: Mapping[str, str]) -> ReadSettings:
        """Read Spark's options.

        Raises:
            ConfigurationError: one is missing, unknown or of the wrong kind; the message says what to write.
        """
        _check_names(options)
        resource = options.get("resource")
        if not resource:
            raise ConfigurationError('name the list to read: .option("resource", "customers")')
        operation = find_list(resource)
        return cls(
            operation=operation,
            filters=_filters(operation, options),
            partitions=_number(options, "partitions", 8),
            count=_number(options, "count", 500),
            concurrency=_number(options, "concurrency", 4),
            changed_since=options.get("changed_since"),
            allow_inexact=options.get("allow_inexact", "false").lower() == "true",
        )

    def listing(self, client: CareCloud) -> Listing[Any]:
        """Return the list on a client."""
        paging = {"count": self.count} if self.operation.paged else {}
        return open_list(client, self.operation, **self.filters, **paging)

    def model(self) -> Any:
        """Return the model of a record; no setting of a client is needed for it, and nothing is sent."""
        placeholder = EnterpriseCredentials(external_application_id="none", login="none", password="none")  # noqa: S106  (none)
        return self.listing(CareCloud("localhost", auth=placeholder)).export_source().into


def read_options(options: Mapping[str, object]) -> dict[str, str]:
    """Check the options of a read, without Spark and without Java, and return them as texts.

        checked = read_options({"resource": "customers", "partitions": 8})
        spark.read.format("carecloud").options(**checked).load()

    Args:
        options: see `carecloud_async.spark`; numbers, booleans and times become texts, and `None` is left out.

    Raises:
        ConfigurationError: one is missing, unknown or of the wrong kind; the message says what to write.
    """
    texts = {name: _as_text(name, value) for name, value in options.items() if value is not None}
    ReadSettings.read(texts).model()  # which checks the values of filters
    if texts.get("requests_per_second"):
        RateLimit(requests_per_second=_rate(texts["requests_per_second"]))
    return texts


def _as_text(name: str, value: object) -> str:
    if not isinstance(value, str | int | float | date):
        kind = type(value).__name__
        raise ConfigurationError(f"{name} must be a text, not a {kind}: write several values as one, with commas")
    return str(value).lower() if isinstance(value, bool) else str(value)


@asynccontextmanager
async def connect(options: Mapping[str, str]) -> AsyncIterator[CareCloud]:
    """Open a client of options and the environment's variables; an option wins.

    Raises:
        ConfigurationError: a setting is missing or cannot work.
    """
    given = {name: options[name] for name in _CLIENT if options.get(name)}
    environment = Environment.read().with_settings(given)
    settings: dict[str, Any] = {}
    configured = _rate(options["requests_per_second"]) if options.get("requests_per_second") else None
    if configured is not None:
        settings["rate_limit"] = RateLimit(requests_per_second=configured)
    async with AsyncExitStack() as stack:
        url = environment.text("redis_url")
        if url is not None:
            from carecloud_async._calls.auth.redis_store import RedisTokenStore  # an extra
            from carecloud_async._calls.rate_limits.shared_pace import RedisRateLimit

            settings["rate_limit"] = RedisRateLimit(url, requests_per_second=configured)
            store = RedisTokenStore(url)
            stack.push_async_callback(store.aclose)
            settings["token_store"] = store
        place = "the environment of the driver and of the executors"
        client = CareCloud(**from_environment(settings, environment=environment, place=place))
        yield await stack.enter_async_context(client)


def _check_names(options: Mapping[str, str]) -> None:
    known = (*_CLIENT, "requests_per_second", *_READING)
    for name in map(str.lower, options):
        if name in _SECRETS:
            variable = "CARECLOUD_PASSWORD" if name == "password" else "CARECLOUD_REDIS_URL"
            raise ConfigurationError(
                f"{name} is not an option, because options appear in plans and event logs: set {variable} in the "
                "environment of the driver and of the executors"
            )
        if name == "path":
            raise ConfigurationError('load() takes no path here: name the list with .option("resource", "customers")')
        if name not in known and not name.startswith(_FILTER):
            raise ConfigurationError(f"there is no option {name}{did_you_mean(name, known)}")


def _filters(operation: Operation, options: Mapping[str, str]) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    for option, text in options.items():
        name = option.lower().removeprefix(_FILTER)
        if not option.lower().startswith(_FILTER):
            continue
        kind = operation.kinds.get(name)
        if kind is None or name in PAGING:
            names = [name for name in operation.parameters if name not in PAGING]
            raise ConfigurationError(f"there is no {option}{did_you_mean(name, names)}")
        filters[name] = _value(text, kind)
    return filters


def _value(text: str, kind: Kind) -> Any:
    if kind.several and not kind.single:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = str(options.get(name, default)).strip()
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{name} must be a whole number from 1 on, not {text}")
    return int(text)


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"requests_per_second must be a number, not {text}") from None


def problem_of_workers(variables: Mapping[str, str], executable: str) -> str | None:
    """Return why Spark's workers would probably not find this package; `None` if they would.

    Spark starts `python3` of the path, unless `PYSPARK_PYTHON` or `spark.pyspark.python` names another one. In an
    environment that is not activated that is the system's, which has none of the environment's packages.

    Args:
        variables: the environment's variables.
        executable: the Python of this process.
    """
    name = variables.get("PYSPARK_PYTHON") or "python3"
    program = shutil.which(name, path=variables.get("PATH", os.defpath))
    # Links are not followed: the Python of an environment is a link to the system's.
    if program is not None and os.path.dirname(os.path.abspath(program)) == os.path.dirname(
        os.path.abspath(executable)
    ):
        return None
    return (
        f"Spark will start its workers with {program or name}, which is not the Python of this program and may lack "
        f"carecloud-async: set PYSPARK_PYTHON={executable} before the session starts, or activate the environment"
    )
