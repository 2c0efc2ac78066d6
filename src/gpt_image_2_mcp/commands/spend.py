"""`spend`: what the ledger says was spent, and what is left of the budgets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import anyio
import click

from gpt_image_2_mcp.assembly import open_ledger
from gpt_image_2_mcp.budgets import By
from gpt_image_2_mcp.commands.running import fail, settings_or_exit
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.outcomes import spending
from gpt_image_2_mcp.results import GroupSpending, PeriodSpending, SpendingResult
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.settings import Settings


@click.command()
@click.option(
    "--by", type=click.Choice(get_args(By)), help="Also split it by this; by model if only --since is given."
)
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="What is split: from that day on; else this month."
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV: what it is split by, else the periods.")
@click.option("--sandbox", is_flag=True, help="The sandbox's ledger.")
def spend(*, by: By | None, since: datetime | None, form: str | None, sandbox: bool) -> None:
    """What was spent, is reserved, is left of the budgets, and is not known. Days and months are of UTC."""
    settings = settings_or_exit(sandbox=sandbox)
    split = bool(by or since)
    result = _spending(settings, by or "model", since)
    if form == "json":
        click.echo(result.model_dump_json(indent=2))
    elif form == "csv":
        click.echo(_csv(result.groups if split else result.periods), nl=False)
    else:
        click.echo(summarize(result if split else result.model_copy(update={"groups": []})))


def _spending(settings: Settings, by: By, since: datetime | None) -> SpendingResult:
    async def look() -> SpendingResult:
        async with open_ledger(settings) as ledger:
            found = await ledger.spending(by, since.date() if since else None)
            return spending(found, sandbox=settings.sandbox)

    try:
        return anyio.run(look)
    except ImageServerError as error:
        fail(error)


def _csv(rows: Sequence[GroupSpending] | Sequence[PeriodSpending]) -> str:
    text = io.StringIO()
    model = PeriodSpending if rows and isinstance(rows[0], PeriodSpending) else GroupSpending
    writer = csv.DictWriter(text, list(model.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_cells(row) for row in rows)
    return text.getvalue()


def _cells(row: GroupSpending | PeriodSpending) -> dict[str, object]:
    """Amounts in decimals, for a spreadsheet reads 5e-06 as text."""
    return {
        name: f"{value:.6f}" if isinstance(value, float) else value
        for name, value in row.model_dump().items()
    }
