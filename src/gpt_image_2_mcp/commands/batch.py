"""`batch`: many pictures from a file of JSON lines, in as many runs as it takes, each line paid once."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from anyio.to_thread import run_sync

from gpt_image_2_mcp.assembly import open_manifest, utc_now
from gpt_image_2_mcp.batch_run import BatchRun, Plan
from gpt_image_2_mcp.batches import Line, Row, parse_lines
from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.commands.running import (
    EXIT_FAILED,
    EXIT_REFUSED,
    EXIT_UNKNOWN,
    exit_code,
    fail,
    run_with_service,
    settings_or_exit,
)
from gpt_image_2_mcp.commands.trust import trusting
from gpt_image_2_mcp.errors import (
    BudgetExceeded,
    ConsentDeclined,
    ConsentNeeded,
    ImageServerError,
    InputError,
    TooDear,
)
from gpt_image_2_mcp.pricing import MICRO
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import Settings

_OF_PRICE = frozenset(kind.code for kind in (BudgetExceeded, TooDear, ConsentNeeded, ConsentDeclined))


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for beside the lines."""

    at_once: int
    max_cost_usd: float | None
    dry_run: bool
    retry_unknown: bool
    as_json: bool


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.jsonl")
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What was done, by which a later run goes on. Default FILE.manifest.jsonl.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 100), help="Lines at once. Default GPT_IMAGE_2_MAX_IN_FLIGHT."
)
@click.option(
    "--max-cost-usd",
    type=click.FloatRange(min=0),
    help="The most that all runs over the file may cost; checked before anything is sent, and kept.",
)
@click.option("--dry-run", is_flag=True, help="Check and estimate only: free.")
@click.option("--retry-unknown", is_flag=True, help="Send again what may have been billed without a picture.")
@click.option("--output-dir", help="Folder to save in.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sandbox", is_flag=True, help="Draw on this machine: no key, no cost.")
def batch(
    *,
    file: Path,
    manifest: Path | None,
    concurrency: int | None,
    output_dir: str | None,
    sandbox: bool,
    **order: Any,
) -> None:
    """Make the pictures of FILE.jsonl: on each line a JSON object with the arguments of generate, or, where
    it has images, of edit; and an id of your own, if you like.

    It can be stopped and run again: done lines are passed over, what was under way is collected, and no line
    is paid twice.
    """
    settings = settings_or_exit(sandbox=sandbox)
    lines = _lines(file)
    at_once = concurrency or settings.limits.in_flight
    limits = replace(settings.limits, in_flight=at_once)
    requests = (line.request for line in lines)
    settings = replace(trusting(settings, *requests, output_dir=output_dir), limits=limits)
    path = (manifest or file.with_suffix(".manifest.jsonl")).absolute()
    sys.exit(_carry_out(settings, lines, path, _Order(at_once=at_once, **order)))


def _lines(file: Path) -> tuple[Line, ...]:
    try:
        return parse_lines(file.read_text("utf-8-sig").split("\n"))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        fail(InputError(f"{file} cannot be read ({reason}).", hint=""))
    except ImageServerError as error:
        fail(error)


def _carry_out(settings: Settings, lines: Sequence[Line], path: Path, order: _Order) -> int:
    said, redact = _Progress(len(lines)), settings.redactor()

    async def work(service: ImageService) -> int:
        with open_manifest(settings, path) as manifest:
            run = BatchRun(service, manifest, utc_now, said.line, redact)
            plan = await run.plan(lines, retry_unknown=order.retry_unknown)
            if plan.of("ask") and not order.dry_run and await _wants_again(len(plan.of("ask"))):
                plan = await run.plan(lines, retry_unknown=True)
            _check_price(plan, order.max_cost_usd)
            if order.dry_run:
                click.echo(json.dumps(_planned(plan), indent=2) if order.as_json else _in_words(plan))
                return 0
            _announce(plan)
            agreed = order.max_cost_usd is not None or await _agreed(plan, settings.confirm_above)
            rows = await run.run(plan, at_once=order.at_once, hold_prices=agreed)
            _tell(rows, len(lines), as_json=order.as_json)
            if run.stopped:
                click.echo(f"Stopped: {redact(str(run.stopped))}", err=True)
            return _code(rows, len(lines), run.stopped)

    stopped = f"Stopped. What was sent goes on; run the same command again to go on from {path.name}."
    return run_with_service(settings, work, stopped=stopped)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


async def _wants_again(count: int) -> bool:
    if not _somebody_is_there():
        return False
    question = f"{count} line(s) may have been billed without a picture. Send them again?"
    return await run_sync(lambda: click.confirm(question, err=True))


