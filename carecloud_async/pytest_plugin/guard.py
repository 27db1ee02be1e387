"""The network guard: while it is active, tests can look up and connect to loopback only."""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

EVERY_HOST = "*"

#: Names that never resolve, by RFC 6761: tests of typing errors may look them up.
_NOWHERE = ".invalid"

_PACKAGE = "carecloud_async"
#: What pytest itself loads of the package, in every run.
_PLUGIN = {_PACKAGE, f"{_PACKAGE}._version"}


class HostRefusedError(BaseException):
    """A test tried to reach a host other than loopback.

    It is not an `Exception`, so that no `except` hides it and no retry repeats the call.
    """


def imports_the_sdk(modules: Iterable[ModuleType]) -> bool:
    """Return whether a suite has imported the SDK, once all of its modules are collected.

    Args:
        modules: the modules of the collected tests: a bare `import carecloud_async` loads nothing and shows there only.
    """
    if any(_is_loaded_by_a_suite(name) for name in sys.modules):
        return True
    package = sys.modules.get(_PACKAGE)
    return any(value is package for module in modules for value in vars(module).values())


def _is_loaded_by_a_suite(name: str) -> bool:
    ours = name in _PLUGIN or name.startswith(f"{_PACKAGE}.pytest_plugin")
    return name.startswith(f"{_PACKAGE}.") and not ours


@contextmanager
def guarded(hosts: Collection[str]) -> Iterator[None]:
    """Refuse connections to any host except loopback and these.

    Args:
        hosts: names and addresses; `*` is every host.
    """
    if EVERY_HOST in hosts:
        yield
        return
    guard = _Guard(hosts)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guard.socket_method(getattr(socket.socket, name)))
        for name in ("gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, guard.host_lookup(getattr(socket, name)))
        patch.setattr(socket, "getaddrinfo", guard.address_lookup(socket.getaddrinfo))
        yield


class _Guard:
    """Wraps functions of `socket` so that they refuse other hosts than these and loopback."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._allowed = {host.lower() for host in hosts}

    def socket_method(self, method: Any) -> Any:
        def checked(sock: socket.socket, *args: Any) -> Any:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                self._check(args[-1][0])  # the address is always the last argument
            return method(sock, *args)

        return checked

    def host_lookup(self, lookup: Any) -> Any:
        def checked(host: Any) -> Any:
            if not _text(host).endswith(_NOWHERE):
                self._check(host)
            return lookup(host)

        return checked

    def address_lookup(self, lookup: Any) -> Any:
        def checked(host: Any, *args: Any, **options: Any) -> Any:
            if _text(host).endswith(_NOWHERE):
                return lookup(host, *args, **options)
            self._check(host)
            found = lookup(host, *args, **options)
            # A test that may look up the name may connect to its addresses.
            self._allowed.update(str(entry[4][0]).lower() for entry in found)
            return found

        return checked

    def _check(self, host: Any) -> None:
        name = _text(host)
        if name in self._allowed or _is_loopback(name):
            return
        raise HostRefusedError(
            f"this test tried to reach {name}: carecloud-async lets tests reach loopback only. Use the fixture "
            "carecloud_client or transport=sandbox.transport(); or allow it with @pytest.mark.carecloud_network, or "
            f"with `carecloud_allowed_hosts = {name}` in pytest's configuration"
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
