"""URLs that lead inside: a fixed list, and a generator of as many as are wanted. A table of their own says
where inside is, so that a mistake in the program's does not hide itself."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final

import idna

Address = IPv4Address | IPv6Address

_INSIDE: Final = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32
    ::/16 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16
    fc00::/7 fe80::/9 ff00::/8
"""
INSIDE: Final = tuple(ip_network(network) for network in _INSIDE.split())
PUBLIC: Final = ("93.184.215.14", "2606:2800:21f:cb07::1")

FIXED: Final = Path(__file__).with_suffix(".txt").read_text("utf-8").split("\n")[:-1]
FIXED_WITH_SPACES: Final = (
    "https://127.0.0.1\t/",
    "https://127.0\t.0.1/",
    "https://\n127.0.0.1/",
    "https://127.0.0.1\r\nHost: good.example/",
    "https:\t//127.0.0.1/",
    "https:// 127.0.0.1/",
    "https://127.0.0.1 good.example/",
    "https://127.0.0.1\u3000good.example/",
    "https://127.0.0.1\u2028/",
    "https://good.example \\@127.0.0.1/",
    "https://good.example\\ @127.0.0.1/",
    "https://127.0.0.1\x00good.example/",
    "https://local host/",
    "https://[::1 ]/",
    "https://localhost\x0b/",
)
_NAMES: Final = """
    127.0.0.1        localhost localhost.localdomain localtest.example 127.0.0.1.nip.example
    127.0.0.1        7f000001.nip.example
    ::1              sub.localhost ip6-localhost localhost6
    169.254.169.254  metadata metadata.google.internal instance-data 169-254-169-254.sslip.example
    10.96.0.1        kubernetes.default.svc kubernetes.default.svc.cluster.local
    172.17.0.1       host.docker.internal gateway.docker.internal
    192.168.1.1      router.local printer.local intranet
    10.1.2.3         intranet.corp.example a_b.corp.example xn--mnchen-3ya.corp.example
    fd12::1          v6only.corp.example
    ::ffff:10.0.0.1  mapped.example
    64:ff9b::a00:1   nat64.example
    2002:a00:1::1    sixtofour.example
    fe80::1          linklocal.example
    fe80::1%2        zone.example
    0.0.0.0          unspecified.example
    255.255.255.255  broadcast.example
"""
NAMES: Final = {
    **{name: [line.split()[0]] for line in _NAMES.splitlines() for name in line.split()[1:]},
    "mixed.example": ["10.0.0.1", *PUBLIC],
    "mixed-last.example": [*PUBLIC, "10.0.0.1"],
    "nobody.example": [],
}


def is_inside(address: str) -> bool:
    """By this table; a zone makes an address one of this machine's links."""
    plain, zone, _ = address.partition("%")
    parsed = ip_address(plain)
    return bool(zone) or any(parsed in network for network in INSIDE)


def as_the_c_library(host: str) -> list[str] | None:
    """What getaddrinfo makes of a host that is some spelling of an IPv4 address."""
    try:
        return [socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))]
    except OSError:
        return None


@dataclass(frozen=True)
class Case:
    """A URL; what its names lead to, resolution by resolution; and where the sites on the way redirect to."""

    url: str
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    hops: tuple[str, ...] = ()


def generate(count: int, seed: int) -> list[Case]:
    rng = random.Random(seed)
    return [_redirected(rng, _case(rng, number), number) for number in range(count)]


def _case(rng: random.Random, number: int) -> Case:
    """Either an address in some spelling, or a name that some resolver leads inside."""
    if rng.random() < 0.6:
        return Case(_url(rng, _spelled(rng, _address_inside(rng))))
    name = f"{rng.choice(['host', 'Host', 'BÜCHER', 'xn--bcher-kva', 'a_b'])}-{number}.example"
    return Case(_url(rng, name), {_ascii(name): [_answer(rng)]})


