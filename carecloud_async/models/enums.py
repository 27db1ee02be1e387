"""The values the API is known to use. Fields keep the API's own `int` or `str`, so that a new value never fails."""

from enum import IntEnum, StrEnum


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


class Visibility(IntEnum):
    """Whether customers see a store."""

    INVISIBLE = 0
    VISIBLE = 1


class ErrorProcessing(IntEnum):
    """What a batch does after an error: undo everything, or keep what is valid."""

    ROLL_BACK = 1
    KEEP_VALID = 2


class ChannelNumber(IntEnum):
    """Communication channels, where the API gives them as numbers."""

    EMAIL = 1
    SMS = 2
    PUSH = 4
    INTERNAL = 5
    VIBER = 9


class CodeType(IntEnum):
    """What an issued token or code is made of."""

    ALPHANUMERIC = 1
    NUMERIC = 2


class CustomerDataType(StrEnum):
    """What `client.customers.validate_customer_data` checks."""

    PASSWORD = "password"  # noqa: S105  (a name of data, not a password)
    REFERRAL_CODE = "referral_code"


class RegistrationIdentifier(StrEnum):
    """What `client.customers.check_registration_ability` looks for."""

    EMAIL = "email"
    PHONE = "phone"


class SearchMode(StrEnum):
    """How `client.customers.search_customers` compares."""

    STRICT = "strict"
    NONE = "none"


class LanguageListType(StrEnum):
    """The lists of languages of a project."""

    CARECLOUD_API = "carecloud-api"
    WEB_PORTAL = "web-portal"
    CUSTOMER_COMMUNICATION = "customer-communication"
