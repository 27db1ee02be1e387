"""The records of the API: read models, inputs, changes and known values, a module per family; each loads on first use.

A new class is one word in the table below.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from carecloud_async.models.base import *
    from carecloud_async.models.bookings import *
    from carecloud_async.models.changes import *
    from carecloud_async.models.customer import *
    from carecloud_async.models.customer_changes import *
    from carecloud_async.models.customer_input import *
    from carecloud_async.models.customer_source import *
    from carecloud_async.models.enums import *
    from carecloud_async.models.product_reservation_prices import *
    from carecloud_async.models.property_record import *
    from carecloud_async.models.read_only import *
    from carecloud_async.models.recommendation_engine import *
    from carecloud_async.models.shared import *
    from carecloud_async.models.social_network import *
    from carecloud_async.models.token import *
    from carecloud_async.models.unset import *
    from carecloud_async.models.user import *
    from carecloud_async.models.wallet import *

#: The public names of each module.
_NAMES: Final = {
    "base": "Input LocalDatetime Model",
    "bookings": """
        Booking BookingBusyTimes BookingChanges BookingInput BookingItem BookingItemInput BookingItemsDetail
        BookingStatus BookingTicket BookingTicketInput BookingUpdateInput ChartPointData TimePeriod TimeSlot
    """,
    "changes": "merge_changes",
    "customer": "Address Agreement Consent CustomAgreement Customer PersonalInformation",
    "customer_changes": """
        AddressChanges AgreementChanges ConsentChanges CustomAgreementChanges CustomerChanges PersonalInformationChanges
    """,
    "customer_input": """
        AddressInput AgreementInput ConsentInput CustomAgreementInput CustomerInput CustomerUpdateInput
        PersonalInformationInput
    """,
    "customer_source": "CustomerSourceInput CustomerSourceRecord",
    "enums": "AgreementValue BlockableState CustomerState ErrorProcessing Gender LoginType RecordState",
    "product_reservation_prices": "ProductReservationPrice ProductReservationPriceIdInput ProductReservationPriceInput",
    "property_record": "PropertyRecord PropertyRecordChanges PropertyRecordInput",
    "read_only": "read_only_names read_only_paths",
    "recommendation_engine": "RecommendedProduct",
    "shared": "PluId PluIdInput Property PropertyItem Utm UtmInput",
    "social_network": "SocialNetworkCredentialsChanges SocialNetworkCredentialsInput",
    "token": "AuthenticationToken",
    "unset": "UNSET Unset",
    "user": "User UserLogin",
    "wallet": """
        CreditWalletSummary CreditsOverview ExpirationOverview MoneyValue PointsOverview QualificationTurnover
    """,
}

#: The module that each name lives in.
HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers read the star imports
    __all__ = sorted(HOMES, key=lambda name: (not name.isupper(), name))

    def __getattr__(name: str) -> Any:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *HOMES})
