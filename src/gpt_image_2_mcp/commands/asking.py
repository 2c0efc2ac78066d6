"""Puts the price of a call to whoever sits at the terminal."""

from __future__ import annotations

from functools import partial

import click
from anyio.to_thread import run_sync

from gpt_image_2_mcp.alternatives import Alternative
from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.consent import Quote
from gpt_image_2_mcp.errors import ConsentDeclined


async def ask(quote: Quote) -> Alternative:
    """As `consent.Ask`, by numbers; stdout is left to the result."""
    choices = (Alternative({}, quote.most), *quote.cheaper)
    click.echo(f"The call will cost about {usd(quote.expected)}, at most {usd(quote.most)}.", err=True)
    click.echo("0: do not make it", err=True)
    for number, choice in enumerate(choices, start=1):
        click.echo(f"{number}: {choice if choice.changes else 'make it'}", err=True)
    numbers = click.IntRange(0, len(choices))
    chosen = int(await run_sync(partial(click.prompt, "Your choice", type=numbers, err=True)))
    if not chosen:
        raise ConsentDeclined("The call was not made.", hint="")
    return choices[chosen - 1]
