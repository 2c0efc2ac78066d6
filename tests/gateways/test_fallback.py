"""The way round by the Responses API: only when it is proven safe, and only for a while."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.errors import (
    AuthenticationFailed,
    EditsRejectModel,
    ImageServerError,
    InvalidAnswer,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StorageError,
    Unreachable,
    UpstreamFailure,
    UpstreamTimeout,
)
from gpt_image_2_mcp.gateways.fallback import REMEMBER_S, FallbackGateway
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.responses import ResponsesGateway
from gpt_image_2_mcp.models import Answer, AppliedOptions, ImageJob, Receipt, RequestOutline, Route
from gpt_image_2_mcp.ports import Gateway, Spool, Tell
from gpt_image_2_mcp.sandbox import Faults
from tests.gateways.samples import PROMPT, input_image, job, spool, untold
from tests.support.pictures import picture
from tests.support.upstreams import CANARY, canned, sandboxed, upstream

pytestmark = pytest.mark.anyio

LAUNCH_ERA = "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'."
REFUSAL = {"message": LAUNCH_ERA, "type": "invalid_request_error", "param": "model", "code": "invalid_value"}


@dataclass
class FakeGateway:
    """Counts what it is asked; `error` is raised when set."""

    route: Route
    error: Exception | None = None
    sent: list[ImageJob] = field(default_factory=list)
    read_back: list[Receipt] = field(default_factory=list)
    completed: list[Receipt] = field(default_factory=list)
    tidied: list[Spool] = field(default_factory=list)

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        self.sent.append(job)
        if self.error:
            raise self.error
        return Receipt(self.route, spool.bodies(self.route, 0)[:1])

    def outline(self, job: ImageJob) -> RequestOutline:
        return RequestOutline("POST", self.route, {"prompt": job.prompt})

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        self.completed.append(receipt)
        return receipt

    def read(self, receipt: Receipt) -> Answer:
        self.read_back.append(receipt)
        return Answer(
            (), AppliedOptions(size=None, quality=None, background=None, output_format=None), None, self.route
        )

    async def tidy(self, spool: Spool) -> None:
        self.tidied.append(spool)


@dataclass
class Bench:
    """Both routes and a clock that stands until it is set."""

    images: FakeGateway
    responses: FakeGateway
    now: float = 1000.0
    pinned: bool = False
    detour: bool = True

    def __post_init__(self) -> None:
        self.gateway = FallbackGateway(
            self.images,
            self.responses,
            pinned=self.pinned,
            detour=self.detour,
            monotonic=lambda: self.now,
        )

    async def send(self, work: ImageJob) -> Route:
        return (await self.gateway.send(work, spool(Path("/nowhere")), untold)).route

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.images.sent), len(self.responses.sent)


def bench(error: Exception | None = None, **options: Any) -> Bench:
    return Bench(FakeGateway("images", error), FakeGateway("responses"), **options)


def test_the_fallback_and_its_routes_are_gateways() -> None:
    routes: list[Gateway] = [
        bench().gateway,
        ImagesGateway(upstream(canned())),
        ResponsesGateway(upstream(canned()), "gpt-5.5"),
    ]
    assert len(routes) == 3


async def test_what_the_way_round_left_at_the_api_is_tidied_by_it(tmp_path: Path) -> None:
    b = bench()
    await b.gateway.tidy(spool(tmp_path))
    assert (b.images.tidied, b.responses.tidied) == ([], [spool(tmp_path)])


@pytest.mark.parametrize("action", ["generate", "edit"])
async def test_the_direct_route_is_the_usual_one(action: Any) -> None:
    b = bench()
    assert await b.send(job(action)) == "images"
    assert b.counts == (1, 0)


async def test_a_rejected_edit_goes_round_once() -> None:
    b = bench(EditsRejectModel("No."))
    assert await b.send(job("edit")) == "responses"
    assert b.counts == (1, 1)
    assert b.images.sent == b.responses.sent


async def test_without_a_detour_a_rejected_edit_stays_rejected() -> None:
    b = bench(EditsRejectModel("No."), detour=False)
    with pytest.raises(EditsRejectModel):
        await b.send(job("edit"))
    assert b.counts == (1, 0)


@pytest.mark.parametrize("route", ["images", "responses"])
async def test_an_answer_is_completed_by_the_route_that_it_came_by(route: Route, tmp_path: Path) -> None:
    b = bench(detour=False)
    receipt = Receipt(route, ())
    assert await b.gateway.complete(receipt, spool(tmp_path)) is receipt
    assert (b.images.completed, b.responses.completed) == (
        ([receipt], []) if route == "images" else ([], [receipt])
    )


async def test_a_rejection_is_remembered_for_ten_minutes_and_then_probed_again() -> None:
    b = bench(EditsRejectModel("No."))
    await b.send(job("edit"))
    b.now += REMEMBER_S - 0.001
    assert await b.send(job("edit")) == "responses"
    assert b.counts == (1, 2)
    b.now += 0.001
    assert await b.send(job("edit")) == "responses"
    assert b.counts == (2, 3)
    b.now += REMEMBER_S - 0.001
    await b.send(job("edit"))
    assert b.counts == (2, 4)


def test_ten_minutes_are_ten_minutes() -> None:
    assert REMEMBER_S == 600


async def test_a_probe_that_succeeds_brings_the_direct_route_back() -> None:
    b = bench(EditsRejectModel("No."))
    await b.send(job("edit"))
    b.images.error = None
    b.now += REMEMBER_S
    assert await b.send(job("edit")) == "images"
    assert await b.send(job("edit")) == "images"
    assert b.counts == (3, 1)


async def test_a_rejection_of_edits_does_not_send_generations_round() -> None:
    b = bench(EditsRejectModel("No."))
    await b.send(job("edit"))
    b.images.error = None
    assert await b.send(job("generate")) == "images"


async def test_a_rejected_generation_is_an_error_and_is_not_remembered() -> None:
    b = bench(EditsRejectModel("No."))
    with pytest.raises(EditsRejectModel):
        await b.send(job("generate"))
    assert b.counts == (1, 0)
    b.images.error = None
    assert await b.send(job("edit")) == "images"


async def test_pinned_edits_never_try_the_direct_route() -> None:
    b = bench(pinned=True)
    for now in (0.0, 1e9, 1e300):
        b.now = now
        assert await b.send(job("edit")) == "responses"
    assert b.counts == (0, 3)


async def test_pinned_generations_still_go_direct() -> None:
    b = bench(pinned=True)
    assert await b.send(job("generate")) == "images"


async def test_a_clock_that_starts_below_zero_pins_nothing() -> None:
    assert await bench(now=-1e12).send(job("edit")) == "images"


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknown("?"),
        UpstreamTimeout("?"),
        UpstreamFailure("?"),
        InvalidAnswer("?"),
        Unreachable("?"),
        Rejected("?"),
        RateLimited("?"),
        QuotaExhausted("?"),
        ModerationBlocked("?"),
        AuthenticationFailed("?"),
        StorageError("?"),
        RuntimeError("?"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_nothing_but_the_one_rejection_opens_the_way_round(error: Exception) -> None:
    b = bench(error)
    with pytest.raises(type(error)) as raised:
        await b.send(job("edit"))
    assert raised.value is error
    assert b.counts == (1, 0)
    b.images.error = None
    assert await b.send(job("edit")) == "images"


async def test_the_way_round_failing_is_not_tried_again_by_the_direct_route() -> None:
    b = bench(EditsRejectModel("No."))
    b.responses.error = UpstreamTimeout("?")
    with pytest.raises(UpstreamTimeout):
        await b.send(job("edit"))
    with pytest.raises(UpstreamTimeout):
        await b.send(job("edit"))
    assert b.counts == (1, 2)


@pytest.mark.parametrize("route", ["images", "responses"])
async def test_bodies_are_read_by_the_route_they_came_by(route: Route) -> None:
    b = bench()
    receipt = Receipt(route, (Path("/nowhere/0.resp"),))
    assert b.gateway.read(receipt).note == route
    assert (b.images.read_back, b.responses.read_back).count([receipt]) == 1


async def test_the_log_says_so_without_key_or_prompt(caplog: pytest.LogCaptureFixture) -> None:
    await bench(EditsRejectModel(f"No. {CANARY}")).send(job("edit"))
    assert "edits go by the Responses API" in caplog.text
    assert CANARY not in caplog.text
    assert PROMPT not in caplog.text


# With the routes themselves


async def test_the_sandboxs_launch_era_refusal_is_worked_round(tmp_path: Path) -> None:
    recorder = sandboxed(faults=Faults(mode="dalle2"))
    client = upstream(recorder)
    gateway = FallbackGateway(
        ImagesGateway(client), ResponsesGateway(client, "gpt-5.5"), monotonic=lambda: 0.0
    )
    work = job("edit", images=(input_image(data=picture()),), quality="low", size="1024x640")
    for n in range(2):
        (tmp_path / str(n)).mkdir()
        answer = gateway.read(await gateway.send(work, spool(tmp_path / str(n)), untold))
        assert len(answer.pictures) == 1
    assert recorder.posts.count("/v1/images/edits") == 1
    assert recorder.posts.count("/v1/responses") == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, REFUSAL),
        (429, REFUSAL),
        (409, REFUSAL),
        (400, {**REFUSAL, "param": "prompt"}),
        (400, {**REFUSAL, "code": "invalid_prompt"}),
        (400, {**REFUSAL, "message": f"Invalid prompt: '{LAUNCH_ERA}'"}),
        (200, REFUSAL),
    ],
)
async def test_a_look_alike_of_the_refusal_costs_one_post_and_no_more(
    status: int, error: dict[str, str], tmp_path: Path
) -> None:
    recorder = canned(status, {"error": error})
    client = upstream(recorder)
    gateway = FallbackGateway(ImagesGateway(client), ResponsesGateway(client, "gpt-5.5"))
    with pytest.raises(ImageServerError) as raised:
        gateway.read(await gateway.send(job("edit", prompt=LAUNCH_ERA), spool(tmp_path), untold))
    assert not isinstance(raised.value, EditsRejectModel)
    assert recorder.posts == ["/v1/images/edits"]
    assert json.dumps(LAUNCH_ERA).encode()[1:-1] in recorder.requests[0].content