def _redirected(rng: random.Random, case: Case, number: int) -> Case:
    """As it is, or behind public sites, or behind one whose name turns inside at the second resolution."""
    way = rng.random()
    if way < 0.5:
        return case
    if way < 0.6:
        name = f"rebinding-{number}.example"
        return Case(f"https://{name}/", {name: [[rng.choice(PUBLIC)], _answer(rng)]}, ("/again",))
    hops = [f"https://public-{n}.example/" for n in range(rng.randint(1, 3))]
    last = case.url.partition(":")[2] if rng.random() < 0.3 and "://" in case.url else case.url
    return Case(hops[0], case.names, (*hops[1:], last))


def _address_inside(rng: random.Random) -> Address:
    network = rng.choice(INSIDE)
    return network[rng.randrange(network.num_addresses)]


def _answer(rng: random.Random) -> list[str]:
    """What a resolver says: an address inside, alone or somewhere among public ones."""
    inside = str(_address_inside(rng))
    found = [inside, *rng.choices(PUBLIC, k=rng.choice([0, 0, 1, 3]))]
    rng.shuffle(found)
    return found


def _spelled(rng: random.Random, address: Address) -> str:
    if isinstance(address, IPv6Address):
        return f"[{rng.choice(V6_SPELLINGS)(address)}]"
    if rng.random() < 0.4:
        return f"[{rng.choice(EMBEDDINGS)(address)}]"
    return rng.choice(V4_SPELLINGS)(address)


def _octets(address: IPv4Address, form: str) -> str:
    return ".".join(format(octet, form) for octet in address.packed)


def _short(address: IPv4Address) -> str:
    first, *rest = address.packed
    return f"{first}.{int.from_bytes(bytes(rest))}"


V4_SPELLINGS: Final[tuple[Callable[[IPv4Address], str], ...]] = (
    str,
    lambda a: str(int(a)),
    lambda a: hex(int(a)),
    lambda a: f"0{int(a):o}",
    lambda a: _octets(a, "#x"),
    lambda a: _octets(a, "04o"),
    lambda a: _octets(a, "03d"),
    _short,
    lambda a: f"{a}.",
    lambda a: str(a).replace(".", "。"),
    lambda a: str(a).replace(".", "%2e"),
    lambda a: str(a).translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    lambda a: "".join(f"%{ord(c):02x}" for c in str(a)),
    lambda a: f"{a}\\.public-0.example",
)
V6_SPELLINGS: Final[tuple[Callable[[IPv6Address], str], ...]] = (
    str,
    lambda a: a.exploded,
    lambda a: a.exploded.upper(),
    lambda a: f"{a}%25eth0",
    lambda a: f"{a}%1",
)


def _embedded(prefix: str, shift: int) -> Callable[[IPv4Address], str]:
    base = int(IPv6Network(prefix).network_address)
    return lambda a: str(IPv6Address(base + (int(a) << shift)))


EMBEDDINGS: Final = (
    _embedded("::/96", 0),
    _embedded("::ffff:0:0/96", 0),
    _embedded("::ffff:0:0:0/96", 0),
    _embedded("64:ff9b::/96", 0),
    _embedded("64:ff9b:1::/96", 0),
    _embedded("2002::/16", 80),
    _embedded("2001::/32", 64),
    lambda a: f"::ffff:{a}",
    lambda a: f"64:ff9b::{a}",
)
_SCHEMES: Final = ["https"] * 12 + ["HTTPS", "http", "ftp", "ws", "file"]
_PORTS: Final = [""] * 8 + [":443", ":0443", ":", ":80", ":8443", ":0", ":\uff14\uff14\uff13", ":x"]
_USERS: Final = [""] * 8 + ["@", "me@", "me:pw@", "public-0.example@", "public-0.example:443@"]
_USERS_TRICKY: Final = ["public-0.example\\@", "public-0.example%2f@", "public-0.example%23@"]
_PATHS: Final = [
    "/",
    "",
    "/a.png",
    "/a?b=https://public-0.example/",
    "/#@public-0.example",
    "?@public-0.example",
]


def _url(rng: random.Random, host: str) -> str:
    user = rng.choice([*_USERS, *_USERS_TRICKY])
    return f"{rng.choice(_SCHEMES)}://{user}{host}{rng.choice(_PORTS)}{rng.choice(_PATHS)}"


def _ascii(name: str) -> str:
    return name.lower() if name.isascii() else idna.encode(name.lower()).decode()
