"""Texts that are taken as a project's address, and the errors for all others."""

import pytest

from carecloud_async import ConfigurationError, Interface, Project


def parse(url, **more):
    return Project.parse(url, timezone="Europe/Prague", language="cs", **more)


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("sandbox.crmcarecloud.com", "https://sandbox.crmcarecloud.com"),
        ("https://sandbox.crmcarecloud.com/", "https://sandbox.crmcarecloud.com"),
        ("  https://acme.example:8443 ", "https://acme.example:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost", "http://localhost"),
        ("https://intranet", "https://intranet"),
        ("müller.example", "https://xn--mller-kva.example"),
    ],
)
def test_takes_a_domain_or_a_url(typed, origin):
    """A bare domain means https; loopback may be http; ports and international names work."""
    assert parse(typed).origin == origin


@pytest.mark.parametrize(
    ("typed", "fix"),
    [
        ("", "domain"),
        (None, "domain"),
        ("http://sandbox.crmcarecloud.com", "https://"),
        ("htps://sandbox.crmcarecloud.com", "https://"),
        ("https:/sandbox.crmcarecloud.com", "path|host"),
        ("sandbox.crmcarecloud.com/webservice/rest-api", "domain alone"),
        ("https://sandbox.crmcarecloud.com?x=1", "domain alone"),
        ("https://user:secret@sandbox.crmcarecloud.com", "auth="),
        ("sandbox,crmcarecloud.com", "typos"),
        ("sandbox..crmcarecloud.com", "typos"),
        ("sandbox", "full domain"),
        ("https://acme.example:99999", "port"),
    ],
)
def test_says_what_is_wrong_with_an_address(typed, fix):
    """Anything else is a ConfigurationError that names the fix and shows no password."""
    with pytest.raises(ConfigurationError, match=fix) as caught:
        parse(typed)
    assert "secret" not in str(caught.value)


def test_http_can_be_allowed_for_a_private_network():
    """`allow_http=True` lets a sandbox in a container network by."""
    assert parse("http://sandbox:8000", allow_http=True).origin == "http://sandbox:8000"


@pytest.mark.parametrize("value", ["no", "false", 1])
def test_only_true_allows_http(value):
    """A text of an environment variable, which may be "no", allows nothing."""
    with pytest.raises(ConfigurationError, match="in the clear"):
        parse("http://sandbox:8000", allow_http=value)


def test_each_interface_has_its_base_path():
    """The interface and the version stand in the path."""
    project = parse("acme.example")
    assert project.base_path(Interface.CUSTOMER) == "/webservice/rest-api/customer-interface/v1.0"
    assert project.base_path(Interface("enterprise")) == "/webservice/rest-api/enterprise-interface/v1.0"
