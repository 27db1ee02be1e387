"""Which enumeration names the numbers of a field, so that a row may say `ACTIVE` where the API says 1."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

__all__ = ["ENUMERATIONS", "member_of"]

#: Input class and field → enumeration.
ENUMERATIONS: Final[Mapping[tuple[str, str], str]] = {
    ("BookingTicketInput", "state"): "BlockableState",
    ("CampaignProductInput", "value_type_id"): "DiscountValueType",
    ("CardInput", "state"): "BlockableState",
    ("ConsentInput", "consent_value"): "AgreementValue",
    ("CustomAgreementInput", "agreement_value"): "AgreementValue",
    ("EntranceInput", "entrance_type_id"): "EntranceType",
    ("EntranceInput", "pos_id"): "PosSystem",
    ("EntranceInput", "state"): "EntranceState",
    ("MessageInput", "communication_channel_id"): "ChannelNumber",
    ("PersonalInformationInput", "gender"): "Gender",
    ("ProductInput", "state"): "RecordState",
    ("RewardProductSyncInput", "reward_product_relation_type"): "RewardProductRole",
    ("SimpleRewardInput", "state"): "SimpleRewardState",
    ("TaskInput", "task_priority"): "TaskPriority",
}


def member_of(enumeration: str, word: str) -> int | None:
    """Return the value of a member by its name, in any case and with blanks for underscores; `None` for no member."""
    from carecloud_async import models  # loads the table of names

    kind: type[IntEnum] = getattr(models, enumeration)
    wanted = "_".join(word.split()).casefold()
    return next((int(one) for one in kind if one.name.casefold() == wanted), None)
