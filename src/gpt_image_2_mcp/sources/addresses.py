"""Which addresses a picture may be fetched from."""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address


class Reach(Enum):
    """`PUBLIC` for everybody, `INTERNAL` for the hosts that a setting names, `NEVER` for nobody."""

    PUBLIC = "public"
    INTERNAL = "internal"
    NEVER = "never"


# Each with what reserves it. `is_global` knows most of them, but Pythons differ, and it takes multicast,
# NAT64 and IPv4-compatible addresses for global ones (3.11.7 to 3.13.0).
_NEVER: Final = {
    "169.254.0.0/16": "link-local (RFC 3927); 169.254.169.254, .170.2 and .170.23 are clouds' metadata",
    "168.63.129.16/32": "Azure's platform (learn.microsoft.com, what-is-ip-address-168-63-129-16)",
    "100.100.100.200/32": "Alibaba Cloud's metadata, within the shared space",
    "192.0.0.0/24": "IETF assignments (RFC 6890); 192.0.0.192 is Oracle Cloud's old metadata",
    "fd00:ec2::/32": "AWS: metadata fd00:ec2::254, EKS credentials ::23, DNS ::253",
    "fd20:ce::/32": "Google Cloud's metadata, fd20:ce::254",
    "0.0.0.0/8": "this network (RFC 791): Linux connects 0.0.0.0 to itself",
    "192.0.2.0/24": "documentation (RFC 5737)",
    "192.88.99.0/24": "6to4 relays (RFC 7526)",
    "198.18.0.0/15": "benchmarks (RFC 2544)",
    "198.51.100.0/24": "documentation (RFC 5737)",
    "203.0.113.0/24": "documentation (RFC 5737)",
    "224.0.0.0/4": "multicast (RFC 5771)",
    "240.0.0.0/4": "reserved (RFC 1112), broadcast (RFC 919)",
    "::/96": "IPv4-compatible (RFC 4291): holds an IPv4 address; :: is connected to itself by Linux",
    "::ffff:0:0/96": "IPv4-mapped (RFC 4291): holds an IPv4 address",
    "::ffff:0:0:0/96": "IPv4-translated (RFC 2765): holds an IPv4 address",
    "64:ff9b::/96": "NAT64 (RFC 6052): holds an IPv4 address",
    "64:ff9b:1::/48": "local NAT64 (RFC 8215): holds an IPv4 address",
    "100::/64": "discard (RFC 6666)",
    "2001::/23": "IETF assignments (RFC 2928); Teredo within it holds IPv4 addresses (RFC 4380)",
    "2001:db8::/32": "documentation (RFC 3849)",
    "2002::/16": "6to4 (RFC 3056): holds an IPv4 address",
    "3fff::/20": "documentation (RFC 9637)",
    "5f00::/16": "segment routing (RFC 9602)",
    "fe80::/10": "link-local (RFC 4291)",
    "fec0::/10": "site-local (RFC 3879)",
    "ff00::/8": "multicast (RFC 4291)",
}
_INTERNAL: Final = {
    "10.0.0.0/8": "private (RFC 1918)",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.168.0.0/16": "private (RFC 1918)",
    "100.64.0.0/10": "shared by carriers (RFC 6598), and by VPNs such as Tailscale",
    "127.0.0.0/8": "loopback (RFC 1122)",
    "::1/128": "loopback (RFC 4291)",
    "fc00::/7": "unique local (RFC 4193)",
}
_NEVER_NETWORKS: Final = tuple(ip_network(network) for network in _NEVER)
_INTERNAL_NETWORKS: Final = tuple(ip_network(network) for network in _INTERNAL)
# All that IANA gave out for unicast (iana-ipv6-address-space): in the rest of IPv6 is nobody to fetch from.
_UNICAST: Final = IPv6Network("2000::/3")


def reach_of(address: Address) -> Reach:
    """How far `address` may be used; what has a zone, and what no table knows to be public, is `NEVER`."""
    if getattr(address, "scope_id", None) is not None:
        return Reach.NEVER
    # ::1 stands within ::/96, whose others are IPv4 addresses in disguise.
    if address != IPv6Address("::1") and any(address in network for network in _NEVER_NETWORKS):
        return Reach.NEVER
    if any(address in network for network in _INTERNAL_NETWORKS):
        return Reach.INTERNAL
    known = isinstance(address, IPv4Address) or address in _UNICAST
    return Reach.PUBLIC if known and address.is_global and not address.is_multicast else Reach.NEVER
