"""Read models: defaults, reprs, pickling, import cost."""

import copy
import pickle
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import attrs
import pytest
from every import every
from rich.pretty import pretty_repr

from carecloud_async import EnterpriseCredentials, models
from carecloud_async.models import (
    UNSET,
    Agreement,
    AgreementValue,
    Customer,
    CustomerInput,
    CustomerSourceInput,
    CustomerSourceRecord,
    Gender,
    Input,
    Model,
    PersonalInformation,
    PersonalInformationInput,
    SocialNetworkCredentialsInput,
    Unset,
    User,
    UserLogin,
)

CLASSES = [value for name in models.__all__ if isinstance(value := getattr(models, name), type) and attrs.has(value)]
READ_MODELS = [cls for cls in CLASSES if not issubclass(cls, Input)]
PERSON = PersonalInformation(first_name="p3rs0nal", store_id="8bed", email="p3rs0nal")
LOGIN = {"external_application_id": "x", "login": "p3rs0nal", "password": "p3rs0nal"}
CUSTOMER = Customer(customer_id="8ea6", personal_information=PERSON, last_change=datetime(2019, 6, 23), state=1)  # noqa: DTZ001


@every("cls", CLASSES)
def test_models_are_frozen_and_slotted(cls):
    """Every model is a frozen attrs class without a dict, and has the base's repr."""
    assert issubclass(cls, Model) != issubclass(cls, Input)
    assert not any("__dict__" in base.__dict__ for base in cls.__mro__)
    assert cls.__repr__ is Model.__repr__
    assert cls.__setattr__ is not object.__setattr__


def made_of_nothing(cls):
    """A read model without anything but the id that it needs."""
    return cls(**{field.name: "" for field in attrs.fields(cls) if field.default is attrs.NOTHING})


@every("cls", READ_MODELS)
def test_read_models_need_nothing(cls):
    """A read model can be made of nothing but its id: scalars None, objects empty, lists ()."""
    empty = made_of_nothing(cls)
    for field in attrs.fields(cls):
        value = getattr(empty, field.name)
        assert (
            value is None or value in ((), "") or (isinstance(value, Model) and value == made_of_nothing(type(value)))
        )
        assert field.converter is None
        assert field.validator is None


#: Records, inputs and credentials, and what is printed of them.
REPRS = [
    (CUSTOMER, "Customer(customer_id='8ea6')"),
    (PERSON, "PersonalInformation(store_id='8bed')"),
    (PersonalInformation(first_name="p3rs0nal"), "PersonalInformation()"),
    (UserLogin(bearer_token="s3cret", user=User(user_id="u")), "UserLogin(bearer_token='***')"),
    (
        CustomerSourceRecord(customer_source_record_id="r", external_id="p3rs0nal", customer_id="8ea6"),
        "CustomerSourceRecord(customer_source_record_id='r', customer_id='8ea6')",
    ),
    (
        SocialNetworkCredentialsInput(social_network_id="s", social_network_token="s3cret"),
        "SocialNetworkCredentialsInput(social_network_id='s', social_network_token='***')",
    ),
    (PersonalInformationInput(language_id="cs", first_name="p3rs0nal"), "PersonalInformationInput(language_id='cs')"),
]


@every("record, shown", REPRS)
def test_reprs_show_ids_only(record, shown):
    """No personal data, no token and no foreign id is in a repr, nor in what rich and structlog print."""
    assert (repr(record), pretty_repr(record, max_width=200)) == (shown, shown)
    assert "p3rs0nal" not in pretty_repr({"input": EnterpriseCredentials(**LOGIN), "record": record})


def test_models_pickle_and_evolve():
    """Models survive pickling and copying, and change by copy."""
    assert pickle.loads(pickle.dumps(CUSTOMER)) == CUSTOMER
    assert copy.deepcopy(CUSTOMER) == CUSTOMER
    assert attrs.evolve(CUSTOMER, state=2).state == 2
    if sys.version_info >= (3, 13):
        assert copy.replace(CUSTOMER, state=2).state == 2
    entry = CustomerInput(personal_information=PersonalInformationInput(language_id="cs"))
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert pickle.loads(pickle.dumps(entry)).personal_information.email is UNSET
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        CUSTOMER.state = 2


def test_unset_is_one_falsy_value():
    """UNSET is falsy, shows its name and is the same after pickling and copying."""
    assert not UNSET
    assert repr(UNSET) == str(UNSET) == "UNSET"
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.deepcopy(UNSET) is UNSET
    assert isinstance(UNSET, Unset)
    assert CustomerSourceInput(customer_source_id="a").external_id is UNSET


def test_enums_compare_with_fields():
    """The known values are equal to what the fields hold."""
    assert PersonalInformation(gender=2).gender == Gender.FEMALE
    assert Agreement(agreement_gtc=1).agreement_gtc == AgreementValue.YES


def test_roles_from_either_spelling():
    """A user's roles are found whether the server sent one id or a list, without doubles."""
    assert User(user_id="u", user_role_id="a").role_ids == ("a",)
    assert User(user_id="u", user_role_ids=("a", "b")).role_ids == ("a", "b")
    assert User(user_id="u", user_role_id="a", user_role_ids=("a", "b")).role_ids == ("a", "b")
    assert User(user_id="u", user_role_id="c", user_role_ids=("a",)).role_ids == ("c", "a")
    assert User(user_id="").role_ids == ()


#: Inputs that the API takes in another form than it gives the record; the contract's tests hold them.
OWN_FORM = {
    models.BookingUpdateInput,
    models.CustomerSourceInput,
    models.CustomerUpdateInput,
    models.EventInput,
    models.ProductInput,
    models.VoucherBatchInput,
}
LIKE_READ = [cls for cls in CLASSES if issubclass(cls, Input) and cls.reads is not None and cls not in OWN_FORM]


@every("cls", LIKE_READ)
def test_inputs_hold_what_is_not_read_only(cls):
    """An input has exactly its read model's fields but the read-only ones."""
    written = {field.name for field in attrs.fields(cls.reads) if not field.metadata.get("read_only")}
    assert {field.name for field in attrs.fields(cls)} == written


def test_importing_a_model_is_light():
    """Models and codec bring in neither cattrs nor pydantic nor an HTTP library, nor does reading an untidy record."""
    code = """if True:
        import sys, types
        bare = types.ModuleType("carecloud_async")  # without the package's own __init__, which opens the whole SDK
        bare.__path__ = [sys.argv[1]]
        sys.modules["carecloud_async"] = bare
        from carecloud_async.models.customer import Customer
        from carecloud_async._base import codec
        codec.record(b'{"data": {"customer_id": "8ea6", "state": 1}}', Customer)
        untidy = b'{"data": {"customer_id": 8, "personal_information": [], "last_change": "0000-00-00 00:00:00"}}'
        assert codec.record(untidy, Customer) == Customer(customer_id="8")
        codec.page(b'{"data": {"customers": [{}]}}', key="customers", into=bytes)
        heavy = {"cattrs", "pydantic", "pydantic_core", "httpx", "httptools"} & set(sys.modules)
        sys.exit(str(heavy) if heavy else 0)
    """
    package = str(Path(models.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
