"""The values that fields are known to take: the enums that the models name in words, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from carecloud_async import models

__all__ = ["FIELDS", "known_values"]

#: The fields of each enum, by the names of their classes; without those of which descriptions and examples disagree.
FIELDS: Final[Mapping[str, str]] = {
    "AgreementValue": """
        Agreement.agreement_gtc Agreement.agreement_marketing_communication Agreement.agreement_profiling
        Consent.consent_value CustomAgreement.agreement_value
    """,
    "BlockableState": """
        BookingStatus.state BookingTicket.state CampaignProduct.state Card.state StamperCard.state TimeSlot.state
    """,
    "ChannelNumber": "Message.communication_channel_id MessageTemplate.communication_channel_id",
    "CustomerState": "Customer.state",
    "DiscountValueType": "CampaignProduct.value_type_id",
    "EntranceState": "Entrance.state",
    "EntranceType": "Entrance.entrance_type_id",
    "Gender": "PersonalInformation.gender",
    "MessageStatus": "Message.status",
    "MessageTemplateGroup": "MessageTemplate.message_template_group_id",
    "PosSystem": "Entrance.pos_id",
    "RecordState": """
        Audience.state Booking.state BookingItem.state Campaign.state Country.state Credit.state
        CustomerEngagementSetup.state CustomerRelationType.state CustomerSource.state Event.state EventGroup.state
        EventType.state ExternalApplication.state Language.state Partner.state Point.state PointReservation.state
        Product.state ProductGroup.state ProductReservation.state ProductReservationPrice.state
        ProductReservationSource.state Property.state PropertyItem.state Recommendation.state RelatedCustomer.state
        Reward.state StamperCampaign.state StamperStamp.state StatusRecord.state Store.state Tag.state Task.state
        TaskComment.state TaskState.state TaskType.state Voucher.state
    """,
    "RelationTarget": "RewardProductRelationBonus.related_to RewardProductRelationCondition.related_to",
    "ReservationState": "ProductReservation.actual_state",
    "RewardGroup": "Reward.reward_group",
    "TaskPriority": "Task.task_priority",
    "UploadMethod": "Attachment.upload_method",
    "Visibility": "Store.visibility_for_customer",
}


@cache
def known_values() -> Mapping[str, frozenset[str]]:
    """Return the known values as text, by class and field such as `Customer.state`."""
    return {
        name: frozenset(str(member.value) for member in getattr(models, enum))
        for enum, names in FIELDS.items()
        for name in names.split()
    }
