"""Where the HTTP server listens, and on what terms it lets clients in."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.keys import Secret

PATH: Final = "/mcp"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as an IP address or a name, and a port; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`127.0.0.1:8931`, `localhost:8931` or `[::1]:8931`.

        Raises:
            ConfigurationError: it is none of these.
        """
        host, _, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        known = host and (bracketed or ":" not in host) and port.isascii() and port.isdecimal()
        if not known or int(port[:6]) > 65535:
            raise ConfigurationError(
                f"{text} is no address to listen on.",
                hint="Give HOST:PORT, such as 127.0.0.1:8931 or [::1]:8931; 0.0.0.0:8931 for all networks.",
            )
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name: all but this one can lead anywhere
            return self.host == "localhost"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}"


@dataclass(frozen=True, slots=True)
class Terms:
    """Who is let in by which names, how much they may send, and whether they may name files of this machine.

    An entry of `hosts` or `origins` that ends in `:*` stands for every port. `body_limit` is in bytes.
    """

    token: Secret
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    body_limit: int
    connections: int
    stateless: bool = False
    local_paths: bool = False


def allowed_hosts(address: Address, configured: tuple[str, ...], *, token_given: bool) -> tuple[str, ...]:
    """The Host headers to answer to.

    Raises:
        ConfigurationError: other machines can reach the address, and nobody has decided who may.
    """
    if address.is_loopback:
        return _any_port((*_LOOPBACK, *configured))
    missing = [
        *(
            []
            if token_given
            else ["a token of your own (GPT_IMAGE_2_HTTP_TOKEN or GPT_IMAGE_2_HTTP_TOKEN_FILE)"]
        ),
        *([] if configured else ["the names it is called by (GPT_IMAGE_2_HTTP_ALLOWED_HOSTS)"]),
    ]
    if missing:
        raise ConfigurationError(
            f"{address.host} can be reached from other machines, and that needs {' and '.join(missing)}.",
            hint="Set that, or listen on 127.0.0.1.",
        )
    return _any_port(configured)


def allowed_origins(address: Address, configured: tuple[str, ...]) -> tuple[str, ...]:
    """The Origin headers to answer to; a client that is no web page sends none."""
    local = (f"http://{host}" for host in _LOOPBACK) if address.is_loopback else ()
    return _any_port((*local, *configured))


def _any_port(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, and with every port those that are without one."""
    return (*names, *(f"{name}:*" for name in names if not re.search(r":(\d+|\*)$", name)))
