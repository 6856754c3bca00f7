from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from application.proxying.ports import AddressRefused, UpstreamAway
from infrastructure.outbound.addresses import AddressPolicy

INSIDE = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.1.1", "169.254.169.254", "168.63.129.16", "100.100.100.200",
    "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
    "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "2001:db8::1", "64:ff9b:1::1",
)  # fmt: skip


@pytest.mark.parametrize("text", INSIDE)
def test_nobody_is_led_inside(text: str) -> None:
    assert not AddressPolicy().allows(ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_everybody_may_go_outside(text: str) -> None:
    assert AddressPolicy().allows(ip_address(text))


def test_private_networks_open_without_opening_this_machine() -> None:
    policy = AddressPolicy(private=True)
    assert all(policy.allows(ip_address(text)) for text in ("10.1.2.3", "192.168.1.1", "100.64.0.1", "fc00::1"))
    shut = ("127.0.0.1", "169.254.169.254", "fd00:ec2::254", "::1", "::ffff:127.0.0.1")
    assert not any(policy.allows(ip_address(text)) for text in shut)


def test_a_listed_network_is_open() -> None:
    policy = AddressPolicy([ip_network("10.1.0.0/16"), ip_network("::1/128")])
    assert policy.allows(ip_address("10.1.2.3"))
    assert policy.allows(ip_address("::1"))
    assert policy.allows(ip_address("::ffff:10.1.2.3"))
    assert not policy.allows(ip_address("10.2.2.3"))


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_one_bad_address_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "1.1.1.1", "127.0.0.1")
    with pytest.raises(AddressRefused, match="127"):
        AddressPolicy().resolve("two.example", 80)


def test_what_was_resolved_is_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "1.1.1.1", "1.0.0.1")
    found = AddressPolicy().resolve("good.example", 443)
    assert [address for _, address in found] == [("1.1.1.1", 443), ("1.0.0.1", 443)]


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "metadata.google.internal", "postgres", "REDIS."])
def test_names_of_what_stands_beside_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    resolving(monkeypatch, "1.1.1.1")
    with pytest.raises(AddressRefused):
        AddressPolicy().resolve(name, 80)


def test_a_name_without_address_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UpstreamAway):
        AddressPolicy().resolve("none.example", 80)
