"""The key, the way to the API, and what the API says of its models: asked by listing them, which is free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from gpt_image_2_mcp.capabilities import (
    MODELS,
    WARN_WITHIN,
    find_model,
    replacement,
    shutdown_date,
)
from gpt_image_2_mcp.diagnosis.findings import Finding
from gpt_image_2_mcp.errors import (
    AccessDenied,
    AuthenticationFailed,
    MissingKey,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
    UpstreamError,
)
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.providers import Provider
from gpt_image_2_mcp.reports import Listing

_SHORTEST: Final = 20
_OF_OTHERS: Final = ("sk-ant-", "sk-or-")
"""How keys of Anthropic and OpenRouter begin."""
_SKEW_TOLD: Final = timedelta(minutes=1)
_SKEW_HARMS: Final = timedelta(minutes=5)
"""Signatures and tokens of many services end after so long; budgets of a day begin at the wrong moment."""
_NONE_LISTED: Final = (
    "Some servers list none; others have no such address: OPENAI_BASE_URL mostly ends in /v1. A call tells."
)
_VERIFY: Final = "https://platform.openai.com/settings/organization/general"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the settings have us call, and for which model."""

    provider: Provider
    base_url: str
    key: Secret | None
    model: str


def look_at_key(asked: Asked) -> Iterator[Finding]:
    """Whether there is a key, and whether it looks like one."""
    text = asked.key.reveal() if asked.key else ""
    if not text:
        title = asked.provider.title
        if asked.provider.name == "openai":
            yield Finding.of("key", MissingKey(f"No {title} API key is set."))
        elif asked.provider.needs_key:
            yield Finding.of("key", MissingKey(f"{title} needs an API key, and none is set."))
        else:
            yield Finding("key", "ok", f"{asked.provider.title} needs no key, and none is set.")
    elif text.startswith(("$", "<")) or "..." in text or (asked.provider.name == "openai" and _is_odd(text)):
        yield Finding(
            "key",
            "fail",
            "What is set as the API key does not look like one of OpenAI's.",
            "Copy it whole from https://platform.openai.com/api-keys into OPENAI_API_KEY, or into the file "
            "that OPENAI_API_KEY_FILE names, and restart the client.",
        )
    else:
        yield Finding("key", "ok", f"An API key of {len(text)} characters is set.")


def _is_odd(key: str) -> bool:
    return not key.startswith("sk-") or key.startswith(_OF_OTHERS) or len(key) < _SHORTEST


def look_at_listing(asked: Asked, listing: Listing, now: datetime) -> Iterator[Finding]:
    """What the answer tells of the way there, the key, the clock and the models."""
    refusal = listing.refusal
    if isinstance(refusal, Unreachable | OutcomeUnknown):
        yield _unreached(refusal)
        return
    way = "over TLS" if asked.base_url.startswith("https:") else "on this machine, without TLS"
    yield Finding("server", "ok", f"{asked.base_url} answers, {way}.")
    yield from _clock(listing.served_at, now)
    if isinstance(refusal, AuthenticationFailed) and asked.key is None:
        return  # which is told of the key
    if refusal:
        yield _refused(asked, refusal)
    else:
        yield Finding("access", "ok", f"{asked.provider.title} accepts the key.")
        yield from _models(asked, listing, now.date())


def _unreached(error: UpstreamError) -> Finding:
    if isinstance(error, Unreachable):
        return Finding.of("server", error)
    return Finding(
        "server",
        "fail",
        error.message,
        "Check OPENAI_BASE_URL, the network and any proxy, then run it again.",
    )


def _clock(served_at: datetime | None, now: datetime) -> Iterator[Finding]:
    if served_at is None:
        yield Finding("clock", "ok", "The server does not tell the time, so the clock could not be compared.")
        return
    skew = abs(served_at - now)
    if skew < _SKEW_TOLD:
        yield Finding("clock", "ok", "This machine's clock agrees with the server's.")
        return
    which = "behind" if served_at > now else "ahead of"
    yield Finding(
        "clock",
        "fail" if skew >= _SKEW_HARMS else "warn",
        f"This machine's clock is {_span(skew)} {which} the server's.",
        "Set it, by network time for instance: TLS and the days of budgets go by it.",
    )


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _refused(asked: Asked, error: UpstreamError) -> Finding:
    """Why there is no list: not all refusals of it are refusals of pictures."""
    if isinstance(error, AccessDenied) and "scope" in error.message.lower():
        return Finding(
            "access",
            "warn",
            "The key may not list models, so what else it may cannot be told.",
            "Give it the permission to read models, or see what a call says.",
        )
    is_final = isinstance(error, Rejected) and not isinstance(error, RateLimited)
    if asked.provider.name != "openai" and type(error) is Rejected:
        return Finding("access", "warn", f"It lists no models: {error.message}", _NONE_LISTED)
    if not is_final:
        return Finding("access", "warn", f"It lists no models: {error.message}", "See what a call says.")
    return Finding.of("access", error)


