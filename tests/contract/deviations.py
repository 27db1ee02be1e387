"""Where the SDK knowingly differs from the description, each with its reason; extend it rather than a test."""

from __future__ import annotations

from carecloud_async.sandbox.state.facts import SEVERAL

__all__ = ["BESIDES", "ELSEWHERE", "ENUMS", "INPUTS", "OMITTED", "SENT_BESIDES", "SEVERAL", "TYPES"]

#: Fields that a read model has and its schema lacks: servers send them all the same.
BESIDES = {"User": {"user_role_id"}}

#: Fields that an input has and its schema lacks: the vendor's own samples send them.
SENT_BESIDES = {"CustomerSourceRecord": {"external_ids"}}

#: Input classes that are not named after their schema.
INPUTS = {
    "CustomerSourceRecord": "CustomerSourceInput",
    "EventPost": "EventInput",
    "ProductBatch": "ProductInput",
    "ProductSynchronizationForReward": "RewardProductSyncInput",
    "SegmentID": "SegmentIdInput",
    "StoreID": "StoreIdInput",
    "UrlLanguageVariant": "UrlTranslationInput",
}

#: Schemas whose class is not among the models: a login's parts, from the top level.
ELSEWHERE = {"Device": "Device", "Setup": "DeviceSetup"}

#: Fields whose type is another one than the schema's, by class and field.
TYPES = {
    ("UserLogin", "valid_to"),  # the token's own reader wants the text
    ("AuthenticationToken", "valid_to"),  # as above
}

#: The enums that name the known values of a field, by schema (or operation) and field.
ENUMS = {
    ("Agreement", "agreement_gtc"): "AgreementValue",
    ("Agreement", "agreement_marketing_communication"): "AgreementValue",
    ("Agreement", "agreement_profiling"): "AgreementValue",
    ("Consents", "consent_value"): "AgreementValue",
    ("CustomAgreements", "agreement_value"): "AgreementValue",
    ("Customer", "state"): "CustomerState",
    ("PersonalInformation", "gender"): "Gender",
    ("postTokenLogin", "login_type"): "LoginType",
}

#: Arguments that a call cannot have for a reason of its own.
OMITTED = {"postCustomer": {"autologin"}}  # only on a view for another device
