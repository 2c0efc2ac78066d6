"""The client: one request out, its raw body onto disk, every way in which that can go wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import (
    AccessDenied,
    ImageServerError,
    OutcomeUnknown,
    Rejected,
    StorageError,
    Unreachable,
    Unsendable,
    UpstreamError,
    UpstreamFailure,
    UpstreamTimeout,
)
from gpt_image_2_mcp.gateways import _receiving
from gpt_image_2_mcp.gateways._sink import Sink
from gpt_image_2_mcp.gateways._upstream import Account, Timeouts, Upstream
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.models import EncodedPicture
from tests.gateways.disks import disks
from tests.gateways.samples import OPERATION, PROMPT, Streamed, breaking, event, stream_of
from tests.support.upstreams import CANARY, Recorder, canned, scripted, streamed, upstream

pytestmark = pytest.mark.anyio

PAID = "images/generations"
BODY = {"model": "gpt-image-2", "prompt": PROMPT}


def answering(stream: httpx2.AsyncByteStream, status: int = 200) -> Recorder:
    return scripted(lambda _request: httpx2.Response(status, stream=stream))


async def stall() -> None:
    await asyncio.Event().wait()


async def spooled(
    recorder: Recorder, target: Path, timeouts: Timeouts = Timeouts(), limits: Limits = Limits()
) -> bytes:
    client = upstream(recorder, timeouts, limits)
    try:
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)
    finally:
        await client.close()
    return target.read_bytes()


async def failed(
    recorder: Recorder,
    target: Path,
    timeouts: Timeouts = Timeouts(),
    limits: Limits = Limits(),
    *,
    posts: int = 1,
) -> ImageServerError:
    """The error of a call that must fail, after exactly one POST and with nothing under the final name."""
    with pytest.raises(ImageServerError) as raised:
        await spooled(recorder, target, timeouts, limits)
    assert len(recorder.posts) == len(recorder.requests) == posts
    assert not target.exists()
    assert CANARY not in str(raised.value)
    assert PROMPT not in str(raised.value)
    return raised.value


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder / "0.resp"


# What arrives


@pytest.mark.parametrize(
    "chunks",
    [
        (b"{}",),
        (b"",),
        tuple(bytes([n]) for n in range(256)),
        (os.urandom(700_001),) * 5,
        (b"x" * (1 << 20), b"y"),
        (b"not JSON \x00\r\n\xff",),
    ],
    ids=["small", "empty", "byte by byte", "large", "exactly one buffer", "odd"],
)
async def test_the_spooled_file_is_the_body_byte_for_byte(chunks: tuple[bytes, ...], target: Path) -> None:
    assert await spooled(answering(Streamed(*chunks)), target) == b"".join(chunks)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


async def test_the_spooled_file_is_for_its_owner_alone(target: Path) -> None:
    await spooled(canned(body={}), target)
    assert target.stat().st_mode & 0o777 == 0o600


async def test_a_compressed_body_is_neither_asked_for_nor_unpacked(target: Path) -> None:
    recorder = canned(raw=b"\x1f\x8b\x08 bomb", headers={"content-encoding": "gzip"})
    assert await spooled(recorder, target) == b"\x1f\x8b\x08 bomb"
    assert recorder.requests[0].headers["accept-encoding"] == "identity"


async def test_the_body_is_flushed_before_it_gets_its_final_name(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    flush = os.fsync

    def watched(handle: int) -> None:
        seen.append((os.fstat(handle).st_size, target.exists()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", watched)
    body = await spooled(canned(body=BODY), target)
    assert (len(body), False) in seen


async def test_what_an_earlier_attempt_left_behind_does_not_end_up_in_the_body(target: Path) -> None:
    target.with_name("0.part").write_bytes(b"x" * 1000)
    assert await spooled(canned(raw=b"{}"), target) == b"{}"


async def test_what_arrived_of_a_broken_body_is_kept_beside_the_final_name(target: Path) -> None:
    half = b'{"data":[{"b64_json":"' + b"A" * (1 << 20)
    await failed(answering(Streamed(half, then=breaking(httpx2.ReadError("reset")))), target)
    assert target.with_name("0.part").read_bytes() == half


async def test_several_calls_share_one_client_and_its_address(target: Path) -> None:
    recorder = canned(body={})
    opened: list[int] = []

    def transport() -> Recorder:
        opened.append(1)
        return recorder

    client = Upstream(Account("https://api.openai.com/v1", Secret(CANARY)), transport)
    assert not opened
    targets = [[target.with_name(f"{n}.resp")] for n in range(20)]
    await asyncio.gather(*(client.spool(PAID, each, idempotency_key="k", json=BODY) for each in targets))
    await client.close()
    assert len(opened) == 1
    assert recorder.posts == ["/v1/images/generations"] * 20


async def test_a_client_that_never_called_can_be_closed() -> None:
    await upstream(canned()).close()


async def test_the_name_of_the_operation_goes_with_a_paid_call_and_with_no_other(target: Path) -> None:
    recorder = canned(body={})
    client = upstream(recorder)
    await client.spool(PAID, [target], idempotency_key="op-7", json=BODY)
    await client.call("POST", "files", data={"purpose": "vision"})
    await client.call("DELETE", "files/file-1")
    assert [r.headers.get("idempotency-key") for r in recorder.requests] == ["op-7", None, None]


async def test_the_network_limits_are_ours(target: Path) -> None:
    recorder = canned(body={})
    await spooled(recorder, target, Timeouts(connect=1, pool=2, write=3, first_byte=4))
    assert recorder.requests[0].extensions["timeout"] == {"connect": 1, "pool": 2, "write": 3, "read": 4}


def test_the_first_byte_of_a_slow_picture_may_take_its_280_seconds() -> None:
    limits = Timeouts()
    assert limits.for_client().read == limits.first_byte >= 280
    assert limits.total >= limits.first_byte + limits.idle


# Time


async def test_a_body_that_stalls_is_given_up_after_the_idle_limit(target: Path) -> None:
    error = await failed(answering(Streamed(b"{", then=stall)), target, Timeouts(idle=0.02))
    assert type(error) is UpstreamTimeout
    assert "not sent again" in error.hint


async def test_a_body_that_never_begins_is_given_up_after_the_idle_limit(target: Path) -> None:
    assert type(await failed(answering(Streamed(then=stall)), target, Timeouts(idle=0.02))) is UpstreamTimeout


async def test_a_body_that_drips_is_given_up_after_the_total_limit(target: Path) -> None:
    class Dripping(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                yield b" "
                await asyncio.sleep(0.001)

    error = await failed(answering(Dripping()), target, Timeouts(total=0.05))
    assert type(error) is UpstreamTimeout


# Streams


def streaming(*chunks: bytes, then: Callable[[], Awaitable[None]] | None = None) -> Recorder:
    return scripted(lambda _request: stream_of(*chunks, then=then))


PARTIAL = event("image_generation.partial_image", b64_json="QUJD", partial_image_index=1)
COMPLETED = event("image_generation.completed", b64_json="REVG")


async def test_a_spooled_stream_is_what_came_byte_for_byte(target: Path) -> None:
    chunks = (b": hello\n\n", PARTIAL[:30], PARTIAL[30:], b"x: y\r\n", COMPLETED, b": good-bye\n\n")
    assert await spooled(streaming(*chunks), target) == b"".join(chunks)


async def test_each_event_stands_on_disk_before_the_next_one_comes(target: Path) -> None:
    part, seen = target.with_name("0.part"), list[bytes]()

    class Stream(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for chunk in (PARTIAL, COMPLETED[:20], COMPLETED[20:]):
                yield chunk
                seen.append(part.read_bytes())

    headers = {"content-type": "text/event-stream; charset=utf-8"}
    await spooled(scripted(lambda _r: httpx2.Response(200, stream=Stream(), headers=headers)), target)
    assert seen == [PARTIAL, PARTIAL, PARTIAL + COMPLETED]


async def test_a_partial_picture_is_told_of_when_it_stands_on_disk(target: Path) -> None:
    found: list[tuple[int, bytes]] = []

    async def on_partial(index: int, picture: EncodedPicture) -> None:
        found.append((index, picture.body.read_bytes()[picture.start : picture.end]))

    client = upstream(streaming(b": x\n", PARTIAL[:9], PARTIAL[9:] + COMPLETED[:9], COMPLETED[9:]))
    await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY, on_partial=on_partial)
    assert found == [(1, b"QUJD")]


async def test_no_events_are_looked_for_in_an_answer_that_is_no_stream(target: Path) -> None:
    """A reset behind what looks like the last event is a reset."""
    error = await failed(answering(Streamed(COMPLETED, then=breaking(httpx2.ReadError("reset")))), target)
    assert type(error) is OutcomeUnknown


@pytest.mark.parametrize("how", [breaking(httpx2.ReadError("reset")), stall])
@pytest.mark.parametrize("last", [COMPLETED, event("error", error={"message": "No."})])
async def test_a_stream_that_has_said_all_is_whole_whatever_becomes_of_its_connection(
    how: Callable[[], Awaitable[None]], last: bytes, target: Path
) -> None:
    limits = Timeouts(idle=0.02, stream_idle=60, first_byte=60)
    assert await spooled(streaming(PARTIAL, last, then=how), target, limits) == PARTIAL + last
    assert not target.with_name("0.part").exists()


@pytest.mark.parametrize("chunks", [(PARTIAL,), (COMPLETED[:-5],), ()], ids=["partial", "half", "nothing"])
async def test_a_stream_that_breaks_before_it_has_said_all_leaves_the_outcome_unknown(
    chunks: tuple[bytes, ...], target: Path
) -> None:
    error = await failed(streaming(*chunks, then=breaking(httpx2.RemoteProtocolError("cut"))), target)
    assert type(error) is OutcomeUnknown
    assert target.with_name("0.part").read_bytes() == b"".join(chunks)


async def test_a_silent_stream_is_given_up_after_its_own_limit(target: Path) -> None:
    limits = Timeouts(idle=0, stream_idle=0.05, first_byte=0)
    assert type(await failed(streaming(PARTIAL, then=stall), target, limits)) is UpstreamTimeout


async def test_a_stream_is_not_given_up_before_the_first_byte_of_an_answer_would_be_due(target: Path) -> None:
    """The head of a stream comes at once, and says nothing of how long the picture takes."""

    async def a_while() -> None:
        for _ in range(9):  # a limit that is over ends this at the first
            await asyncio.sleep(0)

    chunks = streaming(PARTIAL, then=a_while)
    assert await spooled(chunks, target, Timeouts(idle=0, stream_idle=0, first_byte=60)) == PARTIAL


def test_the_limits_of_a_stream_are_those_of_the_model(target: Path) -> None:
    limits = Timeouts()
    assert limits.stream_idle == 120
    assert limits.total >= limits.first_byte + limits.stream_idle


async def test_a_stream_takes_no_memory(target: Path) -> None:
    class Stream(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b'data: {"type":"image_generation.completed","b64_json":"'
            for _ in range(60 * 16):
                yield bytes(1 << 16).replace(b"\0", b"A")
            yield b'"}\n\n'

    headers = {"content-type": "text/event-stream"}
    recorder = scripted(lambda _r: httpx2.Response(200, stream=Stream(), headers=headers))
    client = upstream(recorder)
    tracemalloc.start()
    try:
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert target.stat().st_size > 60 << 20


async def test_a_body_that_keeps_coming_outlives_the_idle_limit(target: Path) -> None:
    class Steady(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for _ in range(30):
                yield b"x"
                await asyncio.sleep(0.01)

    assert await spooled(answering(Steady()), target, Timeouts(idle=0.2)) == b"x" * 30


class Silent(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.set()
        await stall()
        raise AssertionError


async def test_an_answer_that_never_comes_is_given_up_after_the_total_limit(target: Path) -> None:
    error = await failed(Recorder(Silent()), target, Timeouts(total=0.02))
    assert type(error) is UpstreamTimeout


async def test_an_error_body_that_stalls_is_given_up_after_the_total_limit(target: Path) -> None:
    recorder = answering(Streamed(b"{", then=stall), status=500)
    assert isinstance(await failed(recorder, target, Timeouts(total=0.02)), OutcomeUnknown)


async def test_a_cancelled_call_stays_cancelled_and_leaves_no_final_file(target: Path) -> None:
    silent = Silent()
    recorder = Recorder(silent)
    call = asyncio.ensure_future(spooled(recorder, target))
    await silent.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not target.exists()
    assert len(recorder.posts) == 1


# Size and disk


async def test_an_answer_over_the_cap_is_given_up(target: Path) -> None:
    error = await failed(answering(Streamed(b"x" * MB, b"x")), target, limits=Limits(answer=MB))
    assert type(error) is OutcomeUnknown
    assert error.message == "OpenAI's answer is larger than 1 MB."


async def test_an_answer_of_the_capped_size_is_taken(target: Path) -> None:
    answer = Streamed(b"x" * 600, b"x" * 400)
    assert len(await spooled(answering(answer), target, limits=Limits(answer=1000))) == 1000


async def test_an_endless_error_body_is_read_only_so_far(target: Path) -> None:
    given: list[int] = []

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                given.append(1)
                yield b"x" * 10_000

    assert type(await failed(answering(Endless(), status=500), target)) is UpstreamFailure
    assert len(given) == 7


async def test_a_spool_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    assert await spooled(canned(body={}), tmp_path / "gone" / "0.resp") == b"{}"


async def test_a_folder_that_cannot_be_made_is_a_storage_error_that_warns_of_the_bill(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"")
    error = await failed(canned(body={}), blocked / "spool" / "0.resp")
    assert type(error) is StorageError
    assert "may have been billed" in error.hint
    assert str(blocked) in error.message


async def test_a_full_disk_sends_the_answer_to_the_next_folder_and_the_call_out_once(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_receiving, "_WRITE_BYTES", 4)
    disks(monkeypatch, {target.parent: 9})
    recorder = answering(Streamed(*(b"%03d," % n for n in range(100))))
    client = upstream(recorder)
    second = tmp_path / "second" / "0.resp"
    came = await client.spool(PAID, [target, second], idempotency_key=OPERATION, json=BODY)
    assert came.path == second
    assert second.read_bytes() == b"".join(b"%03d," % n for n in range(100))
    assert list(target.parent.iterdir()) == []
    assert len(recorder.posts) == 1


async def test_what_a_full_disk_had_taken_is_kept_when_no_folder_takes_the_rest(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_receiving, "_WRITE_BYTES", 4)
    disks(monkeypatch, {target.parent: 9})
    error = await failed(answering(Streamed(*[b"abcd"] * 20)), target)
    assert type(error) is StorageError
    assert "No space left on device" in error.message
    assert target.with_name("0.part").read_bytes() == b"abcdabcda"


@pytest.mark.parametrize("work", ["write", "finish"])
async def test_a_call_cancelled_while_the_disk_works_lets_it_end_and_writes_nothing_twice(
    work: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    real: Callable[..., Any] = getattr(Sink, work)

    def slow(self: Sink, *data: bytes) -> Any:
        begun.set()
        assert may_go_on.wait(10)
        return real(self, *data)

    monkeypatch.setattr(Sink, work, slow)
    monkeypatch.setattr(_receiving, "_WRITE_BYTES", 4)
    client = upstream(answering(Streamed(b"abcd", b"efgh")))
    call = asyncio.ensure_future(client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY))
    assert await run_sync(begun.wait, 10)
    call.cancel()
    await asyncio.wait({call}, timeout=0.01)
    assert not call.done()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    (path,) = target.parent.iterdir()
    assert path.read_bytes() == (b"abcd" if work == "write" else b"abcdefgh")


async def test_a_flush_that_fails_gives_no_final_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert type(await failed(canned(body={}), target)) is StorageError


# What httpx2 raises

REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/images/generations")

EXPECTED: dict[str, type[UpstreamError]] = {
    "ConnectError": Unreachable,
    "ConnectTimeout": Unreachable,
    "PoolTimeout": Unreachable,
    "ProxyError": Unreachable,
    "UnsupportedProtocol": Unsendable,
    "LocalProtocolError": Unsendable,
    "InvalidURL": Unsendable,
    "ReadTimeout": UpstreamTimeout,
    "WriteTimeout": UpstreamTimeout,
    "TimeoutException": UpstreamTimeout,
    "ReadError": OutcomeUnknown,
    "WriteError": OutcomeUnknown,
    "CloseError": OutcomeUnknown,
    "NetworkError": OutcomeUnknown,
    "RemoteProtocolError": OutcomeUnknown,
    "ProtocolError": OutcomeUnknown,
    "SSEError": OutcomeUnknown,
    "TransportError": OutcomeUnknown,
    "RequestError": OutcomeUnknown,
    "HTTPError": OutcomeUnknown,
    "HTTPStatusError": OutcomeUnknown,
    "DecodingError": OutcomeUnknown,
    "TooManyRedirects": OutcomeUnknown,
    "StreamError": OutcomeUnknown,
    "StreamConsumed": OutcomeUnknown,
    "StreamClosed": OutcomeUnknown,
    "ResponseNotRead": OutcomeUnknown,
    "RequestNotRead": OutcomeUnknown,
}
NEVER_RAISED_BY_A_CALL = {"CookieConflict"}
MID_BODY = [name for name, expected in EXPECTED.items() if issubclass(expected, OutcomeUnknown)]


def raised_by_httpx2() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(httpx2).items()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning)
    }


def instance(name: str) -> Exception:
    text = f"boom with {CANARY} and {PROMPT}"
    makers: dict[str, Callable[[], Exception]] = {
        "HTTPStatusError": lambda: httpx2.HTTPStatusError(
            text, request=REQUEST, response=httpx2.Response(500)
        ),
        **{
            each: raised_by_httpx2()[each]
            for each in ("StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead")
        },
    }
    return makers[name]() if name in makers else raised_by_httpx2()[name](text)


def test_every_exception_that_httpx2_has_is_translated_or_known_not_to_come() -> None:
    assert set(raised_by_httpx2()) == set(EXPECTED) | NEVER_RAISED_BY_A_CALL


def raising(error: Exception) -> Recorder:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        raise error

    return scripted(handler)


@pytest.mark.parametrize("name", EXPECTED)
async def test_every_exception_of_a_call_becomes_one_of_ours_after_one_post(name: str, target: Path) -> None:
    error = await failed(raising(instance(name)), target)
    assert type(error) is EXPECTED[name]
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize("name", MID_BODY)
async def test_every_exception_inside_a_body_leaves_the_outcome_unknown(name: str, target: Path) -> None:
    error = await failed(answering(Streamed(b"{", then=breaking(instance(name)))), target)
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize("name", EXPECTED)
async def test_every_exception_of_a_small_request_becomes_one_of_ours(name: str) -> None:
    client = upstream(raising(instance(name)))
    with pytest.raises(UpstreamError) as raised:
        await client.call("DELETE", "files/file-1")
    assert type(raised.value) is EXPECTED[name]


async def test_what_is_proven_unsent_names_the_host_and_says_that_nothing_was_billed(target: Path) -> None:
    error = await failed(raising(httpx2.ConnectError("refused")), target)
    assert "api.openai.com" in error.message
    assert "nothing was billed" in error.hint
    assert error.retryable


async def test_what_may_have_been_billed_says_so_and_does_not_invite_another_call(target: Path) -> None:
    error = await failed(raising(httpx2.ReadError("reset")), target)
    assert "billed" in error.hint
    assert not error.retryable


@pytest.mark.parametrize("address", ["https://host:port/v1", "https://host/\x7f"])
async def test_an_address_that_is_none_is_an_error_of_ours(address: str, target: Path) -> None:
    client = Upstream(Account(address, Secret(CANARY)), canned)
    with pytest.raises(Unreachable):
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)


async def test_an_address_without_a_scheme_is_an_error_of_ours(target: Path) -> None:
    client = Upstream(Account("api.openai.com/v1", Secret(CANARY)))
    with pytest.raises(Unreachable):
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)
    await client.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1"])
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_a_kind_that_cannot_be_used_is_proof_that_nothing_was_sent(
    name: str, proxy: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy)
    client = Upstream(Account("https://api.openai.com/v1", Secret(CANARY)))
    with pytest.raises(Unsendable, match="proxy") as raised:
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)
    assert "Nothing was sent" in raised.value.hint
    assert not raised.value.retryable
    await client.close()


async def test_what_is_unreachable_by_a_proxy_names_its_variables(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    client = Upstream(Account("https://api.openai.com/v1", Secret(CANARY)))
    with pytest.raises(Unreachable) as raised:
        await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)
    assert "HTTPS_PROXY" in raised.value.hint
    assert "nothing was billed" in raised.value.hint
    await client.close()


# One POST, whatever is answered


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 529, 599]
)
@pytest.mark.parametrize("advice", [{}, {"x-should-retry": "true", "retry-after": "0"}], ids=["", "told to"])
async def test_no_status_has_a_paid_call_sent_again(
    status: int, advice: dict[str, str], target: Path
) -> None:
    error = await failed(canned(status, body={"error": {"message": "No."}}, headers=advice), target)
    expected = OutcomeUnknown if status in (408, 409) or status >= 500 else Rejected
    assert isinstance(error, expected)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", ["https://elsewhere.example/v1", "/v1/images/generations"])
async def test_a_redirect_is_not_followed(status: int, location: str, target: Path) -> None:
    error = await failed(canned(status, headers={"location": location}), target)
    assert type(error) is Rejected
    assert "OPENAI_BASE_URL" in error.hint


async def test_a_redirected_small_request_is_not_followed() -> None:
    recorder = canned(307, headers={"location": "https://elsewhere.example"})
    with pytest.raises(Rejected):
        await upstream(recorder).call("POST", "files", data={"purpose": "vision"})
    assert len(recorder.requests) == 1


# Small requests


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"<html>", b"{", b"\xff", b"null"])
async def test_a_small_request_needs_an_object_for_an_answer(raw: bytes) -> None:
    with pytest.raises(UpstreamError, match="not a JSON object") as raised:
        await upstream(canned(raw=raw)).call("DELETE", "files/file-secret")
    assert "DELETE files" in raised.value.message
    assert "file-secret" not in raised.value.message


async def test_a_small_answer_nested_too_deep_is_an_error_of_ours() -> None:
    with pytest.raises(UpstreamError, match="not a JSON object"):
        await upstream(canned(raw=b'{"a":' * 100_000)).call("DELETE", "files/file-1")


async def test_a_small_requests_object_is_given_back() -> None:
    assert await upstream(canned(body={"id": "file-1"})).call("POST", "files") == {"id": "file-1"}


async def test_a_refused_small_request_is_translated_like_any() -> None:
    with pytest.raises(AccessDenied, match="No files for you"):
        await upstream(canned(403, body={"error": {"message": "No files for you."}})).call("POST", "files")


# The key

KEYS = [CANARY, "hunter2-hunter2", "0123456789abcdef0123456789abcdef", "ab+/=$.*(key)"]


async def in_small(client: Upstream, _target: Path) -> None:
    await client.call("POST", "files")


async def in_paid(client: Upstream, target: Path) -> None:
    await client.spool(PAID, [target], idempotency_key=OPERATION, json=BODY)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("call", [in_small, in_paid])
async def test_a_key_of_any_form_that_a_server_echoes_stays_out_of_the_error(
    key: str, call: Callable[[Upstream, Path], Awaitable[None]], target: Path
) -> None:
    for status in (400, 403, 404, 429, 500):
        body = json.dumps({"error": {"message": f"Bad header 'Bearer {key}' or {key}", "code": key}}).encode()
        recorder = scripted(lambda _request, s=status, b=body: streamed(s, b))  # type: ignore[misc]
        client = Upstream(Account("https://api.openai.com/v1", Secret(key)), lambda r=recorder: r)  # type: ignore[misc]
        with pytest.raises(UpstreamError) as raised:
            await call(client, target)
        assert key not in str(raised.value)
        assert "redacted" in str(raised.value)


async def test_a_key_whose_slashes_a_server_escapes_stays_out_where_the_text_is_cut(target: Path) -> None:
    key = "blue/horse/staple"
    for length in range(440, 500):
        said = key.replace("/", "\\/")
        body = b'{"error": {"message": "' + b"x" * length + said.encode() + b'"}}'
        recorder = canned(400, raw=body)
        client = Upstream(Account("https://api.openai.com/v1", Secret(key)), lambda r=recorder: r)  # type: ignore[misc]
        with pytest.raises(UpstreamError) as raised:
            await in_paid(client, target)
        assert "blue" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "x", "none", "sandbox"])
async def test_a_word_in_the_place_of_a_key_is_not_struck_out_of_sentences(key: str) -> None:
    recorder = canned(400, {"error": {"message": "An xx in none of the sandboxes."}})
    client = Upstream(Account("http://127.0.0.1/v1", Secret(key)), lambda: recorder)
    with pytest.raises(Rejected, match=r"An xx in none of the sandboxes\."):
        await client.call("POST", "files")


def test_the_account_prints_no_key() -> None:
    account = Account("https://api.openai.com/v1", Secret(CANARY))
    assert CANARY not in repr(account)
    assert account.headers()["Authorization"] == f"Bearer {CANARY}"


# Pictures at addresses of the server


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("/kept/a.png?v=1", "http://localhost:8080/kept/a.png?v=1"),
        ("http://localhost:8080/a.png", "http://localhost:8080/a.png"),
        ("http://LOCALHOST:8080/a.png", "http://localhost:8080/a.png"),
        ("http://127.0.0.1:8080/a.png", "http://localhost:8080/a.png"),
        ("http://me:secret@[::1]:8080/a.png#b", "http://localhost:8080/a.png"),
        ("//localhost:8080/a.png", "http://localhost:8080/a.png"),
        ("http://localhost/a.png", None),
        ("https://localhost:8080/a.png", None),
        ("http://localhost.example:8080/a.png", None),
        ("http://127.1:8080/a.png", None),
        ("//cdn.example/a.png", None),
        ("file:///a.png", None),
        ("http://[", None),
    ],
)
def test_an_address_of_the_server_itself_is_told_from_others(address: str, own: str | None) -> None:
    assert upstream(canned(), base_url="http://localhost:8080/v1").own_address(address) == own


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("https://images.example/a.png", "https://images.example/a.png"),
        ("https://images.example:443/a.png", "https://images.example/a.png"),
        ("http://images.example/a.png", None),
        ("https://images.example:8443/a.png", None),
        ("https://localhost/a.png", None),
        ("https://sub.images.example/a.png", None),
    ],
)
def test_a_server_elsewhere_has_one_name(address: str, own: str | None) -> None:
    assert upstream(canned(), base_url="https://images.example/v1").own_address(address) == own


@pytest.mark.parametrize("status", [301, 302, 401, 404, 500])
async def test_what_is_not_there_is_none(status: int) -> None:
    headers = {"location": "https://evil.example/"}
    recorder = scripted(lambda _request: streamed(status, b"x", headers))
    client = upstream(recorder)
    assert await client.fetch("https://api.openai.com/a.png") is None
    assert len(recorder.requests) == 1


async def test_what_is_far_too_large_is_none_and_not_read_to_its_end() -> None:
    given: list[int] = []

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                given.append(1)
                yield bytes(MB)

    client = upstream(answering(Endless()), limits=Limits(answer=3 * MB))
    assert await client.fetch("https://api.openai.com/a.png") is None
    assert len(given) == 4


async def test_a_picture_of_the_largest_size_is_taken() -> None:
    client = upstream(answering(Streamed(b"x" * 600, b"x" * 400)), limits=Limits(answer=1000))
    assert await client.fetch("https://api.openai.com/a.png") == b"x" * 1000
