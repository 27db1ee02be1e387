"""The records of the API: read models, inputs, changes and known values, one module per family."""

from carecloud_async.models.base import Input, LocalDatetime, Model
from carecloud_async.models.changes import merge_changes
from carecloud_async.models.customer import (
    Address,
    Agreement,
    Consent,
    CustomAgreement,
    Customer,
    PersonalInformation,
)
from carecloud_async.models.customer_changes import (
    AddressChanges,
    AgreementChanges,
    ConsentChanges,
    CustomAgreementChanges,
    CustomerChanges,
    PersonalInformationChanges,
)
from carecloud_async.models.customer_input import (
    AddressInput,
    AgreementInput,
    ConsentInput,
    CustomAgreementInput,
    CustomerInput,
    CustomerUpdateInput,
    PersonalInformationInput,
)
from carecloud_async.models.customer_source import CustomerSourceInput, CustomerSourceRecord
from carecloud_async.models.enums import AgreementValue, CustomerState, Gender, LoginType
from carecloud_async.models.property_record import PropertyRecord, PropertyRecordChanges, PropertyRecordInput
from carecloud_async.models.read_only import read_only_names, read_only_paths
from carecloud_async.models.social_network import SocialNetworkCredentialsChanges, SocialNetworkCredentialsInput
from carecloud_async.models.token import AuthenticationToken
from carecloud_async.models.unset import UNSET, Unset
from carecloud_async.models.user import User, UserLogin

__all__ = [
    "UNSET",
    "Address",
    "AddressChanges",
    "AddressInput",
    "Agreement",
    "AgreementChanges",
    "AgreementInput",
    "AgreementValue",
    "AuthenticationToken",
    "Consent",
    "ConsentChanges",
    "ConsentInput",
    "CustomAgreement",
    "CustomAgreementChanges",
    "CustomAgreementInput",
    "Customer",
    "CustomerChanges",
    "CustomerInput",
    "CustomerSourceInput",
    "CustomerSourceRecord",
    "CustomerState",
    "CustomerUpdateInput",
    "Gender",
    "Input",
    "LocalDatetime",
    "LoginType",
    "Model",
    "PersonalInformation",
    "PersonalInformationChanges",
    "PersonalInformationInput",
    "PropertyRecord",
    "PropertyRecordChanges",
    "PropertyRecordInput",
    "SocialNetworkCredentialsChanges",
    "SocialNetworkCredentialsInput",
    "Unset",
    "User",
    "UserLogin",
    "merge_changes",
    "read_only_names",
    "read_only_paths",
]
