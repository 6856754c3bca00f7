"""Which addresses this server may be led to by others. Checked after resolution, for every connection.

Sources: RFC 6890 (special-purpose addresses), RFC 6598 (shared address space).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from application.proxying.ports import AddressRefused, UpstreamAway

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Endpoint: TypeAlias = tuple[socket.AddressFamily, tuple[str, int]]

_SHARED = ipaddress.ip_network("100.64.0.0/10")
_METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"))
)
_NAMES = (
    "localhost", "metadata", "metadata.google.internal", "metadata.goog", "instance-data",
    "backend", "postgres", "redis", "opensearch", "trivy",
)  # fmt: skip
"""Refused with their sub-domains, wherever they lead: what stands beside such a server, and what clouds tell of it."""


class AddressPolicy:
    """private: whether private networks may be reached; allowed: networks that may be reached in any case, for tests
    and lone machines also this one's own.
    """

    def __init__(self, allowed: Sequence[Network] = (), *, private: bool = False) -> None:
        self._allowed = tuple(allowed)
        self._private = private

    def resolve(self, host: str, port: int) -> list[Endpoint]:
        """Every address of a host, all of them good. Raises AddressRefused, UpstreamAway for a name without any."""
        name = host.rstrip(".").lower()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UpstreamAway(host, f"its name cannot be resolved ({error})") from None
        addresses: list[Endpoint] = [(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found]
        good: list[Endpoint] = [
            entry for entry in addresses if self.allows(ipaddress.ip_address(entry[1][0].partition("%")[0]))
        ]
        if len(good) != len(addresses) or (_is_reserved(name) and not self._listed(addresses)):
            bad = next((entry[1][0] for entry in addresses if entry not in good), name)
            raise AddressRefused(host, bad)
        return good

    def allows(self, address: Address) -> bool:
        """Whether this address may be reached."""
        mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        if mapped is not None:
            return self.allows(mapped)
        if any(address.version == network.version and address in network for network in self._allowed):
            return True
        if address in _METADATA or address.is_loopback or address.is_link_local or address.is_unspecified:
            return False
        if address.is_multicast or address.is_reserved or address == IPv4Address("255.255.255.255"):
            return False
        if address.is_private or (address.version == 4 and address in _SHARED):
            return self._private
        return address.is_global

    def _listed(self, addresses: Sequence[Endpoint]) -> bool:
        found = [ipaddress.ip_address(address[0].partition("%")[0]) for _, address in addresses]
        return all(any(one.version == net.version and one in net for net in self._allowed) for one in found)


def _is_reserved(name: str) -> bool:
    return any(name == reserved or name.endswith(f".{reserved}") for reserved in _NAMES)
