"""Async Python client for the CareCloud CRM and loyalty APIs: every public name, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carecloud_async._version import __version__

if TYPE_CHECKING:
    from carecloud_async.auth.customer import (
        AuthenticationTokenSession,
        CustomerSession,
        ResumedSession,
        SocialNetworkSession,
    )
    from carecloud_async.auth.device import Device, DeviceSetup, DeviceToken
    from carecloud_async.auth.enterprise import EnterpriseCredentials, SsoCredentials
    from carecloud_async.auth.provider import AuthProvider, Send, digest
    from carecloud_async.auth.stores.base import StoredToken, TokenStore
    from carecloud_async.auth.stores.file import FileTokenStore
    from carecloud_async.auth.stores.memory import MemoryTokenStore
    from carecloud_async.auth.stores.redis import RedisTokenStore
    from carecloud_async.auth.token import LoggedIn, RenewalWindows, Token
    from carecloud_async.bulk.errors import BulkWriteError
    from carecloud_async.bulk.report import BulkWriteReport
    from carecloud_async.calls.events import CallRecord
    from carecloud_async.calls.rate_limit import RateLimit
    from carecloud_async.calls.redis_rate_limit import RedisRateLimit
    from carecloud_async.calls.response_cache import ResponseCache
    from carecloud_async.calls.retry import RetryPolicy
    from carecloud_async.client import CareCloud
    from carecloud_async.errors import (
        ApiError,
        AuthenticationError,
        BadRequestError,
        CareCloudError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        DeviceTokenConflictError,
        ExportError,
        InterfaceError,
        InvalidParam,
        MethodNotAllowedError,
        NotFoundError,
        OutcomeUnknownError,
        PermissionDeniedError,
        RateLimitError,
        RequestTimeoutError,
        ResponseError,
        ServerError,
        SessionExpiredError,
        TokenStoreError,
        TransportError,
        WrongEventLoopError,
    )
    from carecloud_async.export.formats.sinks import CsvOptions
    from carecloud_async.export.report import ExportReport
    from carecloud_async.http.timeout import Timeout
    from carecloud_async.listings.listing import Listing
    from carecloud_async.models import (
        UNSET,
        Address,
        AddressChanges,
        AddressInput,
        Agreement,
        AgreementChanges,
        AgreementInput,
        AgreementValue,
        AuthenticationToken,
        Consent,
        ConsentChanges,
        ConsentInput,
        CustomAgreement,
        CustomAgreementChanges,
        CustomAgreementInput,
        Customer,
        CustomerChanges,
        CustomerInput,
        CustomerSourceInput,
        CustomerSourceRecord,
        CustomerState,
        CustomerUpdateInput,
        Gender,
        Input,
        LoginType,
        Model,
        PersonalInformation,
        PersonalInformationChanges,
        PersonalInformationInput,
        PropertyRecord,
        PropertyRecordChanges,
        PropertyRecordInput,
        SocialNetworkCredentialsChanges,
        SocialNetworkCredentialsInput,
        Unset,
        User,
        UserLogin,
    )
    from carecloud_async.paging.iterators import Page
    from carecloud_async.project import Interface, Project

__all__ = [
    "UNSET",
    "Address",
    "AddressChanges",
    "AddressInput",
    "Agreement",
    "AgreementChanges",
    "AgreementInput",
    "AgreementValue",
    "ApiError",
    "AuthProvider",
    "AuthenticationError",
    "AuthenticationToken",
    "AuthenticationTokenSession",
    "BadRequestError",
    "BulkWriteError",
    "BulkWriteReport",
    "CallRecord",
    "CareCloud",
    "CareCloudError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "Consent",
    "ConsentChanges",
    "ConsentInput",
    "CsvOptions",
    "CustomAgreement",
    "CustomAgreementChanges",
    "CustomAgreementInput",
    "Customer",
    "CustomerChanges",
    "CustomerInput",
    "CustomerSession",
    "CustomerSourceInput",
    "CustomerSourceRecord",
    "CustomerState",
    "CustomerUpdateInput",
    "Device",
    "DeviceSetup",
    "DeviceToken",
    "DeviceTokenConflictError",
    "EnterpriseCredentials",
    "ExportError",
    "ExportReport",
    "FileTokenStore",
    "Gender",
    "Input",
    "Interface",
    "InterfaceError",
    "InvalidParam",
    "Listing",
    "LoggedIn",
    "LoginType",
    "MemoryTokenStore",
    "MethodNotAllowedError",
    "Model",
    "NotFoundError",
    "OutcomeUnknownError",
    "Page",
    "PermissionDeniedError",
    "PersonalInformation",
    "PersonalInformationChanges",
    "PersonalInformationInput",
    "Project",
    "PropertyRecord",
    "PropertyRecordChanges",
    "PropertyRecordInput",
    "RateLimit",
    "RateLimitError",
    "RedisRateLimit",
    "RedisTokenStore",
    "RenewalWindows",
    "RequestTimeoutError",
    "ResponseCache",
    "ResponseError",
    "ResumedSession",
    "RetryPolicy",
    "Send",
    "ServerError",
    "SessionExpiredError",
    "SocialNetworkCredentialsChanges",
    "SocialNetworkCredentialsInput",
    "SocialNetworkSession",
    "SsoCredentials",
    "StoredToken",
    "Timeout",
    "Token",
    "TokenStore",
    "TokenStoreError",
    "TransportError",
    "Unset",
    "User",
    "UserLogin",
    "WrongEventLoopError",
    "__version__",
    "digest",
]

#: Where each name lives. It loads on first use: `import carecloud_async` costs nothing, and tools that only look the
#: package up (pytest for its plugin, the command for its help) do not pay for a client.
_HOMES = {
    "auth.customer": ("AuthenticationTokenSession", "CustomerSession", "ResumedSession", "SocialNetworkSession"),
    "auth.device": ("Device", "DeviceSetup", "DeviceToken"),
    "auth.enterprise": ("EnterpriseCredentials", "SsoCredentials"),
    "auth.provider": ("AuthProvider", "Send", "digest"),
    "auth.stores.base": ("StoredToken", "TokenStore"),
    "auth.stores.file": ("FileTokenStore",),
    "auth.stores.memory": ("MemoryTokenStore",),
    "auth.stores.redis": ("RedisTokenStore",),
    "auth.token": ("LoggedIn", "RenewalWindows", "Token"),
    "client": ("CareCloud",),
    "errors": (
        "ApiError",
        "AuthenticationError",
        "BadRequestError",
        "CareCloudError",
        "ClientClosedError",
        "ConfigurationError",
        "ConflictError",
        "ConnectionFailedError",
        "DeviceTokenConflictError",
        "ExportError",
        "InterfaceError",
        "InvalidParam",
        "MethodNotAllowedError",
        "NotFoundError",
        "OutcomeUnknownError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTimeoutError",
        "ResponseError",
        "ServerError",
        "SessionExpiredError",
        "TokenStoreError",
        "TransportError",
        "WrongEventLoopError",
    ),
    "export.formats.sinks": ("CsvOptions",),
    "export.report": ("ExportReport",),
    "http.timeout": ("Timeout",),
    "models": (
        "UNSET",
        "Address",
        "AddressChanges",
        "AddressInput",
        "Agreement",
        "AgreementChanges",
        "AgreementInput",
        "AgreementValue",
        "AuthenticationToken",
        "Consent",
        "ConsentChanges",
        "ConsentInput",
        "CustomAgreement",
        "CustomAgreementChanges",
        "CustomAgreementInput",
        "Customer",
        "CustomerChanges",
        "CustomerInput",
        "CustomerSourceInput",
        "CustomerSourceRecord",
        "CustomerState",
        "CustomerUpdateInput",
        "Gender",
        "Input",
        "LoginType",
        "Model",
        "PersonalInformation",
        "PersonalInformationChanges",
        "PersonalInformationInput",
        "PropertyRecord",
        "PropertyRecordChanges",
        "PropertyRecordInput",
        "SocialNetworkCredentialsChanges",
        "SocialNetworkCredentialsInput",
        "Unset",
        "User",
        "UserLogin",
    ),
    "calls.response_cache": ("ResponseCache",),
    "bulk.errors": ("BulkWriteError",),
    "bulk.report": ("BulkWriteReport",),
    "calls.events": ("CallRecord",),
    "listings.listing": ("Listing",),
    "project": ("Interface", "Project"),
    "calls.rate_limit": ("RateLimit",),
    "calls.redis_rate_limit": ("RedisRateLimit",),
    "calls.retry": ("RetryPolicy",),
    "paging.iterators": ("Page",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