def look_at_organization(asked: Asked, *, verified: bool | None) -> Iterator[Finding]:
    """What the calls of this machine tell; listing models does not."""
    if asked.provider.name != "openai":
        return
    if verified:
        yield Finding("organization", "ok", "The last calls were not refused for an unverified organization.")
    elif verified is None:
        yield Finding(
            "organization",
            "warn",
            "Whether the organization is verified for these models cannot be told without a call that costs.",
            f"Look at {_VERIFY}, or make one small picture.",
        )
    else:
        yield Finding(
            "organization",
            "fail",
            "The last call was refused because the organization is not verified for its model.",
            f"Verify it at {_VERIFY}; if that is done, the next call tells (it can take 15 minutes).",
        )


def _models(asked: Asked, listing: Listing, today: date) -> Iterator[Finding]:
    yield from _own_model(asked, listing, today)
    if asked.provider.name == "openai":
        yield from _others(listing, today)
        yield from _dates(listing)


def _own_model(asked: Asked, listing: Listing, today: date) -> Iterator[Finding]:
    """The model of calls that name none."""
    model = asked.provider.model_behind(asked.model)
    ends = None if asked.provider.own_dates else listing.models.get(model) or shutdown_date(model)
    remedy = f"Set GPT_IMAGE_2_MODEL={replacement(model)} and restart the client."
    if ends and ends <= today:
        yield Finding("model", "fail", f"{asked.model} was shut down on {ends}.", remedy)
    elif ends and ends <= today + WARN_WITHIN:
        yield Finding("model", "warn", f"{asked.model} is shut down on {ends}.", remedy)
    elif {asked.model, asked.provider.name_of(model), model} & set(listing.models):
        yield Finding("model", "ok", f"{asked.model} is listed for this key.")
    elif asked.provider.deployments:
        yield Finding("model", "ok", f"{asked.model} is a deployment; deployments are not listed.")
    else:
        yield Finding(
            "model",
            "warn",
            f"{asked.provider.title} does not list {asked.model} for this key.",
            "Check what the key's project may use, and GPT_IMAGE_2_MODEL; the list can lag a launch by days.",
        )


def _others(listing: Listing, today: date) -> Iterator[Finding]:
    living = [model.id for model in MODELS if model.shutdown is None or today < model.shutdown]
    missing = [name for name in living if name not in listing.models]
    new = [
        name for name in listing.models if "gpt-image" in name and not find_model(name) and _is_living(name)
    ]
    if missing:
        what = f"Not listed for this key: {', '.join(missing)}."
        remedy = "Calls that name them may be refused; check what the key's project may use."
        yield Finding("models", "warn", what, remedy)
    else:
        yield Finding("models", "ok", "Every image model that this version knows is listed for this key.")
    if new:
        what = f"Listed, and not known to this version: {', '.join(sorted(new))}."
        yield Finding("new models", "warn", what, "They can be tried by `model`; update gpt-image-2-mcp.")


def _is_living(name: str) -> bool:
    return shutdown_date(name) is None


def _dates(listing: Listing) -> Iterator[Finding]:
    """Where the API knows another day than the table of this version."""
    known = {name: ends for name, ends in listing.models.items() if find_model(name)}
    differing = [
        f"{name} on {_said(ends)} (here: {_said(shutdown_date(name))})"
        for name, ends in known.items()
        if ends != shutdown_date(name)
    ]
    if differing:
        what = f"OpenAI shuts down: {'; '.join(differing)}."
        yield Finding("shutdowns", "warn", what, "OpenAI's days hold; update gpt-image-2-mcp.")
    elif known:
        yield Finding("shutdowns", "ok", "The days on which models are shut down agree with OpenAI's.")


def _said(day: date | None) -> str:
    return day.isoformat() if day else "no day that is known"
