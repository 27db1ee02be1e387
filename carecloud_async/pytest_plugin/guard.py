"""The network guard: while it is active, tests can look up and connect to loopback only."""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

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
    wrappers = {"connect": guard.connecting, "connect_ex": guard.connecting, "sendto": guard.sending}
    inherited = {name: vars(socket.socket).get(name) for name in wrappers}
    lookups = {name: getattr(socket, name) for name in ("gethostbyname", "gethostbyname_ex")}
    lookup = socket.getaddrinfo
    for name, wrapper in wrappers.items():
        setattr(socket.socket, name, wrapper(getattr(socket.socket, name)))
    for name, own_lookup in lookups.items():
        setattr(socket, name, guard.asking(own_lookup))
    socket.getaddrinfo = guard.looking_up(lookup)
    try:
        yield
    finally:
        socket.getaddrinfo = lookup
        for name, own_lookup in lookups.items():
            setattr(socket, name, own_lookup)
        for name, own in inherited.items():
            delattr(socket.socket, name) if own is None else setattr(socket.socket, name, own)


class _Guard:
    def __init__(self, hosts: Collection[str]) -> None:
        self._allowed = {host.lower() for host in hosts}

    def connecting(self, connect: Any) -> Any:
        def checked(sock: socket.socket, address: Any) -> Any:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                self._check(address[0])
            return connect(sock, address)

        return checked

    def sending(self, send: Any) -> Any:
        def checked(sock: socket.socket, data: Any, *rest: Any) -> Any:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                self._check(rest[-1][0])
            return send(sock, data, *rest)

        return checked

    def asking(self, lookup: Any) -> Any:
        def checked(host: Any) -> Any:
            if not _text(host).endswith(_NOWHERE):
                self._check(host)
            return lookup(host)

        return checked

    def looking_up(self, lookup: Any) -> Any:
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
