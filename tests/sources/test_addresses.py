"""Which addresses may be fetched from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.sources.addresses import Reach, reach_of

PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.215.14 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
    128.0.0.1 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
    192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:2800:21f:cb07:6820:80da:af6b:8b2c 2001:4860:4860::8888 2a00:1450:4001:800::200e
    2001:200::1 2001:db7:ffff::1 2001:db9::1 2003::1 2400:cb00::1 2600::
"""
INTERNAL = """
    10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255
    100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.254 ::1 fc00::1 fd00::1 fdff:ffff::1
"""
NEVER = """
    0.0.0.0 0.0.0.1 0.255.255.255 169.254.0.0 169.254.169.254 169.254.170.2 169.254.170.23 169.254.255.255
    168.63.129.16 100.100.100.200 192.0.0.1 192.0.0.8 192.0.0.9 192.0.0.170 192.0.0.192 192.0.2.1 192.88.99.1
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.0 224.0.0.1 239.255.255.250 240.0.0.0
    255.255.255.255
    :: ::2 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:a9fe:a9fe
    ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1:ffff::1
    100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1
    2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2002:808:808:: 3fff::1 3fff:fff:ffff::1 5f00::1
    fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff02::1 ff0e::1
    1::1 1fff:: 4000::1 8000::1 fe00::1 fbff::1
"""


@pytest.mark.parametrize(
    ("address", "reach"),
    [(a, Reach.PUBLIC) for a in PUBLIC.split()]
    + [(a, Reach.INTERNAL) for a in INTERNAL.split()]
    + [(a, Reach.NEVER) for a in NEVER.split()],
)
def test_an_address_reaches_as_far_as_it_is_meant_to(address: str, reach: Reach) -> None:
    assert reach_of(ip_address(address)) is reach


@pytest.mark.parametrize("address", ["fe80::1%1", "2001:4860:4860::8888%1", "::1%lo", "fd00::1%eth0"])
def test_an_address_with_a_zone_is_never_used(address: str) -> None:
    assert reach_of(ip_address(address)) is Reach.NEVER


V6_SHELLS = [
    "::",
    "::ffff:0:0",
    "::ffff:0:0:0",
    "64:ff9b::",
    "64:ff9b:1::",
    "2001:0:4136:e378:8000::",
    "fe80::",
]


@given(st.integers(0, 2**32 - 1), st.sampled_from(V6_SHELLS))
def test_no_address_inside_another_is_used(v4: int, shell: str) -> None:
    embedded = int(IPv6Address(shell)) + v4
    known = embedded == 1  # ::1, which is the loopback address and no 0.0.0.1 in disguise

    assert reach_of(IPv6Address(embedded)) is (Reach.INTERNAL if known else Reach.NEVER)
    assert reach_of(IPv6Address((0x2002 << 112) + (v4 << 80))) is Reach.NEVER


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    public = reach_of(address) is Reach.PUBLIC

    assert not public or (address.is_global and not address.is_multicast and not address.is_reserved)


@given(st.ip_addresses(network="169.254.0.0/16"), st.ip_addresses(network="2000::/3"))
def test_neighbours_share_a_reach(link_local: IPv4Address, unicast: IPv6Address) -> None:
    assert reach_of(link_local) is Reach.NEVER
    refused = ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
    inside = any(unicast in ip_network(network) for network in refused)
    assert (reach_of(unicast) is Reach.PUBLIC) is not inside
