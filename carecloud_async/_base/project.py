"""Where a CareCloud project lives: address, interface, version, time zone and language."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from attrs import field, frozen

from carecloud_async.errors import ConfigurationError
from carecloud_async.fixes import Fix

__all__ = ["Interface", "Project"]

VERSION = "v1.0"
_CREDENTIALS_ELSEWHERE = Fix("pass credentials in {auth} instead")
_HTTPS = Fix("use https://, or {allow_http} for a sandbox in a private network")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")


class Interface(StrEnum):
    """One of the two APIs of a project; every identity belongs to one of them."""

    ENTERPRISE = "enterprise"
    CUSTOMER = "customer"

    @property
    def segment(self) -> str:
        """The interface as a part of a URL's path."""
        return f"{self.value}-interface"


@frozen(kw_only=True)
class Project:
    """One CareCloud installation as seen from this client.

    Attributes:
        origin: scheme and authority, such as `https://sandbox.crmcarecloud.com`.
        timezone: the project's own zone; every timestamp of the API is local to it.
        language: the `Accept-Language` that is sent with every call.
    """

    origin: str
    timezone: ZoneInfo = field(repr=str)
    language: str

    @classmethod
    def parse(cls, project_url: str, *, timezone: str | ZoneInfo, language: str, allow_http: bool = False) -> Project:
        """Parse and check the user's settings.

        Raises:
            ConfigurationError: the address, the zone or the language cannot work; the message says why.
        """
        return cls(
            origin=_parse_origin(project_url, allow_http=allow_http),
            timezone=_parse_zone(timezone),
            language=check_language(language),
        )

    @property
    def host(self) -> str:
        """The authority without the scheme."""
        return self.origin.partition("://")[2]

    def base_path(self, interface: Interface) -> str:
        """Return the path that every operation of the interface starts with."""
        return f"/webservice/rest-api/{interface.segment}/{VERSION}"

    def localize(self, moment: datetime) -> datetime:
        """Give a timestamp of the API (naive, project-local) its time zone.

        Where clocks go back and an hour repeats, the earlier one is taken, as everywhere in this SDK.
        """
        return moment if moment.tzinfo else moment.replace(tzinfo=self.timezone)

    def to_local(self, moment: datetime) -> datetime:
        """Return a naive project-local timestamp, as the API wants it; naive ones are taken to be that already."""
        return moment.astimezone(self.timezone).replace(tzinfo=None) if moment.tzinfo else moment


def is_loopback(host: str) -> bool:
    """Return whether a host name or address cannot leave this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _parse_origin(project_url: str, *, allow_http: bool) -> str:
    text = project_url.strip() if isinstance(project_url, str) else ""
    if not text:
        raise ConfigurationError(
            'the project URL is empty: give the domain of the project, such as "acme.crmcarecloud.com"'
        )
    explicit = "://" in text
    try:
        parts = urlsplit(text if explicit else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("the project URL is not a valid address: check its host and port") from None
    if parts.scheme not in {"https", "http"}:
        raise ConfigurationError(
            f"the project URL starts with {parts.scheme}://: CareCloud is reached by https:// only"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the project URL holds a user name or password", fix=_CREDENTIALS_ELSEWHERE)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigurationError(
            "the project URL has a path or query: give the domain alone, the SDK adds /webservice/rest-api/… itself"
        )
    host = _check_host(host, explicit=explicit)
    if parts.scheme == "http" and not (allow_http is True or is_loopback(host)):  # the text "no" allows nothing
        raise ConfigurationError(
            f"http:// to {host} would send tokens in the clear, and is for loopback alone", fix=_HTTPS
        )
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _check_host(host: str, *, explicit: bool) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    labels = name.rstrip(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigurationError("the project URL holds no valid host name: check it for typos")
    if len(labels) == 1 and not explicit and not is_loopback(name):
        raise ConfigurationError(
            f'the project URL "{name}" is not a full domain: give one such as "{name}.crmcarecloud.com"'
        )
    return name


def _parse_zone(timezone: str | ZoneInfo) -> ZoneInfo:
    if isinstance(timezone, ZoneInfo):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, TypeError, OSError):
        raise ConfigurationError(
            f"timezone {timezone!r} is unknown: give an IANA name such as 'Europe/Prague' (a system without a zone "
            "database needs `pip install tzdata`)"
        ) from None


def check_language(language: str) -> str:
    """Return an `Accept-Language` value if it can be one.

    Raises:
        ConfigurationError: it is not valid in a header.
    """
    if not isinstance(language, str) or not _HEADER_VALUE.fullmatch(language):
        raise ConfigurationError('language must be an Accept-Language value in ASCII, such as "cs, en-gb;q=0.8"')
    return language
