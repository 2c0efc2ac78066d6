"""An answer on its way to disk: whole, in few writes, patiently, and kept where it breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.gateways import _receiving
from gpt_image_2_mcp.gateways._events import Follower
from gpt_image_2_mcp.gateways._receiving import Receiver
from gpt_image_2_mcp.gateways._sink import Sink
from gpt_image_2_mcp.models import EncodedPicture

pytestmark = pytest.mark.anyio


async def unwatched(_index: int, _picture: EncodedPicture) -> None:
    return None


async def stream(*pieces: bytes, then: Exception | None = None) -> AsyncGenerator[bytes]:
    for piece in pieces:
        yield piece
    if then:
        raise then


def receiver(target: Path, patience: float = 60, follower: Follower | None = None) -> Receiver:
    return Receiver([target], follower, lambda _follower: patience, unwatched)


@given(st.lists(st.binary(max_size=3000), max_size=20), st.integers(1, 5000))
def test_whatever_the_pieces_are_the_answer_stands_whole(pieces: list[bytes], room: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_receiving, "_WRITE_BYTES", room)
        target = Path(folder) / "0.resp"
        assert anyio.run(receiver(target).receive, stream(*pieces)) == target
        assert target.read_bytes() == b"".join(pieces)
        assert len(list(Path(folder).iterdir())) == 1


async def test_a_small_answer_is_written_flushed_and_named_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops: list[str] = []
    real = run_sync

    async def counted(work: Any, *args: Any) -> Any:
        hops.append(work.__name__)
        return await real(work, *args)

    monkeypatch.setattr(_receiving, "run_sync", counted)
    await receiver(tmp_path / "0.resp").receive(stream(*[b"x" * 1000] * 400))
    assert hops == ["finish"]
    hops.clear()
    await receiver(tmp_path / "1.resp").receive(stream(*[b"x" * 65536] * 20))
    assert hops == ["write", "write", "finish"]


async def test_what_came_of_an_answer_that_breaks_off_is_kept_under_no_final_name(tmp_path: Path) -> None:
    target = tmp_path / "spool" / "0.resp"
    with pytest.raises(ValueError, match="cut"):
        await receiver(target).receive(stream(b"ab", b"cd", then=ValueError("cut")))
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {"0.part": b"abcd"}


async def test_a_silence_is_given_up_and_what_came_before_it_is_kept(tmp_path: Path) -> None:
    async def stalling() -> AsyncGenerator[bytes]:
        yield b"ab"
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await receiver(tmp_path / "0.resp", patience=0.01).receive(stalling())
    assert (tmp_path / "0.part").read_bytes() == b"ab"


async def test_a_slow_disk_is_no_silence_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's clock goes on by a minute with each write."""
    loop, ahead_s = asyncio.get_running_loop(), 0
    clock, real = loop.time, Sink.write
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead_s)
    monkeypatch.setattr(_receiving, "_WRITE_BYTES", 4)

    def slow(self: Sink, *pieces: bytes) -> None:
        nonlocal ahead_s
        ahead_s += 60
        real(self, *pieces)

    monkeypatch.setattr(Sink, "write", slow)
    target = tmp_path / "0.resp"
    await receiver(target, patience=30).receive(stream(b"abcd", b"efgh", b"ijkl"))
    assert target.read_bytes() == b"abcdefghijkl"
