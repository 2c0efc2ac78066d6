"""`operations`: look into the journal of paid calls, and have it recovered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

import anyio
import click

from gpt_image_2_mcp.assembly import open_execution, open_journal
from gpt_image_2_mcp.commands.running import fail, settings_or_exit
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.models import Operation
from gpt_image_2_mcp.ports import Journal
from gpt_image_2_mcp.pricing import format_bound, format_usd

T = TypeVar("T")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@click.option("--sandbox", is_flag=True, help="The sandbox's journal.")
@as_json
@click.pass_context
def operations(context: click.Context, *, sandbox: bool, as_json: bool) -> None:
    """Paid calls: what was sent, what came of it, what is not known. Without a command: the latest."""
    if as_json and context.invoked_subcommand:
        raise click.UsageError("--json stands behind the command.")
    context.obj = settings_or_exit(sandbox=sandbox)
    if context.invoked_subcommand is None:
        context.invoke(list_operations, as_json=as_json)


@operations.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
@click.pass_context
def list_operations(context: click.Context, *, limit: int, as_json: bool) -> None:
    """The latest operations, the newest first."""
    found = _with_journal(context, lambda journal: journal.recent(limit))
    if as_json:
        click.echo(json.dumps([document(operation) for operation in found], indent=2))
        return
    click.echo(f"{'id':<32}  {'created':<19}  {'state':<9} {'cost':>10}  model")
    for operation in found:
        price = _price(operation)
        when = operation.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"{operation.id}  {when}  {operation.state:<9} {price:>10}  {operation.model}")


def _price(operation: Operation) -> str:
    """What it cost; of what is not known yet or ever, the most it can have cost."""
    if operation.state == "released":
        return "-"
    if operation.completed:
        cost = operation.completed.cost
        return "?" if cost is None else format_usd(cost)
    return "?" if operation.estimate is None else f"<= {format_bound(operation.estimate)}"


@operations.command()
@click.argument("operation_id")
@as_json
@click.pass_context
def show(context: click.Context, *, operation_id: str, as_json: bool) -> None:
    """One operation with its pictures and, if it failed, why."""
    operation = _with_journal(context, lambda journal: journal.get(operation_id))
    shown = document(operation)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for name, value in shown.items():
        if value not in (None, "", []):
            click.echo(f"{name:>12}: {json.dumps(value) if isinstance(value, dict | list) else value}")


@operations.command()
@as_json
@click.pass_context
def recover(context: click.Context, *, as_json: bool) -> None:
    """Go on with what a process that died left, as every server does at its start."""

    async def run() -> dict[str, int]:
        async with open_execution(context.obj) as execution:
            return asdict(await execution.recover())

    found = _run(run)
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(", ".join(f"{count} {name}" for name, count in found.items()))


def document(operation: Operation) -> dict[str, object]:
    """An operation as people and scripts are shown it."""
    completed, failure = operation.completed, operation.failure
    return {
        "id": operation.id,
        "state": operation.state,
        "action": operation.action,
        "model": operation.model,
        "options": operation.options.model_dump(exclude_none=True),
        "prompt": operation.prompt,
        "created_at": operation.created_at.isoformat(),
        "changed_at": operation.changed_at.isoformat(),
        "attempts": operation.attempts,
        "estimate_usd": None if operation.estimate is None else operation.estimate / 1_000_000,
        "cost_usd": None if not completed or completed.cost is None else completed.cost / 1_000_000,
        "session_id": operation.step.session_id if operation.step else None,
        "images": [str(image.path) for image in completed.images] if completed else [],
        "notes": list(completed.notes) if completed else [],
        "failure": asdict(failure) if failure else None,
    }


def _with_journal(context: click.Context, look: Callable[[Journal], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_journal(context.obj) as journal:
            return await look(journal)

    return _run(run)


def _run(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return anyio.run(work)
    except ImageServerError as error:
        fail(error)
