"""One spelling of each host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.hosts import canonical_host, host_and_port


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        ("example.com", "example.com"),
        ("Example.COM", "example.com"),
        ("r3---sn-a_b.example", "r3---sn-a_b.example"),
        ("-foo.example", "-foo.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("intranet", "intranet"),
        ("3com.com", "3com.com"),
        ("1.2.3.com", "1.2.3.com"),
        ("93.184.215.14", "93.184.215.14"),
        ("127.0.0.1", "127.0.0.1"),
        ("2606:2800:21F:CB07::0:1", "2606:2800:21f:cb07::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_host_has_one_spelling(host: str, canonical: str) -> None:
    assert canonical_host(host) == canonical


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "example.com.",
        ".example.com",
        "example..com",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0X7F000001",
        "foo.0x",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "127.0.0.1.",
        "fe80::1%eth0",
        "fe80::1%25eth0",
        "[::1]",
        "127%2e0.0.1",
        "%6cocalhost",
        "a b",
        "a\\b",
        "a/b",
        "a@b",
        "a:b",
        "a,b",
        "*.example.com",
        "bücher.example",
        "127。0。0。1",
        "\u212aelvin.example",
        "a" * 64 + ".example",
        ".".join(["a" * 63] * 4),
        "a\n",
    ],
)
def test_what_resolvers_would_read_in_ways_of_their_own_is_no_host(host: str) -> None:
    assert canonical_host(host) is None


@given(st.text(max_size=40))
def test_a_canonical_host_is_its_own_spelling(host: str) -> None:
    canonical = canonical_host(host)

    assert canonical is None or canonical_host(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("files.corp", ("files.corp", 443)),
        ("Files.Corp:8443", ("files.corp", 8443)),
        ("10.0.0.5", ("10.0.0.5", 443)),
        ("10.0.0.5:1", ("10.0.0.5", 1)),
        ("[FD00::0:5]", ("fd00::5", 443)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_a_port_may_stand_behind_a_host(text: str, pair: tuple[str, int]) -> None:
    assert host_and_port(text) == pair


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "a:",
        "a:0",
        "a:65536",
        "a:99999",
        "a:100000",
        "a:-1",
        "a:x",
        "a:\u0664\u0664\u0663",
        "fd00::5",
        "[fd00::5",
        "fd00::5]",
        "[a]",
        "[10.0.0.5]",
        "[fe80::1%1]",
        "https://a",
        "a/b",
        "me@a",
        "*",
        "*.corp",
        "10.0.0.0/8",
        "127.1",
        "a b",
    ],
)
def test_anything_else_is_no_host_and_port(text: str) -> None:
    assert host_and_port(text) is None
