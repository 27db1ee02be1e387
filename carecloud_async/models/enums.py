"""The values the API is known to use. Fields keep the API's own `int` or `str`, so that a new value never fails."""

from enum import IntEnum, StrEnum

__all__ = ["AgreementValue", "CustomerState", "Gender", "LoginType"]


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
