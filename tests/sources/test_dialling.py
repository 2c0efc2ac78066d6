"""Names, checked addresses, and the connections that are made."""

from __future__ import annotations

import asyncio

import httpcore2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.sources import dialling
from gpt_image_2_mcp.sources.dialling import Dialler, system_resolve
from tests.support.sites import PUBLIC, Network

pytestmark = pytest.mark.anyio
HOST = "pictures.example"
V6 = "2606:2800:21f:cb07::1"
NAMED = (HOST, 8443)


def resolving(*answers: list[str]) -> Network:
    return Network(names={HOST: list(answers)})


async def dial(network: Network, host: str = HOST, port: int = 443, *allowed: tuple[str, int]) -> None:
    async with network.dialler(*allowed).dialled(host, port):
        pass


async def refused(network: Network, host: str = HOST, port: int = 443, *allowed: tuple[str, int]) -> None:
    with pytest.raises(httpcore2.ConnectError) as caught:
        await dial(network, host, port, *allowed)
    assert str(caught.value) == ""
    assert network.open == []


async def test_the_address_that_was_checked_is_dialled_after_one_resolution() -> None:
    network = resolving([PUBLIC], ["127.0.0.1"])

    await dial(network)

    assert network.resolved == [HOST]
    assert network.dialled == [(PUBLIC, 443)]
    assert network.open == []


async def test_a_name_that_turns_inside_is_refused_the_next_time() -> None:
    network = resolving([PUBLIC], ["127.0.0.1"])
    await dial(network)

    await refused(network)

    assert network.dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "answer", [["10.0.0.1"], ["::1"], ["fd00::1"], ["169.254.169.254"], ["::ffff:1.1.1.1"]]
)
async def test_a_name_that_leads_inside_is_not_dialled(answer: list[str]) -> None:
    network = resolving(answer)

    await refused(network)

    assert network.dialled == []


@pytest.mark.parametrize(
    "answer",
    [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, V6, "fe80::1%2"], [PUBLIC] * 9 + ["127.0.0.1"]],
)
async def test_one_forbidden_answer_refuses_the_whole(answer: list[str]) -> None:
    network = resolving(answer)

    await refused(network)

    assert network.dialled == []


async def test_a_name_without_an_address_is_refused() -> None:
    await refused(resolving([]))


async def test_an_answer_that_is_no_address_is_not_dialled() -> None:
    network = resolving([PUBLIC, "elsewhere.example"])

    with pytest.raises(ValueError, match="elsewhere"):
        await dial(network)

    assert network.dialled == []


async def test_an_address_is_not_resolved() -> None:
    network = Network()

    await dial(network, PUBLIC)
    await dial(network, V6)
    await refused(network, "127.0.0.1")

    assert network.resolved == []
    assert network.dialled == [(PUBLIC, 443), (V6, 443)]


async def test_another_port_is_not_dialled_nor_its_name_resolved() -> None:
    network = Network()

    await refused(network, HOST, 8443)

    assert (network.resolved, network.dialled) == ([], [])


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "100.64.0.1", "::1", "fd00::1", PUBLIC, V6])
async def test_a_named_host_may_be_inside_on_its_port(address: str) -> None:
    network = resolving([address])

    await dial(network, HOST, 8443, NAMED)

    assert network.dialled == [(address, 8443)]


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "192.0.0.192",
        "fec0::1",
    ],
)
async def test_not_even_a_named_host_may_be_link_local_metadata_multicast_or_disguised(address: str) -> None:
    network = resolving(["10.0.0.1", address])

    await refused(network, HOST, 8443, NAMED)
    await refused(Network(), address, 8443, (address, 8443))

    assert network.dialled == []


async def test_a_named_port_does_not_open_another() -> None:
    network = resolving(["10.0.0.1"])

    await refused(network, HOST, 443, NAMED)
    await refused(network, HOST, 9443, NAMED)
    await refused(network, f"sub.{HOST}", 8443, NAMED)

    assert network.dialled == []


@pytest.mark.parametrize(
    "peer", [None, ("127.0.0.1", 443), (V6, 443), ("no address", 443), ("unix",), "/run/socket"]
)
async def test_a_connection_to_somebody_else_than_was_dialled_is_dropped(peer: object) -> None:
    network = Network(peer=lambda _address: peer)

    await refused(network)

    assert network.dialled == [(PUBLIC, 443)]


async def test_the_next_address_is_dialled_where_one_does_not_answer() -> None:
    network = resolving([V6, "2606:2800:21f:cb07::2", PUBLIC])
    network.refuses = frozenset({V6})

    await dial(network)

    assert network.dialled == [(V6, 443), (PUBLIC, 443)]


async def test_addresses_are_not_tried_without_end() -> None:
    network = resolving([f"93.184.215.{n}" for n in range(50)])
    network.refuses = frozenset(network.names[HOST][0])

    await refused(network)

    assert len(network.dialled) == 4
    assert network.resolved == [HOST]


async def test_a_resolver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(dialling, "_RESOLVE_S", 0.01)
    network = Network()

    with pytest.raises(TimeoutError):
        async with Dialler(resolve=silent, connect=network.connect).dialled(HOST, 443):
            pass

    assert network.dialled == []


async def test_the_system_resolves_what_is_on_this_machine() -> None:
    assert set(await system_resolve("localhost", 443)) <= {"127.0.0.1", "::1"}


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(network="10.0.0.0/8").map(str),
    st.sampled_from([PUBLIC, V6, "169.254.169.254", "::1", "93.184.215.15"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ADDRESSES, max_size=4), st.booleans())
async def test_whatever_a_resolver_says_only_what_may_be_dialled_is(answer: list[str], named: bool) -> None:
    network = resolving(answer)
    port = 8443 if named else 443
    try:
        await dial(network, HOST, port, NAMED)
    except httpcore2.ConnectError:
        assert network.dialled == []
    else:
        assert network.dialled[0][0] in answer
    assert len(network.resolved) == 1
