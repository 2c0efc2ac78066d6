"""Where the HTTP server may listen, and by which names it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.server.terms import Address, allowed_hosts, allowed_origins

LOOPBACK = Address("127.0.0.1", 8931)
EVERYWHERE = Address("0.0.0.0", 8931)


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:8931", "127.0.0.1", 8931, "http://127.0.0.1:8931/mcp"),
        ("localhost:0", "localhost", 0, "http://localhost:0/mcp"),
        ("[::1]:8931", "::1", 8931, "http://[::1]:8931/mcp"),
        ("0.0.0.0:65535", "0.0.0.0", 65535, "http://0.0.0.0:65535/mcp"),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int, url: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.url) == (host, port, url)


@pytest.mark.parametrize(
    "text",
    ["", "8931", ":8931", "127.0.0.1", "127.0.0.1:", "::1:8931", "[]:1", "a:65536", "a:-1", "a:²", "a:x"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no address to listen on\. Give HOST:PORT, such as"):
        Address.parse(text)


@given(st.text())
def test_no_text_is_a_crash(text: str) -> None:
    try:
        address = Address.parse(text)
    except ConfigurationError:
        return
    assert address.host
    assert 0 <= address.port <= 65535


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_these_addresses_are_this_machines_alone(host: str) -> None:
    assert Address(host, 1).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "localhost.example.com", "box"])
def test_every_other_address_is_open_to_others(host: str) -> None:
    assert not Address(host, 1).is_loopback


def test_an_open_address_needs_a_token_and_names_that_somebody_chose() -> None:
    with pytest.raises(ConfigurationError) as caught:
        allowed_hosts(EVERYWHERE, (), token_given=False)
    assert str(caught.value) == (
        "0.0.0.0 can be reached from other machines, and that needs a token of your own "
        "(GPT_IMAGE_2_HTTP_TOKEN or GPT_IMAGE_2_HTTP_TOKEN_FILE) and the names it is called by "
        "(GPT_IMAGE_2_HTTP_ALLOWED_HOSTS). Set that, or listen on 127.0.0.1."
    )
    with pytest.raises(ConfigurationError, match="that needs a token of your own"):
        allowed_hosts(EVERYWHERE, ("images.example.com",), token_given=False)
    with pytest.raises(ConfigurationError, match="that needs the names it is called by"):
        allowed_hosts(EVERYWHERE, (), token_given=True)


def test_an_open_address_answers_to_the_chosen_names_alone() -> None:
    hosts = allowed_hosts(EVERYWHERE, ("images.example.com", "box:8931", "[fd00::1]"), token_given=True)
    assert hosts == (
        "images.example.com",
        "box:8931",
        "[fd00::1]",
        "images.example.com:*",
        "[fd00::1]:*",
    )


def test_a_loopback_address_answers_to_its_names_and_to_those_of_a_proxy_before_it() -> None:
    hosts = allowed_hosts(LOOPBACK, ("images.example.com",), token_given=False)
    assert {"localhost", "127.0.0.1:*", "[::1]:*", "images.example.com"} <= set(hosts)
    assert not {host for host in hosts if host.startswith("*")}


def test_web_pages_of_this_machine_are_let_in_on_a_loopback_address_alone() -> None:
    assert "http://localhost:*" in allowed_origins(LOOPBACK, ())
    assert allowed_origins(EVERYWHERE, ()) == ()
    assert allowed_origins(EVERYWHERE, ("https://chat.example.com:*",)) == ("https://chat.example.com:*",)
