"""Logins whose success has no token: a page with 200, a redirect, an empty answer."""

import pytest
from auth_tools import FakeClock, OwnProvider, in_parallel, tokens_of

from carecloud_async import AuthenticationError, ResponseError, ServerError, Token


def unusable():
    return ResponseError("the body looks like HTML, not JSON")


@pytest.mark.anyio
async def test_calls_after_an_unusable_login_do_not_log_in_each():
    """For a second, and longer after each more, calls get the same error; then one of them tries again."""
    clock, provider = FakeClock(), OwnProvider(unusable())
    tokens = tokens_of(provider, clock=clock)
    logins = []
    for _ in range(100):
        with pytest.raises(ResponseError, match="looks like HTML"):
            await tokens.get()
        logins.append(provider.asked)
        await clock.sleep(0.5)
    assert logins[:8] == [1, 1, 2, 2, 2, 2, 3, 3]
    assert provider.asked == 6


@pytest.mark.anyio
async def test_the_server_is_served_again_soon_after_unusable_logins():
    """However long logins were unusable, the next one is sent within half a minute, and its token serves."""
    clock, provider = FakeClock(), OwnProvider(*[unusable()] * 20, Token("t"))
    tokens = tokens_of(provider, clock=clock)
    for _ in range(20):
        with pytest.raises(ResponseError):
            await tokens.get()
        await clock.sleep(30.0)
    assert (await tokens.get()).value == "t"


@pytest.mark.anyio
async def test_a_refusal_after_an_unusable_login_delays_as_any_refusal():
    """Wrong credentials are not tried again for half a minute, whatever came before."""
    refusal = AuthenticationError(status=401, method="POST", path="/users/actions/login")
    clock, provider = FakeClock(), OwnProvider(unusable(), refusal)
    tokens = tokens_of(provider, clock=clock)
    with pytest.raises(ResponseError):
        await tokens.get()
    await clock.sleep(1.0)
    for _ in range(29):
        with pytest.raises(AuthenticationError):
            await tokens.get()
        await clock.sleep(1.0)
    assert provider.asked == 2


def answered_by_a_proxy():
    error = ResponseError("something in front of CareCloud answered with 403")
    error.is_retryable = True
    return error


@pytest.mark.anyio
@pytest.mark.parametrize(
    "failing", [ServerError(status=503, method="POST", path="/users/actions/login"), answered_by_a_proxy()]
)
async def test_what_the_retry_policy_repeats_is_not_remembered(failing):
    """After a login that got a 5xx, or a 4xx that CareCloud did not write, the next call logs in again."""
    provider = OwnProvider(failing, Token("t"))
    tokens = tokens_of(provider, clock=FakeClock())
    with pytest.raises(type(failing)):
        await tokens.get()
    assert {token.value for token in await in_parallel(5, tokens.get)} == {"t"}
