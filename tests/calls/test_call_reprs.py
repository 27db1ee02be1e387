"""The reprs of a call's own objects, which error reporters print."""

import pytest

from carecloud_async._calls.auth.enterprise import EnterpriseCredentials, SsoCredentials
from carecloud_async._calls.auth.token import Token
from carecloud_async._calls.call.operation import CallRequest, RawResponse
from carecloud_async.models import User
from carecloud_async.resources import OPERATIONS

SECRET = "jane-4711"
CARDS = OPERATIONS["getCards"]
NAMED = {"name": SECRET}
REQUEST = CallRequest(CARDS, decode=bytes, path_params=NAMED, params=NAMED, json=NAMED, bearer=SECRET, headers=NAMED)


@pytest.mark.parametrize(
    "thing",
    [
        REQUEST,
        RawResponse(200, NAMED, SECRET.encode(), 0.0),
        Token(SECRET, user=User(user_id="1", last_name=SECRET)),
        SsoCredentials(external_application_id="a", sso_token=SECRET, subject=SECRET),
        EnterpriseCredentials(external_application_id="a", login=SECRET, password=SECRET),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_no_repr_holds_a_token_or_a_personal_datum(thing):
    """Tokens, headers, ids, filters, bodies and logins are in no repr of a call, its response or its identity."""
    assert SECRET not in repr(thing)
