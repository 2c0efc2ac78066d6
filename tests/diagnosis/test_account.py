"""What the list of models, and the refusal of it, tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gpt_image_2_mcp.capabilities import MODELS
from gpt_image_2_mcp.diagnosis.account import Asked, look_at_key, look_at_listing, look_at_organization
from gpt_image_2_mcp.diagnosis.findings import Finding
from gpt_image_2_mcp.errors import (
    AccessDenied,
    AuthenticationFailed,
    QuotaExhausted,
    RateLimited,
    Rejected,
    UpstreamError,
    UpstreamTimeout,
)
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.providers import OPENAI, named
from gpt_image_2_mcp.reports import Listing
from tests.support.upstreams import CANARY

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ASKED = Asked(OPENAI, "https://api.openai.com/v1", Secret(CANARY), "gpt-image-2")
ALL = {model.id: model.shutdown for model in MODELS}


def told(listing: Listing, asked: Asked = ASKED) -> dict[str, Finding]:
    return {finding.name: finding for finding in look_at_listing(asked, listing, NOW)}


def test_the_key_is_told_by_its_length_alone() -> None:
    (found,) = look_at_key(ASKED)
    assert found == Finding("key", "ok", f"An API key of {len(CANARY)} characters is set.")


def test_keys_of_other_servers_look_like_anything_and_some_need_none() -> None:
    local = replace(ASKED, provider=named("localai"), key=None)
    assert [found.status for found in look_at_key(local)] == ["ok"]
    assert [found.status for found in look_at_key(replace(local, key=Secret("none")))] == ["ok"]
    assert [found.status for found in look_at_key(replace(local, key=Secret("<your key>")))] == ["fail"]


@pytest.mark.parametrize("start", ["sk-ant-api03-", "sk-or-v1-"])
def test_a_key_of_somebody_else_is_none_of_openais(start: str) -> None:
    key = Secret(f"{start}{'x' * 60}")
    (found,) = look_at_key(replace(ASKED, key=key))
    assert (found.status, "does not look like one of OpenAI's" in found.what) == ("fail", True)
    elsewhere = replace(ASKED, provider=named("litellm"), key=key)
    assert [found.status for found in look_at_key(elsewhere)] == ["ok"]


def test_a_key_that_is_missing_is_told_in_a_sentence_whatever_the_server_is_called() -> None:
    for provider, said in (
        (OPENAI, "No OpenAI API key is set."),
        (named("compatible"), "The server needs an API key, and none is set."),
    ):
        (found,) = look_at_key(replace(ASKED, provider=provider, key=None))
        assert (found.status, found.what) == ("fail", said)


def test_a_server_that_has_no_list_may_also_be_an_address_that_lacks_its_end() -> None:
    elsewhere = replace(ASKED, provider=named("compatible"), base_url="http://127.0.0.1:8080")
    found = told(Listing(refusal=Rejected("The API address was not found.")), elsewhere)["access"]
    assert (found.status, "OPENAI_BASE_URL mostly ends in /v1" in found.remedy) == ("warn", True)


def test_a_clock_within_a_minute_is_fine_and_one_within_five_is_worth_a_look() -> None:
    for seconds, status in ((59, "ok"), (61, "warn"), (-299, "warn"), (301, "fail")):
        listing = Listing(ALL, served_at=NOW + timedelta(seconds=seconds))
        assert told(listing)["clock"].status == status
    assert "could not be compared" in told(Listing(ALL))["clock"].what


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AuthenticationFailed("No."), "fail"),
        (AccessDenied("You have insufficient permissions. Missing scopes: api.model.read."), "warn"),
        (AccessDenied("Country, region, or territory not supported"), "fail"),
        (QuotaExhausted("No budget left."), "fail"),
        (RateLimited("Too many."), "warn"),
        (UpstreamError("No JSON."), "warn"),
        (Rejected("The API address was not found."), "fail"),
    ],
)
def test_a_refusal_of_the_list_is_not_always_one_of_pictures(error: UpstreamError, status: str) -> None:
    found = told(Listing(refusal=error))
    assert (found["server"].status, found["access"].status) == ("ok", status)
    assert "model" not in found


def test_a_server_that_lists_no_models_may_make_pictures_all_the_same() -> None:
    other = replace(ASKED, provider=named("vllm-omni"), base_url="http://127.0.0.1:8000/v1")
    found = told(Listing(refusal=Rejected("The API address was not found.")), other)
    assert found["access"].status == "warn"
    assert "without TLS" in found["server"].what


def test_a_server_that_does_not_answer_is_not_said_to_have_billed_anything() -> None:
    (found,) = look_at_listing(ASKED, Listing(refusal=UpstreamTimeout("OpenAI did not answer in time.")), NOW)
    assert (found.name, found.status) == ("server", "fail")
    assert "bill" not in found.remedy


def test_a_model_that_goes_soon_is_told_with_what_to_use_instead() -> None:
    found = told(Listing(ALL), replace(ASKED, model="gpt-image-1.5"))["model"]
    assert (found.status, "shut down on 2026-12-01" in found.what) == ("warn", True)
    assert "GPT_IMAGE_2_MODEL=gpt-image-2.6" in found.remedy
    gone = told(Listing(ALL), replace(ASKED, model="gpt-image-1"))["model"]
    assert gone.status == "fail"


def test_models_that_are_not_listed_or_not_known_are_named() -> None:
    listing = Listing({"gpt-image-2": None, "gpt-image-3": None, "gpt-image-1": None, "gpt-5": None})
    found = told(listing)
    assert "gpt-image-2.6-sunburst" in found["models"].what
    assert found["models"].status == "warn"
    assert found["new models"].what == "Listed, and not known to this version: gpt-image-3."
    assert told(Listing({"gpt-5": None}))["model"].status == "warn"


def test_a_day_that_was_put_off_holds_in_the_place_of_ours() -> None:
    later = date(2027, 3, 1)
    found = told(Listing(ALL | {"gpt-image-1.5": later}), replace(ASKED, model="gpt-image-1.5"))
    assert found["model"].status == "ok"
    assert found["shutdowns"].what == "OpenAI shuts down: gpt-image-1.5 on 2027-03-01 (here: 2026-12-01)."


def test_a_deployment_is_not_looked_for_in_a_list_of_models() -> None:
    azure = replace(named("azure"), deployments=(("pictures", "gpt-image-2"),))
    found = told(Listing({"gpt-5": None}), replace(ASKED, provider=azure, model="pictures"))
    assert found["model"].status == "ok"
    assert "models" not in found


def test_other_servers_know_no_verification() -> None:
    assert list(look_at_organization(replace(ASKED, provider=named("azure")), verified=None)) == []
