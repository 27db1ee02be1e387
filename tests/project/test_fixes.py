"""Errors name their fix, as data and in words."""

import pickle

import pytest

from carecloud_async import errors, fixes


def test_a_fix_names_its_settings():
    """A fix is a step and the settings in it; Python's names are the default words."""
    assert fixes.TLS.settings == ("project_url", "proxy", "verify")
    assert str(fixes.TLS) == "check project_url, proxy= and verify="
    assert fixes.TLS.worded({"proxy": "HTTPS_PROXY"}) == "check project_url, HTTPS_PROXY and verify"
    assert fixes.IDS.settings == ()


def test_an_error_ends_with_its_fix():
    """`str` ends with the fix of this error; `problem` leaves it out; both survive pickling and `fresh()`."""
    error = errors.ExportError("c.csv exists already", fix=fixes.OVERWRITE)
    for copy in (error, error.fresh(), pickle.loads(pickle.dumps(error))):
        assert str(copy) == "c.csv exists already: pass overwrite=True to replace it"
        assert (copy.problem, copy.fix) == ("c.csv exists already", fixes.OVERWRITE)


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (errors.ConnectionFailedError("x"), fixes.ADDRESS),
        (errors.RequestTimeoutError("x"), fixes.SMALLER_PAGES),
        (errors.OutcomeUnknownError("x"), fixes.LOOK_FIRST),
        (errors.ResponseError("x"), fixes.NOT_THE_API),
        (errors.BadRequestError(status=400, method="GET", path="/x"), fixes.VALUES),
        (errors.AuthenticationError(status=401, method="GET", path="/x"), fixes.CREDENTIALS),
        (errors.SessionExpiredError(status=401, method="GET", path="/x"), None),
        (errors.PermissionDeniedError(status=403, method="GET", path="/x"), fixes.PERMISSION),
        (errors.NotFoundError(status=404, method="GET", path="/x"), fixes.IDS),
        (errors.RateLimitError(status=429, method="GET", path="/x"), fixes.SLOW_DOWN),
        (errors.ServerError(status=500, method="GET", path="/x"), fixes.TRY_LATER),
        (errors.CareCloudError("x"), None),
    ],
)
def test_each_kind_of_error_has_a_fix_as_data(error, fix):
    """A fix that all errors of a class share is data alone; their texts do not repeat it."""
    assert error.fix == fix
    assert str(error) == error.problem
