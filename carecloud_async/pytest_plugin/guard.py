"""The network guards: while one is active, the SDK, or everything in the process, can reach loopback only."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from carecloud_async._calls.http.destinations import guarding

EVERY_HOST = "*"

#: Names that never resolve, by RFC 6761: tests of typing errors may look them up.
_NOWHERE = ".invalid"


class HostRefusedError(BaseException):
    """A test tried to reach a host other than loopback.

    It is not an `Exception`, so that no `except` hides it and no retry repeats the call.
    """


#: Whose connections a guard refuses: the SDK's, other connections being left alone, or all of the process.
GUARDED = ("sdk", "all")


@contextmanager
def guarded(hosts: Collection[str], whose: str) -> Iterator[None]:
    """Refuse connections to any host except loopback and these; for the whole process also look-ups of their names.

    Args:
        hosts: names and addresses; `*` is every host.
        whose: see `GUARDED`.
    """
    if EVERY_HOST in hosts:
        yield
        return
    allowed = _Hosts(hosts)
    guard = _SdkGuard(allowed)
    with guarding(guard), pytest.MonkeyPatch.context() as patch:
        # At the start, so that a test's own patches of sockets are undone before these; also where the SDK is not
        # imported yet, because a fixture or the test may do that.
        if whose == "all":
            _guard_sockets(patch, allowed.check, on_lookup=allowed.add)
        else:
            _guard_sockets(patch, guard.check_socket)
        yield


class _Hosts:
    """The hosts that may be reached: loopback and some others."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._allowed = {host.lower() for host in hosts}

    def add(self, addresses: Iterable[str]) -> None:
        """Allow the addresses of an allowed name: a test that may look up the name may connect to them."""
        self._allowed.update(addresses)

    def allow(self, name: str) -> bool:
        return name in self._allowed or _is_loopback(name)

    def check(self, name: str) -> None:
        if not self.allow(name):
            raise _refused(name)


class _SdkGuard:
    """Refuses requests of the SDK; see `DestinationGuard`.

    A client or transport of the user's may be a mock that reaches nothing: its requests are let go, and the sockets
    refuse their hosts.
    """

    def __init__(self, allowed: _Hosts) -> None:
        self._allowed = allowed
        self._refused: set[str] = set()

    def before_sending(self, host: str) -> None:
        if not host.endswith(_NOWHERE):
            self._allowed.check(host)

    def before_handing_over(self, host: str) -> None:
        if not self._allowed.allow(host):
            self._refused.add(host)

    def check_socket(self, name: str) -> None:
        if name in self._refused:
            raise _refused(name)


def _guard_sockets(
    patch: pytest.MonkeyPatch,
    check: Callable[[str], None],
    *,
    on_lookup: Callable[[Iterable[str]], None] = lambda _: None,
) -> None:
    """Patch `socket` so that look-ups and connections are checked.

    Args:
        patch: undoes it.
        check: raises for a name or address that is refused.
        on_lookup: called with the addresses of a name that was looked up.
    """

    def socket_method(method: Any) -> Any:
        def checked(sock: socket.socket, *args: Any) -> Any:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                check(_text(args[-1][0]))  # the address is always the last argument
            return method(sock, *args)

        return checked

    def host_lookup(lookup: Any) -> Any:
        def checked(host: Any) -> Any:
            if not _text(host).endswith(_NOWHERE):
                check(_text(host))
            return lookup(host)

        return checked

    def address_lookup(lookup: Any) -> Any:
        def checked(host: Any, *args: Any, **options: Any) -> Any:
            if _text(host).endswith(_NOWHERE):
                return lookup(host, *args, **options)
            check(_text(host))
            entries = lookup(host, *args, **options)
            on_lookup(str(entry[4][0]).lower() for entry in entries)
            return entries

        return checked

    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, socket_method(getattr(socket.socket, name)))
    for name in ("gethostbyname", "gethostbyname_ex"):
        patch.setattr(socket, name, host_lookup(getattr(socket, name)))
    patch.setattr(socket, "getaddrinfo", address_lookup(socket.getaddrinfo))


def _refused(name: str) -> HostRefusedError:
    return HostRefusedError(
        f"this test tried to reach {name}: carecloud-async lets tests reach loopback only. Use the fixture "
        "carecloud_client or transport=sandbox.transport(); or allow it with @pytest.mark.carecloud_network, or "
        f'with `carecloud_allowed_hosts = {name}` in pytest.ini (in pyproject.toml a list: `["{name}"]`)'
    )


def _text(host: Any) -> str:
    return (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")).lower()


def _is_loopback(name: str) -> bool:
    if name in {"", "localhost", "localhost.localdomain"} or name.endswith(".localhost"):
        return True
    import ipaddress  # few tests connect to anything

    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    # "0.0.0.0" is what servers listen on; to connect to it is to connect to this machine.
    return address.is_loopback or address.is_unspecified
