"""Answers that break off: whole pictures are kept, and nothing else passes for one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.errors import InvalidAnswer, OutcomeUnknown
from gpt_image_2_mcp.gateways import _bodies
from gpt_image_2_mcp.gateways.images import BROKE_OFF, ImagesGateway
from gpt_image_2_mcp.gateways.responses import ResponsesGateway
from gpt_image_2_mcp.models import Receipt, Route
from gpt_image_2_mcp.ports import Gateway, Spool
from tests.gateways.samples import (
    FakeResponsesApi,
    Streamed,
    answer_in,
    breaking,
    images_answer,
    job,
    ok,
    responses_answer,
    spool,
    text_of,
    untold,
)
from tests.support.upstreams import canned, scripted, upstream

PICTURES = [bytes(range(48, 78)), b"\xff\xfe\xfd" * 9]
TEXTS = [base64.b64encode(picture).decode() for picture in PICTURES]
assert "/" in TEXTS[1]


def responding(texts: list[str]) -> dict[str, Any]:
    """A Response with a call of the image tool for each of `texts`."""
    answer = responses_answer(texts[0], revised_prompt='a "fox" \u72d0 and \\')
    answer["output"] += [{"type": "image_generation_call", "result": text} for text in texts[1:]]
    return answer


def plain(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()


def escaped(answer: dict[str, Any]) -> bytes:
    """As some servers write it: with blanks, and every slash behind a backslash."""
    return json.dumps(answer, indent=1).replace("/", r"\/").encode()


@dataclass(frozen=True)
class Case:
    gateway: Gateway
    answer: dict[str, Any]
    leg: Callable[[Path], Path]


CASES = {
    "images": Case(ImagesGateway(upstream(canned())), images_answer(*TEXTS), answer_in),
    "responses": Case(
        ResponsesGateway(upstream(canned()), "host"),
        responding(TEXTS),
        lambda folder: answer_in(folder, "responses"),
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def salvaged(gateway: Gateway, kept: Spool) -> list[bytes]:
    """The pictures that come out of what stands in the spool, decoded; none where that is told instead."""
    receipt = kept.torn()
    assert receipt is not None
    assert receipt.torn
    try:
        pictures = gateway.read(receipt).pictures
    except InvalidAnswer:
        return []
    texts = [json.loads(f'"{text_of(picture)}"') for picture in pictures]
    return [base64.b64decode(text, validate=True) for text in texts]


@each_case
@pytest.mark.parametrize("form", [plain, escaped])
@pytest.mark.parametrize("window", [_bodies._WINDOW, 1, 7])
def test_an_answer_cut_at_any_byte_gives_its_whole_pictures_and_no_other(
    case: Case,
    form: Callable[[Any], bytes],
    window: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_bodies, "_WINDOW", window)
    whole = form(case.answer)
    written = [text.replace("/", r"\/").encode() if form is escaped else text.encode() for text in TEXTS]
    ends = [whole.index(text) + len(text) + 1 for text in written]
    part = case.leg(tmp_path).with_suffix(".part")
    for length in range(1, len(whole) + 1):
        part.write_bytes(whole[:length])
        complete = sum(end <= length for end in ends)
        assert salvaged(case.gateway, spool(tmp_path)) == PICTURES[:complete], length
    assert salvaged(case.gateway, spool(tmp_path)) == PICTURES


@each_case
def test_a_whole_answer_that_was_not_named_yet_is_read_with_all_it_says(case: Case, tmp_path: Path) -> None:
    case.leg(tmp_path).with_suffix(".part").write_bytes(plain(case.answer))
    receipt = spool(tmp_path).torn()
    assert receipt is not None
    answer = case.gateway.read(receipt)
    assert answer.usage is not None
    assert answer.note is None


def test_a_broken_answer_says_that_it_broke_off(tmp_path: Path) -> None:
    case = CASES["images"]
    answer_in(tmp_path).with_suffix(".part").write_bytes(plain(case.answer)[:-1])
    receipt = spool(tmp_path).torn()
    assert receipt is not None
    answer = case.gateway.read(receipt)
    assert (answer.note, answer.usage) == (BROKE_OFF, None)


@each_case
def test_of_an_answer_that_is_thought_whole_a_broken_one_is_an_error(case: Case, tmp_path: Path) -> None:
    path = case.leg(tmp_path)
    path.write_bytes(plain(case.answer)[:-1])
    route: Route = "images" if isinstance(case.gateway, ImagesGateway) else "responses"
    with pytest.raises(InvalidAnswer, match="not JSON"):
        case.gateway.read(Receipt(route, (path,)))


def test_a_leg_cut_at_any_byte_costs_no_other_leg_its_picture(tmp_path: Path) -> None:
    gateway = CASES["responses"].gateway
    first, second = (plain(responding([text])) for text in TEXTS)
    answer_in(tmp_path, "responses", 0).write_bytes(first)
    end = second.index(TEXTS[1].encode()) + len(TEXTS[1]) + 1
    for length in range(1, len(second)):
        answer_in(tmp_path, "responses", 1).with_suffix(".part").write_bytes(second[:length])
        expected = PICTURES if length >= end else PICTURES[:1]
        assert salvaged(gateway, spool(tmp_path)) == expected, length


def test_a_picture_that_stands_in_both_folders_is_one_picture(tmp_path: Path) -> None:
    """A death while an answer moves to the second folder: the copy there may be short."""
    folders = tmp_path / "state", tmp_path / "second"
    for name, case in CASES.items():
        whole = plain(case.answer)
        for lengths in ((len(whole), 50), (50, len(whole)), (len(whole) - 1, len(whole) - 2)):
            for folder, length in zip(folders, lengths, strict=True):
                folder.mkdir(exist_ok=True)
                case.leg(folder).with_suffix(".part").write_bytes(whole[:length])
            assert salvaged(case.gateway, spool(*folders)) == PICTURES, (name, lengths)
        spool(*folders).discard()


# On the way in


def cut_after(data: bytes) -> httpx2.Response:
    return httpx2.Response(200, stream=Streamed(data, then=breaking(httpx2.ReadError("reset"))))


@pytest.mark.anyio
async def test_a_picture_that_had_come_whole_is_found_after_a_reset(tmp_path: Path) -> None:
    whole = plain(images_answer(*TEXTS))
    recorder = scripted(lambda _request: cut_after(whole[: whole.index(TEXTS[1].encode())]))
    gateway = ImagesGateway(upstream(recorder))
    with pytest.raises(OutcomeUnknown):
        await gateway.send(job(n=2), spool(tmp_path), untold)
    assert spool(tmp_path).received() is None
    assert salvaged(gateway, spool(tmp_path)) == PICTURES[:1]
    assert len(recorder.posts) == 1


@pytest.mark.anyio
async def test_a_leg_that_broke_off_after_its_picture_is_kept_beside_one_that_arrived(tmp_path: Path) -> None:
    api = FakeResponsesApi([ok(responding(TEXTS[:1])), cut_after(plain(responding(TEXTS[1:]))[:-5])])
    gateway = ResponsesGateway(upstream(scripted(api)), "host")
    receipt = await gateway.send(job(n=2), spool(tmp_path), untold)
    answer = gateway.read(receipt)
    assert [text_of(picture) for picture in answer.pictures] == TEXTS
    assert receipt.torn
    assert receipt.note is None
    assert answer.usage is None


@pytest.mark.anyio
async def test_a_leg_that_broke_off_before_its_picture_is_told(tmp_path: Path) -> None:
    answers: list[httpx2.Response | Exception] = [
        ok(responding(TEXTS[:1])),
        cut_after(plain(responding(TEXTS[1:]))[:90]),
        cut_after(plain(responding(TEXTS[1:]))[:-5]),
    ]
    gateway = ResponsesGateway(upstream(scripted(FakeResponsesApi(answers))), "host")
    receipt = await gateway.send(job(n=3), spool(tmp_path), untold)
    assert [text_of(picture) for picture in gateway.read(receipt).pictures] == TEXTS
    assert (receipt.note or "").startswith("1 of 3 pictures failed: The connection broke")
