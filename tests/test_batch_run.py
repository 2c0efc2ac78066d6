"""A batch over a whole service and its sandbox: planned, carried out, and gone on with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.batch_run import BatchRun, Plan
from gpt_image_2_mcp.batches import Line, Row, parse_lines
from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.errors import InvalidRequest, MissingKey, StorageError
from gpt_image_2_mcp.sandbox import Faults
from tests.support.pictures import picture
from tests.support.services import Bench
from tests.support.upstreams import canned, sandboxed

pytestmark = pytest.mark.anyio
SMALL = {"size": "1024x640", "quality": "low"}
PRICE = 0.004  # more than a small picture costs at most, and less than two


class Rows:
    """A manifest in memory; `fail_after` rows its disk is full."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.rows: list[Row] = []
        self.fail_after = fail_after

    async def read(self) -> tuple[Row, ...]:
        return tuple(self.rows)

    async def add(self, row: Row) -> None:
        if self.fail_after is not None and len(self.rows) >= self.fail_after:
            raise StorageError("The manifest cannot be written.")
        self.rows.append(row)

    @property
    def states(self) -> dict[str, str]:
        return {row.id: row.state for row in self.rows}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "sketch.png").write_bytes(picture())
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


def lines(*objects: dict[str, Any] | str) -> tuple[Line, ...]:
    given = ({"id": each, "prompt": each} if isinstance(each, str) else each for each in objects)
    return parse_lines([json.dumps({**SMALL, **each}) for each in given])


async def carry_out(bench: Bench, rows: Rows, *given: Line, **how: Any) -> tuple[Row, ...]:
    run = BatchRun(bench.service(), rows, bench.clock)
    plan = await run.plan(given, retry_unknown=how.get("retry_unknown", False))
    return await run.run(plan, at_once=how.get("at_once", 2), hold_prices=how.get("hold_prices", False))


async def planned(bench: Bench, rows: Rows, *given: Line, **how: Any) -> Plan:
    return await BatchRun(bench.service(), rows, bench.clock).plan(given, **how)


async def test_every_line_is_made_and_a_second_run_has_nothing_to_do(bench: Bench) -> None:
    rows, edit = Rows(), {"id": "edit", "prompt": "add snow", "images": ["sketch.png"]}
    given = lines("fox", edit)
    made = await carry_out(bench, rows, *given)
    assert [(row.id, row.state, len(row.files)) for row in made] == [("fox", "done", 1), ("edit", "done", 1)]
    assert all(Path(row.files[0]).is_file() and row.cost_usd for row in made)
    assert await carry_out(bench, rows, *given) == made
    assert len(bench.recorder.posts) == 2


async def test_lines_that_ask_for_the_same_are_made_each(bench: Bench) -> None:
    made = await carry_out(bench, Rows(), *lines({"prompt": "fox"}, {"prompt": "fox"}), at_once=1)
    assert len({row.operation_id for row in made}) == 2
    assert len(bench.recorder.posts) == 2


async def test_a_line_is_written_down_by_its_operation_before_it_is_sent(bench: Bench) -> None:
    rows = Rows()
    (made,) = await carry_out(bench, rows, *lines("fox"))
    before, after = rows.rows
    assert (before.state, before.operation_id) == ("sending", made.operation_id)
    assert before.most_usd == pytest.approx(after.most_usd)
    assert (await bench.journal().get(made.operation_id)).state == "done"


async def test_a_plan_has_the_price_of_what_is_to_be_sent_and_sends_nothing(bench: Bench) -> None:
    plan = await planned(bench, Rows(), *lines("fox", "hen"))
    assert [step.todo for step in plan.steps] == ["send", "send"]
    assert 0 < plan.expected_usd <= plan.most_usd < 2 * PRICE
    assert (plan.charged_usd, plan.unpriced, bench.recorder.requests) == (0, (), [])


