"""The values the API is known to use. Fields keep the API's own `int` or `str`, so that a new value never fails."""

from enum import IntEnum, StrEnum

__all__ = ["AgreementValue", "BlockableState", "CustomerState", "ErrorProcessing", "Gender", "LoginType", "RecordState"]


class Gender(IntEnum):
    """Values of `personal_information.gender`."""

    MALE = 1
    FEMALE = 2
    MISS = 3
    PRIVATE = 4
    OTHER = 5


class CustomerState(IntEnum):
    """Values of `Customer.state`."""

    DELETED = 0
    ACTIVE = 1
    NOT_ACTIVE = 2


class AgreementValue(IntEnum):
    """Values of consents and agreements: refused or withdrawn, given, never asked."""

    NO = 0
    YES = 1
    NOT_SET = 2


class LoginType(StrEnum):
    """What a customer logs in with."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"


class RecordState(IntEnum):
    """Values of most fields named `state`."""

    DELETED = 0
    ACTIVE = 1
    INACTIVE = 2


class BlockableState(IntEnum):
    """Values of `state` of what can be blocked: cards, tickets, time slots."""

    BLOCKED = 0
    ACTIVE = 1


class ErrorProcessing(IntEnum):
    """What a batch does after an error: undo everything, or keep what is valid."""

    ROLL_BACK = 1
    KEEP_VALID = 2
