# pyright: reportGeneralTypeIssues=false
"""The records of the API: read models, inputs, changes and known values, a module per family; each loads on first use.

A new class is one word in the table below.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from carecloud_async.models.base import *
    from carecloud_async.models.bookings import *
    from carecloud_async.models.cards import *
    from carecloud_async.models.customer import *
    from carecloud_async.models.customer_input import *
    from carecloud_async.models.customer_records import *
    from carecloud_async.models.customer_source import *
    from carecloud_async.models.enums import *
    from carecloud_async.models.events import *
    from carecloud_async.models.loyalty import *
    from carecloud_async.models.messages import *
    from carecloud_async.models.orders import *
    from carecloud_async.models.product_reservations import *
    from carecloud_async.models.products import *
    from carecloud_async.models.property_record import *
    from carecloud_async.models.purchases import *
    from carecloud_async.models.rewards import *
    from carecloud_async.models.segments import *
    from carecloud_async.models.shared import *
    from carecloud_async.models.stores import *
    from carecloud_async.models.tasks import *
    from carecloud_async.models.user import *
    from carecloud_async.models.vouchers import *
    from carecloud_async.models.wallet import *

#: The public names of each module.
_NAMES: Final = {
    "base": "UNSET Input LocalDatetime Model Unset",
    "bookings": """
        Booking BookingBusyTimes BookingChanges BookingInput BookingItem BookingItemInput BookingItemsDetail
        BookingStatus BookingTicket BookingTicketInput BookingUpdateInput ChartPointData TimePeriod TimeSlot
    """,
    "cards": """
        Card CardChanges CardFileType CardInput CardType CardTypeChanges CardTypeInput Entrance EntranceChanges
        EntranceCustomerStats EntranceInput EntranceState EntranceType EntrancesOverview IsicCardValidation PosSystem
    """,
    "customer": "Address Agreement Consent CustomAgreement Customer PersonalInformation",
    "customer_input": """
        AddressChanges AddressInput AgreementChanges AgreementInput ConsentChanges ConsentInput CustomAgreementChanges
        CustomAgreementInput CustomerChanges CustomerInput CustomerUpdateInput PersonalInformationChanges
        PersonalInformationInput
    """,
    "customer_records": """
        AdditionalAddress AdditionalAddressChanges AdditionalAddressInput CustomerAddressType CustomerEngagementSetup
        CustomerRelationType CustomerResult CustomerSearchResult CustomerSource CustomerType ExternalApplication
        Interest InterestRecord InterestRecordChanges InterestRecordInput PartnerRecord PartnerRecordInput Referral
        RelatedCustomer RelatedCustomerInput
    """,
    "customer_source": """
        CustomerSourceInput CustomerSourceRecord SocialNetworkCredentialsChanges SocialNetworkCredentialsInput
    """,
    "enums": """
        AgreementValue BlockableState ChannelNumber CodeType CustomerDataType CustomerState ErrorProcessing Gender
        LanguageListType LoginType RecordState RegistrationIdentifier SearchMode Visibility
    """,
    "events": """
        Campaign CampaignInput CampaignPresentationData CampaignPresentationDataInput CampaignProduct
        CampaignProductInput CampaignProductStoreRecord CampaignProductStoreRecordInput CustomerIdentifierType
        DiscountValueType DisplayPlace Event EventGroup EventInput EventType
    """,
    "loyalty": """
        Credit CreditHistoryRecord CreditType Point PointHistoryRecord PointReservation PointType PurchaseConditions
        QualificationType Status StatusRecord
    """,
    "messages": """
        AgreementDefinition Attachment AttachmentInfo AttachmentInput Audience CommunicationChannel Message
        MessageDetail MessageInput MessageParameter MessageParameterInput MessageStatus MessageTemplate
        MessageTemplateGroup UploadMethod
    """,
    "orders": """
        Order OrderInput OrderInvoicing OrderInvoicingInput OrderItem OrderItemInput OrderShipping OrderShippingInput
    """,
    "product_reservations": """
        ExternalCode ExternalCodeInput ProductReservation ProductReservationComment ProductReservationExternalListType
        ProductReservationInput ProductReservationItem ProductReservationItemInput ProductReservationPrice
        ProductReservationPriceIdInput ProductReservationPriceInput ProductReservationProgress ProductReservationSource
        ReservationState
    """,
    "wallet": """
        CreditWalletSummary CreditsOverview ExpirationOverview MoneyValue PointsOverview QualificationTurnover
    """,
    "products": """
        Product ProductBrand ProductBrandInput ProductGroup ProductGroupInput ProductIdentificationInput ProductInput
        Recommendation RecommendedProduct SearchFlag SearchResult ThirdPartyRecommendationInput
    """,
    "property_record": "PropertyRecord PropertyRecordChanges PropertyRecordInput",
    "purchases": """
        AcceptedPayment BillInput BillItemInput CashierMessage CheckoutPaymentType DiscountItem DiscountItemInput
        FinalBillInput PaymentRecapInput PaymentSummary PaymentVoucher PaymentVoucherInput Purchase PurchaseChanges
        PurchaseInput PurchaseItem PurchaseItemType PurchaseType RecommendedReward RecommendedRewardProperties
        RewardListType
    """,
    "rewards": """
        RelationTarget Reward RewardGroup RewardProduct RewardProductBrand RewardProductGroup RewardProductRelationBonus
        RewardProductRelationCondition RewardProductRelationType RewardProductRole RewardProductSyncInput RewardType
    """,
    "segments": """
        Segment SegmentGroup SegmentRecord StamperBonusCheckpoint StamperCampaign StamperCard StamperCondition
        StamperStamp
    """,
    "shared": """
        Country Currency Language PaymentType PluId PluIdInput Price PriceInput Property PropertyItem Tag TagInput Utm
        UtmInput
    """,
    "stores": """
        GpsCoordinates GpsCoordinatesChanges GpsCoordinatesInput OpeningDay OpeningDayChanges OpeningDayInput Partner
        Store StoreChanges StoreGroup StoreGroupRecord StoreInput TimeInterval TimeIntervalChanges TimeIntervalInput
    """,
    "tasks": """
        Task TaskAssignee TaskAssigneeInput TaskChanges TaskComment TaskCommentInput TaskInput TaskPriority TaskState
        TaskType
    """,
    "user": "AuthenticationToken User UserLogin UserRole",
    "vouchers": """
        SegmentIdInput SimpleRewardInput SimpleRewardState StoreIdInput TextTranslationInput UrlTranslationInput Voucher
        VoucherBatchInput VoucherChanges VoucherGiftCardBalance VoucherInput VoucherValidity
    """,
}

#: The module that each name lives in.
HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers read the star imports
    __all__ = sorted(HOMES, key=lambda name: (not name.isupper(), name))

    def __getattr__(name: str) -> Any:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
        except AttributeError as error:  # a `from … import` would replace its text
            raise ImportError(f"{name} cannot be loaded: {error}") from error
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *HOMES})