async def test_what_was_spent_counts_beside_what_is_to_be_sent(bench: Bench) -> None:
    rows = Rows()
    (made,) = await carry_out(bench, rows, *lines("fox"))
    plan = await planned(bench, rows, *lines("fox", "hen"))
    assert [step.todo for step in plan.steps] == ["nothing", "send"]
    assert plan.charged_usd == made.cost_usd
    assert 0 < plan.most_usd < PRICE


async def test_a_line_without_a_known_price_is_told_apart(bench: Bench) -> None:
    plan = await planned(bench, Rows(), *lines("fox", {"prompt": "hen", "model": "some-other-model"}))
    assert [step.line.number for step in plan.unpriced] == [2]


async def test_lines_that_cannot_be_carried_out_stop_the_batch_before_it_begins(bench: Bench) -> None:
    wrong = {"prompt": "x", "size": "1000x1000"}, {"prompt": "x", "images": ["missing.png"]}
    with pytest.raises(InvalidRequest, match=r"^Line 2: `size` 1000x1000 .* Line 3: .*missing\.png"):
        await planned(bench, Rows(), *lines("fox", *wrong))
    assert bench.recorder.requests == []


async def test_what_was_under_way_when_a_run_died_is_collected_and_not_sent_again(bench: Bench) -> None:
    rows, given = Rows(), lines("fox")
    (made,) = await carry_out(bench, rows, *given)
    rows.rows.pop()  # the run died before it wrote down what came of it
    plan = await planned(bench, rows, *given)
    assert [step.todo for step in plan.steps] == ["collect"]
    assert plan.charged_usd >= (made.cost_usd or 0)
    (collected,) = await carry_out(bench, rows, *given)
    assert (collected.state, collected.files, collected.cost_usd) == ("done", made.files, made.cost_usd)
    assert len(bench.recorder.posts) == 1


async def test_what_was_written_down_and_never_entered_is_sent(bench: Bench) -> None:
    rows, given = Rows(fail_after=1), lines("fox")
    await carry_out(bench, rows, *given)
    rows.rows = [row.model_copy(update={"operation_id": "ab" * 16, "most_usd": 5.0}) for row in rows.rows]
    rows.fail_after = None
    plan = await planned(bench, rows, *given)
    assert [step.todo for step in plan.steps] == ["send"]
    assert plan.charged_usd == 0, "what left no trace cost nothing"


async def test_what_may_have_been_billed_is_sent_again_only_if_that_is_asked_for(bench: Bench) -> None:
    bench.recorder = sandboxed(faults=Faults(mode="server_error", count=1))
    rows, given = Rows(), lines("fox", "hen")
    made = await carry_out(bench, rows, *given, at_once=1)
    assert [row.state for row in made] == ["unknown", "done"]
    assert "may have been made and billed" in (made[0].error or "")
    assert [step.todo for step in (await planned(bench, rows, *given)).steps] == ["ask", "nothing"]
    assert [row.state for row in await carry_out(bench, rows, *given)] == ["unknown", "done"]
    assert len(bench.recorder.posts) == 2
    again = await carry_out(bench, rows, *given, retry_unknown=True)
    assert [row.state for row in again] == ["done", "done"]
    assert len(bench.recorder.posts) == 3
    charged = (await planned(bench, rows, *given)).charged_usd
    assert charged > sum(row.cost_usd or 0 for row in again), "the unknown call stays charged"


async def test_a_refused_line_costs_no_other_and_is_tried_by_the_next_run(bench: Bench) -> None:
    rows, given = Rows(), lines("fox", {"id": "duel", "prompt": "a duel [moderation:input:violence]"}, "hen")
    made = await carry_out(bench, rows, *given)
    assert [row.state for row in made] == ["done", "failed", "done"]
    assert made[1].code == "moderation_blocked"
    assert [step.todo for step in (await planned(bench, rows, *given)).steps] == [
        "nothing",
        "send",
        "nothing",
    ]


