"""Async Python client for the CareCloud CRM and loyalty APIs: every public name, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from carecloud_async._version import __version__ as __version__

if TYPE_CHECKING:  # a module's `__all__` has the names that are public here
    from carecloud_async._base.codec.pages import Page as Page
    from carecloud_async._base.project import *
    from carecloud_async._calls.auth.customer import *
    from carecloud_async._calls.auth.enterprise import *
    from carecloud_async._calls.auth.file_store import *
    from carecloud_async._calls.auth.provider import *
    from carecloud_async._calls.auth.redis_store import *
    from carecloud_async._calls.auth.stores import *
    from carecloud_async._calls.auth.token import *
    from carecloud_async._calls.call.cache import *
    from carecloud_async._calls.call.events import *
    from carecloud_async._calls.call.retry import *
    from carecloud_async._calls.http.timeout import *
    from carecloud_async._calls.rate_limits.rate_limit import *
    from carecloud_async._calls.rate_limits.shared_pace import *
    from carecloud_async._lists.changes.values import Change as Change
    from carecloud_async._lists.changes.values import ChangesReport as ChangesReport
    from carecloud_async._lists.export.formats.sinks import CsvOptions as CsvOptions
    from carecloud_async._lists.export.report import ExportReport as ExportReport
    from carecloud_async._lists.listings.arrow_stream import ArrowStream as ArrowStream
    from carecloud_async._lists.listings.compare_report import CompareReport as CompareReport
    from carecloud_async._lists.listings.listing import Listing as Listing
    from carecloud_async._lists.paging.prefetch import Prefetch as Prefetch
    from carecloud_async.bulk.errors import BulkWriteError as BulkWriteError
    from carecloud_async.bulk.report import BulkWriteReport as BulkWriteReport
    from carecloud_async.check.report import *
    from carecloud_async.client import *
    from carecloud_async.errors import *
    from carecloud_async.http_auth import *
    from carecloud_async.models.base import UNSET as UNSET
    from carecloud_async.models.base import Input as Input
    from carecloud_async.models.base import Model as Model
    from carecloud_async.models.base import Unset as Unset
    from carecloud_async.models.customer import *
    from carecloud_async.models.customer_input import *
    from carecloud_async.models.customer_source import *
    from carecloud_async.models.enums import AgreementValue as AgreementValue
    from carecloud_async.models.enums import CustomerState as CustomerState
    from carecloud_async.models.enums import Gender as Gender
    from carecloud_async.models.enums import LoginType as LoginType
    from carecloud_async.models.property_record import *
    from carecloud_async.models.user import AuthenticationToken as AuthenticationToken
    from carecloud_async.models.user import User as User
    from carecloud_async.models.user import UserLogin as UserLogin

#: The names that users import, by the module that each lives in. It loads on first use: `import carecloud_async` costs
#: nothing, and tools that only look the package up (pytest for its plugin, the command for its help) need no client.
_NAMES: Final = {
    "_calls.auth.customer": "AuthenticationTokenSession CustomerSession Device DeviceSetup DeviceToken ResumedSession "
    "SocialNetworkSession",
    "_calls.auth.enterprise": "EnterpriseCredentials SsoCredentials",
    "_calls.auth.provider": "AuthProvider Send digest",
    "_calls.auth.stores": "MemoryTokenStore StoredToken TokenStore",
    "_calls.auth.file_store": "FileTokenStore",
    "_calls.auth.redis_store": "RedisTokenStore",
    "_calls.auth.token": "LoggedIn Token",
    "bulk.errors": "BulkWriteError",
    "bulk.report": "BulkWriteReport",
    "_calls.call.events": "CallRecord",
    "_calls.call.cache": "ResponseCache",
    "_calls.call.retry": "RetryPolicy",
    "_lists.changes.values": "Change ChangesReport",
    "check.report": "CheckFinding CheckStatus ProjectCheck",
    "client": "CareCloud",
    "errors": """
        ApiError AuthenticationError BadRequestError CareCloudError ClientClosedError ConfigurationError
        ConflictError ConnectionFailedError DeviceTokenConflictError ExportError InterfaceError InvalidParam
        MethodNotAllowedError NotFoundError OutcomeUnknownError PermissionDeniedError RateLimitError
        ReadOnlyError RequestTimeoutError ResponseError ServerError SessionExpiredError TokenStoreError TransportError
        WrongEventLoopError
    """,
    "http_auth": "CareCloudAuth",
    "_lists.export.formats.sinks": "CsvOptions",
    "_lists.export.report": "ExportReport",
    "_calls.http.timeout": "Timeout",
    "_lists.listings.arrow_stream": "ArrowStream",
    "_lists.listings.compare_report": "CompareReport",
    "_lists.listings.listing": "Listing",
    "models.base": "Input Model UNSET Unset",
    "models.customer": "Address Agreement Consent CustomAgreement Customer PersonalInformation",
    "models.customer_input": """
        AddressChanges AddressInput AgreementChanges AgreementInput ConsentChanges ConsentInput
        CustomAgreementChanges CustomAgreementInput CustomerChanges CustomerInput CustomerUpdateInput
        PersonalInformationChanges PersonalInformationInput
    """,
    "models.customer_source": """
        CustomerSourceInput CustomerSourceRecord SocialNetworkCredentialsChanges SocialNetworkCredentialsInput
    """,
    "models.enums": "AgreementValue CustomerState Gender LoginType",
    "models.property_record": "PropertyRecord PropertyRecordChanges PropertyRecordInput",
    "models.user": "AuthenticationToken User UserLogin",
    "_base.codec.pages": "Page",
    "_lists.paging.prefetch": "Prefetch",
    "_base.project": "Interface Project",
    "_calls.rate_limits.rate_limit": "RateLimit",
    "_calls.rate_limits.shared_pace": "RedisRateLimit",
}

_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers read the imports
    __all__ = sorted(["__version__", *_HOMES], key=lambda name: (not name.isupper(), not name[0].isupper(), name))

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            _refuse_models_name(name)
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        except AttributeError as error:  # a `from … import` would replace its text too
            raise ImportError(f"{name} cannot be loaded: {error}") from error
        globals()[name] = value
        return value

    def _refuse_models_name(name: str) -> None:
        """Say where a model is. It is no `AttributeError`: a `from … import` would replace the text of that."""
        if name[:1].isupper() and name in import_module(f"{__name__}.models").HOMES:
            raise ImportError(f"{name} is in carecloud_async.models: write `from carecloud_async.models import {name}`")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
