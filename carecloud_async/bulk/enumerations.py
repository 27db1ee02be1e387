"""Words of rows for members of enumerations and for truth values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

__all__ = ["ENUMERATIONS", "member_of", "members_of", "truth_of"]

#: Input class and field → the enumeration that names its values: a row may say `ACTIVE` where the API says 1.
ENUMERATIONS: Final[Mapping[tuple[str, str], str]] = {
    ("AgreementInput", "agreement_gtc"): "AgreementValue",
    ("AgreementInput", "agreement_marketing_communication"): "AgreementValue",
    ("AgreementInput", "agreement_profiling"): "AgreementValue",
    ("AttachmentInput", "upload_method"): "UploadMethod",
    ("BookingTicketInput", "state"): "BlockableState",
    ("CampaignProductInput", "display_in"): "DisplayPlace",
    ("CampaignProductInput", "value_type_id"): "DiscountValueType",
    ("CardInput", "state"): "BlockableState",
    ("ConsentInput", "consent_value"): "AgreementValue",
    ("CustomAgreementInput", "agreement_value"): "AgreementValue",
    ("EntranceInput", "entrance_type_id"): "EntranceType",
    ("EntranceInput", "pos_id"): "PosSystem",
    ("EntranceInput", "state"): "EntranceState",
    ("EventInput", "customer_identifier_type"): "CustomerIdentifierType",
    ("FinalBillInput", "payment_type"): "CheckoutPaymentType",
    ("MessageInput", "communication_channel_id"): "ChannelNumber",
    ("PersonalInformationInput", "gender"): "Gender",
    ("ProductInput", "state"): "RecordState",
    ("RewardProductSyncInput", "reward_product_relation_type"): "RewardProductRole",
    ("SimpleRewardInput", "state"): "SimpleRewardState",
    ("SimpleRewardInput", "voucher_validity"): "VoucherValidity",
    ("TaskInput", "task_priority"): "TaskPriority",
}

#: Words for truth values; also Czech and Slovak ones, of the countries of the vendor.
_TRUE: Final = frozenset({"true", "1", "yes", "ano", "áno"})
_FALSE: Final = frozenset({"false", "0", "no", "ne", "nie"})


def truth_of(word: str) -> bool | None:
    """Return the truth value that a word stands for; `None` for another word."""
    word = word.strip().casefold()
    return word in _TRUE if word in _TRUE | _FALSE else None


def member_of(enumeration: str, word: str) -> Enum | None:
    """Return a member by its name, in any case and with blanks for underscores; `None` for no member.

    Where the members are `YES` and `NO`, any word for a truth value will do.
    """
    members, truth = members_of(enumeration), truth_of(word)
    if truth is not None and {"YES", "NO"} <= members.keys():
        return members["YES" if truth else "NO"]
    wanted = "_".join(word.split()).casefold()
    return next((member for name, member in members.items() if name.casefold() == wanted), None)


def members_of(enumeration: str) -> Mapping[str, Enum]:
    """Return the members of an enumeration by their names."""
    from carecloud_async import models  # loads the table of names

    kind: type[Enum] = getattr(models, enumeration)
    return kind.__members__
