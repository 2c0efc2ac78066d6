"""`models`: what each model can do and costs, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import click

from gpt_image_2_mcp.capabilities import MODELS, Model, facts_of
from gpt_image_2_mcp.pricing import MICRO, output_range
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import FixedSizes, Size


@click.command()
@click.argument("model_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the source of every fact.")
def models(*, model_id: str | None, as_json: bool) -> None:
    """What each model can do and costs; of one MODEL_ID, with where that is from and how sure it is."""
    chosen = [model for model in MODELS if model_id in (None, model.id, *model.snapshots)]
    if not chosen:
        named = ", ".join(model.id for model in MODELS)
        raise click.UsageError(f"There is no model {model_id} in the table; there are {named}.")
    if as_json:
        click.echo(json.dumps([document(model) for model in chosen], indent=2))
    elif model_id:
        _show(chosen[0])
    else:
        _list(datetime.now(UTC).date())


def document(model: Model) -> dict[str, Any]:
    """A model as scripts are shown it: its id, and each fact with its source."""
    return {"id": model.id} | {
        name: {"value": _plain(value), **_plain(asdict(model.source_of(name)))}
        for name, value in facts_of(model).items()
    }


def in_words(value: object) -> str:
    """A fact on one line."""
    return _words(_plain(value)) or "none"


def _plain(value: object) -> Any:
    """In the words that JSON has: an amount as a number, a day as YYYY-MM-DD."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Size):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(each)}" for name, each in value.items() if each)
    if isinstance(value, list):
        parts = (" ".join(map(_words, each)) if isinstance(each, list) else _words(each) for each in value)
        return ", ".join(parts)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _list(today: date) -> None:
    click.echo(f"{'model':<24}{'qualities':<34}{'sizes':<10}{'formats':<24}{'1024x1024':<16}{'until'}")
    for model in MODELS:
        sizes = "three" if isinstance(model.sizes, FixedSizes) else "any"
        until = "" if model.shutdown is None else model.shutdown.isoformat()
        gone = " (gone)" if model.shutdown and model.shutdown <= today else ""
        qualities, formats = " ".join(model.qualities), " ".join(model.formats)
        click.echo(
            f"{model.id:<24}{qualities:<34}{sizes:<10}{formats:<24}{_picture(model):<16}{until}{gone}".rstrip()
        )
    click.echo(
        "\nUnder 1024x1024 stands what such a picture costs, from the lowest quality to the highest.\n"
        "With a MODEL_ID: all that is known of it, and how sure that is. Any other id is tried as it is."
    )


def _picture(model: Model) -> str:
    """What a picture costs, without its prompt."""
    known = output_range(model, RenderOptions(size="1024x1024"))
    if known is None:
        return "not known"
    least, most = (tokens * model.prices.image_out / MICRO for tokens in (known.least, known.most))
    return f"${least:.3f} to {most:.3f}"


def _show(model: Model) -> None:
    click.echo(model.id)
    for name, value in facts_of(model).items():
        source = model.source_of(name)
        click.echo(f"  {name.replace('_', ' ')}: {in_words(value)}")
        click.echo(f"      {source.confidence}: {source.where}, read {source.read}")
