"""Fields and values in records that the models do not know; nothing of the records themselves is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from carecloud_async import models
from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, is_model
from carecloud_async.check.replies import Record, Reply
from carecloud_async.check.report import CheckFinding, good, problem, warning
from carecloud_async.models.base import Model

__all__ = ["FIELDS", "Schema", "known_values"]

#: The fields of each enum, by class name. Fields whose descriptions and examples disagree are left out.
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


@cache
def _fields_of(into: type) -> Mapping[str, tuple[frozenset[str] | None, type | None]]:
    """Return the known values of each field of a model, and the model of the objects within, by its name in the API."""
    known, types = known_values(), core_types(into)
    return {
        api: (known.get(f"{into.__name__}.{name}"), _model_within(types[api])) for name, api in api_names(into).items()
    }


def _model_within(core: Any) -> Any:
    if core is None or is_model(core):
        return core
    return _model_within(core_type(element_type(core)))


#: Keys that are shown: words, like the API's field names. An id or a person's name as a key is hidden.
_WORDS: Final = re.compile(r"[a-z]{1,20}(_[a-z0-9]{1,20}){0,7}")
_DIGITS: Final = re.compile(r"[0-9]{3}")
_MOST_SHOWN: Final = 20
#: The records of a page that are looked at.
_MOST_RECORDS: Final = 200


class Schema:
    """What the records of all pages had that the models do not know."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self.values: set[str] = set()
        self.damaged: set[str] = set()
        self.lists: int = 0

    def look(self, name: str, page: Reply, into: type[Model]) -> None:
        """Look at the records of a page.

        Args:
            name: the name of the list.
            into: the model of a record.
        """
        for record in page.records[:_MOST_RECORDS]:
            self._object(record, into, name)
        self.lists += bool(page.records)
        if page.is_damaged:
            self.damaged.add(name)

    def _object(self, value: Record, into: type, path: str) -> None:
        fields = _fields_of(into)
        for key, one in value.items():
            if key not in fields:
                self.fields.add(f"{path}.{_shown(key)}")
                continue
            allowed, inner = fields[key]
            if allowed is not None and any(item not in allowed for item in _scalars(one)):
                self.values.add(f"{path}.{key}")
            if inner is not None:
                self._inner(one, inner, f"{path}.{key}")

    def _inner(self, value: object, into: type, path: str) -> None:
        if isinstance(value, dict):
            self._object(value, into, path)
        elif isinstance(value, list):
            for one in value:
                self._inner(one, into, path)

    def findings(self) -> list[CheckFinding]:
        """Return the findings."""
        if not self.lists:
            return []
        found = []
        if self.damaged:
            found.append(
                problem(
                    "text",
                    f"the text of {_listed(self.damaged)} is not UTF-8",
                    "characters that cannot be read become U+FFFD, in reads and in exports",
                    "tell the project's administrator: the API sends UTF-8",
                )
            )
        if self.fields:
            found.append(
                warning(
                    "unknown_fields",
                    f"the models do not know {_listed(self.fields)}",
                    "reads leave these fields out; JSON Lines exports keep them, Parquet has them in unknown_fields; "
                    "update() sends them back unchanged, a plain replace would delete them",
                    "update carecloud-async, and report the fields' names; read them with client.request or .raw()",
                )
            )
        else:
            found.append(
                good("unknown_fields", f"the models know every field of {self.lists} lists", "nothing is lost")
            )
        if self.values:
            found.append(
                warning(
                    "unknown_values",
                    f"the enums do not know some values of {_listed(self.values)}",
                    "reads and exports give such a value as it is; code that compares with the enum must not fail",
                    "handle other values as unknown, update carecloud-async, and report the fields' names",
                )
            )
        else:
            found.append(
                good("unknown_values", f"the enums know every value of {self.lists} lists", "members can be compared")
            )
        return found


def _scalars(value: object) -> Iterable[str]:
    """Return the values of a field as text; null, an empty text and an object say nothing."""
    values = value if isinstance(value, list) else [value]
    return [
        str(one) for one in values if isinstance(one, str | int | float) and not isinstance(one, bool) and one != ""
    ]


def _shown(key: str) -> str:
    return key if _WORDS.fullmatch(key) and not _DIGITS.search(key) else "(a name that is not shown)"


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:_MOST_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