async def test_what_is_in_the_way_of_all_stops_the_batch(bench: Bench) -> None:
    bench.recorder = sandboxed(faults=Faults(mode="quota"))
    run = BatchRun(bench.service(), Rows(), bench.clock)
    plan = await run.plan(lines("fox", "hen", "owl"))
    made = await run.run(plan, at_once=1, hold_prices=False)
    assert [row.id for row in made] == ["fox"]
    assert run.stopped is not None
    assert run.stopped.code == "quota_exhausted"
    assert len(bench.recorder.posts) == 1


async def test_what_errors_say_is_kept_without_secrets(bench: Bench) -> None:
    rows = Rows()
    run = BatchRun(bench.service(), rows, bench.clock, redact=lambda text: text.replace("violence", "[...]"))
    given = lines({"id": "duel", "prompt": "a duel [moderation:input:violence]"})
    await run.run(await run.plan(given), at_once=1, hold_prices=False)
    assert "[...]" in (rows.rows[-1].error or "")
    assert "violence" not in (rows.rows[-1].error or "")


async def test_without_a_key_nothing_is_sent(bench: Bench) -> None:
    bench.refusal = MissingKey("No OpenAI API key is set.")
    rows = Rows()
    await carry_out(bench, rows, *lines("fox", "hen"), at_once=1)
    assert rows.states == {"fox": "failed"}
    assert bench.recorder.requests == []


async def test_what_cannot_be_written_down_is_not_sent(bench: Bench) -> None:
    run = BatchRun(bench.service(), Rows(fail_after=0), bench.clock)
    made = await run.run(await run.plan(lines("fox", "hen")), at_once=1, hold_prices=False)
    assert made == ()
    assert isinstance(run.stopped, StorageError)
    assert bench.recorder.requests == []


async def test_a_call_costs_no_more_than_it_was_priced_at(bench: Bench) -> None:
    run = BatchRun(bench.service(), rows := Rows(), bench.clock)
    edit = {"id": "edit", "prompt": "add snow", "images": ["sketch.png"]}
    plan = await run.plan(lines(edit, {**edit, "id": "small"}))
    (bench.folder / "sketch.png").write_bytes(picture(2048, 2048))
    await run.run(plan, at_once=2, hold_prices=True)
    assert {row.code for row in rows.rows[-2:]} == {"too_dear"}
    assert bench.recorder.requests == []


async def test_a_line_that_a_budget_has_no_room_for_holds_up_no_collecting(bench: Bench) -> None:
    rows, given = Rows(), lines("fox", "hen")
    await carry_out(bench, rows, given[0])
    rows.rows.pop()
    bench.budgets = Budgets(total=PRICE_MICRO)
    plan = await planned(bench, rows, *given)
    assert [(step.todo, step.refused is not None) for step in plan.steps] == [
        ("collect", False),
        ("send", True),
    ]
    assert plan.unpriced == ()
    made = await carry_out(bench, rows, *given)
    assert [(row.state, row.code) for row in made] == [("done", None), ("failed", "budget_exceeded")]


PRICE_MICRO = round(PRICE * 1_000_000)


async def test_an_answer_that_could_not_be_saved_is_kept_and_collected_by_the_next_run(bench: Bench) -> None:
    rows, given = Rows(), lines("fox")
    bench.recorder = canned(body={"data": [{"url": "https://example.com/gone.png"}]})
    (row,) = await carry_out(bench, rows, *given)
    assert row.state == "kept"
    assert [step.todo for step in (await planned(bench, rows, *given)).steps] == ["collect"]
    assert (await carry_out(bench, rows, *given))[0].state == "kept"
    assert len(bench.recorder.posts) == 1


async def test_a_service_that_leaves_leaves_a_line_to_collect(bench: Bench) -> None:
    service = bench.service()
    service.hand_off()
    run = BatchRun(service, rows := Rows(), bench.clock)
    await run.run(await run.plan(lines("fox")), at_once=1, hold_prices=False)
    assert rows.states == {"fox": "sending"}
