"""Pictures over https, from a stand-in for the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path

import httpcore2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources.https import MAX_HOPS, FetchLimits
from tests.support.sites import PUBLIC, Asked, Network, Piece, head, redirect, serve

pytestmark = pytest.mark.anyio
URL = "https://pictures.example/cat.png"
NOT_FETCHED = "is or leads to a URL that is not fetched: it must be https, on port 443, without a user name"
UNREACHED = "could not be fetched"
SMALL = FetchLimits(max_bytes=1000)
SHORT = FetchLimits(total_s=0.01)


def answering(*pieces: Piece) -> Network:
    return Network(lambda _asked: pieces)


def redirecting(*targets: str, status: int = 302) -> Network:
    steps = list(targets)
    return Network(lambda _asked: redirect(steps.pop(0), status) if steps else serve())


async def refusal(network: Network, url: str = URL, limits: FetchLimits = FetchLimits()) -> str:
    with pytest.raises(InputError) as caught:
        await network.fetcher(limits=limits).fetch(url)
    assert "give its path; nothing was sent" in caught.value.hint
    assert network.open == []
    return caught.value.message


async def test_the_body_is_fetched() -> None:
    network = answering(*serve(200, b"PICTURE" * 1000))

    assert await network.fetcher().fetch(URL) == b"PICTURE" * 1000
    assert [asked.url for asked in network.asked] == [URL]
    assert network.dialled == [(PUBLIC, 443)]
    assert network.open == []


async def test_the_request_carries_no_credentials_and_asks_for_plain_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    network = answering(*serve(200, b"PICTURE", "Set-Cookie: a=b"))
    await network.fetcher().fetch(URL)
    await network.fetcher().fetch(URL)

    for asked in network.asked:
        assert asked.headers["accept-encoding"] == "identity"
        assert not {"authorization", "cookie", "referer"} & set(asked.headers)


async def test_the_environments_proxies_and_netrc_are_ignored(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", "netrc")
    (home / "netrc").write_text("machine pictures.example login me password secret")
    network = answering(*serve())

    assert await network.fetcher().fetch(URL) == b"PICTURE"
    assert network.dialled == [(PUBLIC, 443)]
    assert "authorization" not in network.asked[0].headers


async def test_host_header_and_certificate_name_are_the_hosts_though_an_address_is_dialled() -> None:
    network = answering(*serve())
    network.names["pictures.example"] = [["2606:2800:21f:cb07::1"]]

    await network.fetcher().fetch(URL)

    (asked,) = network.asked
    assert (asked.headers["host"], asked.sni) == ("pictures.example", "pictures.example")
    assert asked.address == "2606:2800:21f:cb07::1"


async def test_an_address_as_the_host_is_asked_for_as_such() -> None:
    network = answering(*serve())

    await network.fetcher().fetch("https://[2606:2800:21F:CB07::0:1]/a")

    (asked,) = network.asked
    assert (asked.headers["host"], asked.sni) == ("[2606:2800:21F:CB07::0:1]", "2606:2800:21f:cb07::1")
    assert network.resolved == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int) -> None:
    network = redirecting("/moved.png", "https://cdn.example/a.png", "//other.example/b.png", status=status)

    assert await network.fetcher().fetch(URL) == b"PICTURE"
    assert [asked.url for asked in network.asked] == [
        URL,
        "https://pictures.example/moved.png",
        "https://cdn.example/a.png",
        "https://other.example/b.png",
    ]
    assert network.open == []


async def test_redirects_have_an_end() -> None:
    network = redirecting(*["/again"] * 50)

    assert await refusal(network) == f"{URL} redirects more than 3 times."
    assert len(network.asked) == MAX_HOPS + 1


@pytest.mark.parametrize(
    "target",
    [
        "http://pictures.example/cat.png",
        "http://127.0.0.1/latest/meta-data",
        "ftp://pictures.example/cat.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://me:secret@pictures.example/cat.png",
        "https://pictures.example:8443/cat.png",
        "https://127.1/cat.png",
    ],
)
async def test_a_redirect_off_plain_https_is_not_followed(target: str) -> None:
    network = redirecting(target)

    assert await refusal(network) == f"{URL} {NOT_FETCHED}."
    assert [asked.url for asked in network.asked] == [URL]


@pytest.mark.parametrize(
    "target", ["https://10.0.0.1/", "//169.254.169.254/latest/meta-data", "https://intranet.example/"]
)
async def test_a_redirect_inside_is_not_followed(target: str) -> None:
    network = redirecting(target)
    network.names["intranet.example"] = [["10.1.2.3"]]

    assert await refusal(network) == f"{URL} {UNREACHED}."
    assert network.dialled == [(PUBLIC, 443)]


async def test_a_password_in_a_url_is_refused_unsent_and_not_repeated() -> None:
    network = answering(*serve())

    message = await refusal(network, "https://me:secret@x.example/a")

    assert message == f"https://x.example/a {NOT_FETCHED}."
    assert network.dialled == []


async def test_a_redirect_to_nonsense_is_refused() -> None:
    assert await refusal(redirecting("https://[::1")) == f"{URL} {UNREACHED}."


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 500, 503])
async def test_only_a_plain_200_holds_a_picture(status: int) -> None:
    message = await refusal(answering(*serve(status, b"" if status in (204, 304) else b"a secret page")))

    assert message == f"{URL} did not answer with a picture."


async def test_a_redirect_without_a_target_holds_no_picture() -> None:
    assert await refusal(answering(*serve(302))) == f"{URL} did not answer with a picture."


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP", "identity, gzip", "x"])
async def test_an_encoded_answer_is_refused_unread(encoding: str) -> None:
    network = answering(
        head(200, f"Content-Encoding: {encoding}", "Content-Length: 9"), AssertionError("read")
    )

    assert await refusal(network) == f"{URL} did not answer with a picture."


async def test_an_answer_that_says_it_is_not_encoded_is_taken() -> None:
    assert await answering(*serve(200, b"PICTURE", "Content-Encoding: Identity")).fetcher().fetch(URL)


async def test_a_body_up_to_the_limit_is_fetched_and_one_byte_more_is_not() -> None:
    assert len(await answering(*serve(200, bytes(1000))).fetcher(limits=SMALL).fetch(URL)) == 1000
    assert (
        await refusal(answering(*serve(200, bytes(1001))), limits=SMALL)
        == f"{URL} is larger than 0.000954 MB."
    )


@pytest.mark.parametrize("declared", ["52428801", "100000000000", "9" * 20])
async def test_a_body_that_is_said_to_be_too_large_is_not_read(declared: str) -> None:
    network = answering(head(200, f"Content-Length: {declared}"), AssertionError("nothing may be read"))

    assert await refusal(network) == f"{URL} is larger than 50 MB."


@pytest.mark.parametrize("declared", ["9" * 5000, "-1", "1e3", "+5", "5, 6"])
async def test_a_length_that_is_none_is_refused(declared: str) -> None:
    assert await refusal(answering(head(200, f"Content-Length: {declared}"), b"1234567")) == (
        f"{URL} {UNREACHED}."
    )


async def test_a_body_without_a_declared_size_is_read_only_up_to_the_limit() -> None:
    network = answering(head(200), bytes(600), bytes(600), AssertionError("one chunk too many was read"))

    assert await refusal(network, limits=SMALL) == f"{URL} is larger than 0.000954 MB."


async def test_chunks_without_end_are_read_only_up_to_the_limit() -> None:
    def endless(_asked: Asked) -> Iterator[Piece]:
        yield head(200, "Transfer-Encoding: chunked")
        yield from repeat(b"64\r\n" + bytes(100) + b"\r\n", 11)
        yield AssertionError("one chunk too many was read")

    assert await refusal(Network(endless), limits=SMALL) == f"{URL} is larger than 0.000954 MB."


async def test_a_body_shorter_than_declared_is_refused() -> None:
    assert await refusal(answering(head(200, "Content-Length: 9"), b"half")) == f"{URL} {UNREACHED}."


async def test_a_body_longer_than_declared_is_taken_as_declared() -> None:
    network = answering(head(200, "Content-Length: 7") + b"PICTURE and more")

    assert await network.fetcher().fetch(URL) == b"PICTURE"


@pytest.mark.parametrize("size", [4, 400])
async def test_headers_without_end_are_not_read_to_the_end(size: int) -> None:
    def flood(_asked: Asked) -> Iterator[Piece]:
        yield b"HTTP/1.1 200 OK\r\n"
        line = b"a:".ljust(size - 2, b"b") + b"\r\n"
        yield from repeat(line * 1000, 100)
        yield AssertionError("100,000 headers were read")

    assert await refusal(Network(flood)) == f"{URL} {UNREACHED}."


async def test_more_headers_than_anyone_needs_are_refused() -> None:
    network = answering(*serve(200, b"PICTURE", *[f"X-{n}: 1" for n in range(100)]))

    assert await refusal(network) == f"{URL} did not answer with a picture."


@pytest.mark.parametrize(
    "pieces",
    [
        [None],
        [head(200, "Content-Length: 99"), None],
        [head(200, "Content-Length: 99"), b"first", None],
        [b"HTTP/1.1 200 OK\r\nX-", None],
    ],
    ids=["before the head", "before the body", "in the body", "in the head"],
)
async def test_a_site_that_stalls_is_given_up(pieces: list[Piece]) -> None:
    assert await refusal(answering(*pieces), limits=SHORT) == f"{URL} could not be fetched."


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", head(200, "Content-Length: 9999999"), b""],
    ids=["in the head", "in the body", "with interim answers"],
)
async def test_a_site_that_drips_is_given_up_in_all(start: bytes) -> None:
    drop = b"x" if start else head(103, "Link: </a>; rel=preload")

    def drip(_asked: Asked) -> Iterator[Piece]:
        yield start or drop
        yield from repeat(drop)

    assert await refusal(Network(drip), limits=SHORT) == f"{URL} could not be fetched."


@pytest.mark.parametrize(
    "failure",
    [
        httpcore2.ConnectError("secret host name"),
        httpcore2.ConnectTimeout("slow"),
        httpcore2.ReadTimeout("slow"),
        httpcore2.ReadError("reset"),
        httpcore2.RemoteProtocolError("not HTTP"),
        OSError(111, "Connection refused"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failing_network_is_said_without_its_words(failure: Exception) -> None:
    for pieces in ([failure], [head(200, "Content-Length: 99"), b"half", failure]):
        assert await refusal(answering(*pieces)) == f"{URL} {UNREACHED}."


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH_9.9\r\n", b"+PONG\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b""]
)
async def test_what_is_not_http_is_not_told_apart(banner: bytes) -> None:
    assert await refusal(answering(banner)) == f"{URL} {UNREACHED}."


async def test_one_text_stands_for_every_host_that_cannot_be_reached() -> None:
    """Closed or open, there or not: whoever asks for what is inside learns nothing about it."""
    network = Network(refuses=frozenset({PUBLIC}))
    network.names = {
        "private.example": [["10.0.0.5"]],
        "mixed.example": [[PUBLIC, "10.0.0.5"]],
        "no.example": [[]],
    }
    hosts = ("private.example", "mixed.example", "no.example", "closed.example", "10.0.0.5", "[::1]")

    texts = {(await refusal(network, f"https://{host}/a")).partition("/a ")[2] for host in hosts}

    assert texts == {f"{UNREACHED}."}


@pytest.mark.parametrize("url", ["https://", "https:///a.png", "https:x", "https://a:0/", "https://a:99999/"])
async def test_a_url_without_a_host_and_port_that_can_be_asked_is_refused(url: str) -> None:
    network = answering(*serve())

    assert NOT_FETCHED in await refusal(network, url)
    assert network.dialled == []


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://a:b/c", f"https://a/{'b' * 70_000}", "https://a/\tb"]
)
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    network = answering(*serve())

    assert UNREACHED in await refusal(network, url)
    assert network.dialled == []


async def test_a_long_url_is_shortened_in_the_refusal() -> None:
    assert len(await refusal(answering(*serve(404)), f"{URL}?{'q' * 5000}")) < 300


async def test_what_is_named_in_a_refusal_cannot_disguise_itself() -> None:
    message = await refusal(answering(*serve(404)), f"{URL}?\u202egnp\u200b")

    assert message == f"{URL}?gnp did not answer with a picture."


async def test_a_named_host_may_be_inside_and_on_a_port_of_its_own() -> None:
    network = answering(*serve())
    network.names["files.corp"] = [["10.0.0.5"]]
    fetcher = network.fetcher(("files.corp", 8443), ("10.0.0.7", 443))

    assert await fetcher.fetch("https://Files.Corp:8443/a") == b"PICTURE"
    assert await fetcher.fetch("https://10.0.0.7/a") == b"PICTURE"
    assert network.dialled == [("10.0.0.5", 8443), ("10.0.0.7", 443)]
    assert network.asked[0].headers["host"] == "files.corp:8443"


@pytest.mark.parametrize(
    "target",
    [
        "https://files.corp/a",
        "https://files.corp:9443/a",
        "http://files.corp:8443/a",
        "https://wiki.corp:8443/a",
    ],
)
async def test_what_a_named_host_leads_to_is_judged_anew(target: str) -> None:
    network = redirecting(target)
    network.names |= {"files.corp": [["10.0.0.5"]], "wiki.corp": [["10.0.0.6"]]}

    with pytest.raises(InputError):
        await network.fetcher(("files.corp", 8443)).fetch("https://files.corp:8443/a")

    assert network.dialled == [("10.0.0.5", 8443)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=30))
async def test_any_url_ends_in_a_picture_or_a_refusal(rest: str) -> None:
    network = answering(*serve())
    with suppress(InputError):
        assert await network.fetcher().fetch(f"https:{rest}") == b"PICTURE"

    assert all(port == 443 for _address, port in network.dialled)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
async def test_any_answer_ends_in_a_picture_or_a_refusal(answer: bytes) -> None:
    network = answering(answer)
    with suppress(InputError):
        await network.fetcher().fetch(URL)

    assert network.open == []