def _check_price(plan: Plan, limit: float | None) -> None:
    if limit is None:
        return
    if plan.unpriced:
        numbers = ", ".join(str(step.line.number) for step in plan.unpriced[:5])
        raise TooDear(
            f"What line {numbers} costs is not known, so --max-cost-usd cannot be kept.",
            hint="Name a model that has a price (`gpt-image-2-mcp models`); nothing was sent.",
        )
    most, allowed = _micro(plan.charged_usd + plan.most_usd), _micro(limit)
    if most > allowed:
        spent = f", {usd(_micro(plan.charged_usd))} of it for what was sent" if plan.charged_usd else ""
        raise TooDear(
            f"The batch can cost {usd(most)}{spent}, which is more than the {usd(allowed)} of "
            "--max-cost-usd.",
            hint="Set `quality` and `size` in the lines, take lines out, or allow more; nothing was sent.",
        )


async def _agreed(plan: Plan, free: int | None) -> bool:
    """Whether a person agreed to the price of every line; where the settings ask for nobody, nobody did."""
    dear = [
        step
        for step in plan.of("send")
        if free is not None and step.line.request.max_cost_usd is None and _micro(step.most_usd or 0) > free
    ]
    if not dear or free is None:
        return False
    most = f"{len(dear)} call(s) can cost more than {usd(free)} each, the batch {usd(_micro(plan.most_usd))}"
    if not _somebody_is_there():
        raise ConsentNeeded(
            f"{most}, and such calls need a person's consent.",
            hint="Say by --max-cost-usd what the batch may cost; nothing was sent.",
        )
    if not await run_sync(lambda: click.confirm(f"{most}. Make them?", err=True)):
        raise ConsentDeclined("The batch was not begun.", hint="")
    return True


def _announce(plan: Plan) -> None:
    send, collect = len(plan.of("send")), len(plan.of("collect"))
    if send or collect:
        most = usd(_micro(plan.most_usd))
        click.echo(f"{send} line(s) to send, at most {most}; {collect} to collect.", err=True)


class _Progress:
    """A line on stderr for each that comes to an end."""

    def __init__(self, count: int) -> None:
        self._count, self._ended = count, 0

    def line(self, row: Row) -> None:
        self._ended += 1
        cost = "" if row.cost_usd is None else f", ${row.cost_usd:.4f}"
        told = ", ".join(row.files) or row.error or ""
        click.echo(f"[{self._ended}/{self._count}] {row.id}: {row.state}{cost}: {told}", err=True)


def _planned(plan: Plan) -> dict[str, Any]:
    counts = Counter(step.todo for step in plan.steps)
    return {
        "lines": len(plan.steps),
        "done": counts["nothing"],
        "to_collect": counts["collect"],
        "to_send": counts["send"],
        "unknown": counts["ask"],
        "over_budget": sum(step.refused is not None for step in plan.steps),
        "unpriced": len(plan.unpriced),
        "expected_usd": round(plan.expected_usd, 6),
        "most_usd": round(plan.most_usd, 6),
        "charged_usd": round(plan.charged_usd, 6),
    }


def _in_words(plan: Plan) -> str:
    found = _planned(plan)
    said = [
        f"Nothing was sent. {found['lines']} line(s): {found['done']} done, {found['to_collect']} to "
        f"collect, {found['to_send']} to send.",
        f"- Expected cost of those: {usd(_micro(plan.expected_usd))}, at most {usd(_micro(plan.most_usd))}",
    ]
    if found["charged_usd"]:
        said.append(f"- Charged for earlier runs: {usd(_micro(plan.charged_usd))}")
    if found["unknown"]:
        said.append(f"- {found['unknown']} line(s) may have been billed without a picture: --retry-unknown")
    if found["unpriced"]:
        said.append(f"- {found['unpriced']} line(s) to send have no known price")
    said += (f"- Line {step.line.number}: {step.refused}" for step in plan.steps if step.refused)
    return "\n".join(said)


def _tell(rows: Sequence[Row], count: int, *, as_json: bool) -> None:
    cost = sum(row.cost_usd or 0 for row in rows)
    if as_json:
        listed = [row.model_dump(mode="json") for row in rows]
        click.echo(json.dumps({"lines": listed, "not_begun": count - len(rows), "cost_usd": cost}, indent=2))
    else:
        states = Counter(row.state for row in rows)
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        left = f", {count - len(rows)} not begun" if count > len(rows) else ""
        click.echo(f"{count} line(s): {told or 'nothing'}{left}. Cost: {usd(_micro(cost))}.")


def _code(rows: Sequence[Row], count: int, stopped: ImageServerError | None) -> int:
    """The worst of what came of the lines: what may be paid for before what is not."""
    if any(row.state in ("unknown", "kept", "sending") for row in rows):
        return EXIT_UNKNOWN
    if stopped:
        return exit_code(stopped)
    failed = [row for row in rows if row.state == "failed"]
    if failed and all(row.code in _OF_PRICE for row in failed):
        return EXIT_REFUSED
    return EXIT_FAILED if failed or len(rows) < count else 0


def _micro(dollars: float) -> int:
    return round(dollars * MICRO)
