"""The environment, read once."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.settings import (
    HttpSettings,
    Settings,
    child_environment,
    environment_of_clients,
    key_for_clients,
    places_of_clients,
    read_settings,
    terminal_variables,
    unknown_settings,
)
from gpt_image_2_mcp.variables import DEFAULT_BASE_URL, DEFAULT_RESPONSES_MODEL, TABLE
from tests.support.upstreams import CANARY

KEY = CANARY
TOKEN = "0123456789abcdef"


class Watched(MutableMapping[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, values: dict[str, str] | None = None) -> None:
        self.values_ = dict(values or {})
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.values_[name] = value

    def __delitem__(self, name: str) -> None:
        del self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def read(**environ: str) -> Settings:
    return read_settings(environ)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(**environ)
    assert "restart" in caught.value.hint
    return caught.value.message


def test_an_empty_environment_gives_the_documented_defaults(home: Path) -> None:
    settings = read()

    assert settings.api_key is None
    assert settings.base_url == DEFAULT_BASE_URL == "https://api.openai.com/v1"
    assert (settings.organization, settings.project) == (None, None)
    assert (settings.provider, settings.image_field, settings.deployments) == (None, None, ())
    assert settings.model == "gpt-image-2"
    assert settings.output_dir is None
    assert settings.config_home == home / ".config"
    assert settings.state_dir.is_relative_to(home)
    assert settings.state_dir.name == "gpt-image-2-mcp"
    assert settings.working_dir == home
    assert settings.session_store == "sqlite"
    assert settings.session_max == 20
    assert settings.session_ttl == timedelta(hours=1)
    assert settings.wait_s is None
    assert (settings.inline, settings.client_profile) == ("auto", None)
    assert settings.responses_model == DEFAULT_RESPONSES_MODEL
    assert settings.http == HttpSettings(None, (), (), False, 24 << 20, 200, False)
    assert settings.local_paths
    assert not settings.allow_unsafe_output_dir
    assert settings.allow_hosts == frozenset()
    assert settings.input_roots == ()
    assert settings.partial_images == 0
    assert not settings.stream
    assert settings.images_per_minute is None
    assert not settings.keep_metadata
    assert not settings.pass_urls
    assert settings.confirm_above is None
    assert not settings.sandbox
    assert not settings.debug
    assert not settings.force_responses_edits
    assert settings.limits == Limits()
    assert settings.budgets == Budgets()
    assert settings.notices == ()


def test_every_variable_is_taken(home: Path) -> None:
    settings = read(
        OPENAI_API_KEY=KEY,
        OPENAI_BASE_URL="https://eu.api.openai.com/v1/",
        OPENAI_ORG_ID="org-1",
        OPENAI_PROJECT_ID="proj-1",
        GPT_IMAGE_2_PROVIDER="LiteLLM",
        GPT_IMAGE_2_IMAGE_FIELD="image[]",
        GPT_IMAGE_2_DEPLOYMENTS="my-images = gpt-image-2, Qwen/Qwen-Image=qwen,",
        GPT_IMAGE_2_MODEL="gpt-image-2.5-flare",
        GPT_IMAGE_2_OUTPUT_DIR="pictures",
        GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR="1",
        GPT_IMAGE_2_ALLOW_HOSTS="Files.Corp, 10.0.0.5:8443,[FD00::0:5]:444,",
        GPT_IMAGE_2_INPUT_ROOTS=os.pathsep.join(["~/photos", "", f" {home} "]),
        GPT_IMAGE_2_STATE_DIR="~/state",
        GPT_IMAGE_2_KEEP_METADATA="1",
        GPT_IMAGE_2_PASS_URLS="1",
        GPT_IMAGE_2_SESSION_STORE="Memory",
        GPT_IMAGE_2_SESSION_MAX="7",
        GPT_IMAGE_2_SESSION_TTL_MS="1500",
        GPT_IMAGE_2_WAIT_SECONDS="240",
        GPT_IMAGE_2_INLINE="Preview",
        GPT_IMAGE_2_CLIENT_PROFILE="cursor",
        GPT_IMAGE_2_WORKER="Inline",
        GPT_IMAGE_2_PARTIALS="3",
        GPT_IMAGE_2_STREAM="on",
        GPT_IMAGE_2_IMAGES_PER_MINUTE="20",
        GPT_IMAGE_2_SANDBOX="1",
        GPT_IMAGE_2_MCP_DEBUG="true",
        OPENAI_FORCE_RESPONSES_EDITS="yes",
        OPENAI_RESPONSES_EDIT_MODEL="gpt-5.9",
        GPT_IMAGE_2_HTTP_TOKEN=TOKEN,
        GPT_IMAGE_2_HTTP_ALLOWED_HOSTS=" Images.Example.com, box:8931 ,[fd00::1]:*,",
        GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS="https://chat.example.com,http://localhost:*",
        GPT_IMAGE_2_HTTP_LOCAL_PATHS="1",
        GPT_IMAGE_2_HTTP_BODY_MB="64",
        GPT_IMAGE_2_HTTP_CONNECTIONS="9",
        GPT_IMAGE_2_HTTP_STATELESS="1",
        GPT_IMAGE_2_CONFIRM_USD="0.25",
        GPT_IMAGE_2_BUDGET_CALL_USD="0.5",
        GPT_IMAGE_2_BUDGET_SESSION_USD="0",
        GPT_IMAGE_2_BUDGET_DAY_USD="5.000001",
        GPT_IMAGE_2_BUDGET_MONTH_USD="100",
        GPT_IMAGE_2_BUDGET_TOTAL_USD="999999999.999999",
        GPT_IMAGE_2_MAX_IN_FLIGHT="100",
        GPT_IMAGE_2_MAX_QUEUE="0",
        GPT_IMAGE_2_MAX_INPUTS="3",
        GPT_IMAGE_2_MAX_INPUT_MB="5",
        GPT_IMAGE_2_MAX_INPUTS_MB="9",
        GPT_IMAGE_2_MAX_DATA_URL_MB="1",
        GPT_IMAGE_2_MAX_LINE_MB="2",
        GPT_IMAGE_2_MAX_ANSWER_MB="64",
        XDG_CONFIG_HOME="/cfg",
    )

    assert settings.api_key is not None
    assert settings.api_key.reveal() == KEY
    assert settings.base_url == "https://eu.api.openai.com/v1"
    assert (settings.organization, settings.project) == ("org-1", "proj-1")
    assert (settings.provider, settings.image_field) == ("litellm", "image[]")
    assert settings.deployments == (("my-images", "gpt-image-2"), ("Qwen/Qwen-Image", "qwen"))
    assert settings.model == "gpt-image-2.5-flare"
    assert settings.output_dir == home / "pictures"
    assert settings.allow_unsafe_output_dir
    assert settings.allow_hosts == {("files.corp", 443), ("10.0.0.5", 8443), ("fd00::5", 444)}
    assert settings.input_roots == (home / "photos", home)
    assert settings.state_dir == home / "state"
    assert settings.keep_metadata
    assert settings.pass_urls
    assert settings.confirm_above == 250_000
    assert settings.session_store == "memory"
    assert settings.session_max == 7
    assert settings.session_ttl == timedelta(milliseconds=1500)
    assert settings.wait_s == 240
    assert (settings.inline, settings.client_profile) == ("preview", "cursor")
    assert settings.worker == "inline"
    assert settings.partial_images == 3
    assert settings.stream
    assert settings.budgets == Budgets(500_000, 0, 5_000_001, 100_000_000, 999_999_999_999_999)
    assert settings.images_per_minute == 20
    assert settings.limits == Limits(100, 0, 2 * MB, 1 * MB, 3, 5 * MB, 9 * MB, 64 * MB)
    assert settings.sandbox
    assert settings.debug
    assert settings.force_responses_edits
    assert settings.responses_model == "gpt-5.9"
    assert settings.http.token is not None
    assert settings.http.token.reveal() == TOKEN
    assert settings.http.allowed_hosts == ("images.example.com", "box:8931", "[fd00::1]:*")
    assert settings.http.allowed_origins == ("https://chat.example.com", "http://localhost:*")
    assert settings.http.local_paths
    assert settings.local_paths, "stdio is not asked"
    assert settings.http.body_limit == 64 << 20
    assert settings.http.connections == 9
    assert settings.http.stateless
    assert settings.config_home == Path("/cfg")


def test_the_table_names_exactly_the_variables_that_are_read() -> None:
    environ = Watched()

    read_settings(environ)

    asked = {name for name in environ.asked if name.startswith(("OPENAI_", "GPT_IMAGE_2_"))}
    assert asked - {"OPENAI_USE_DIRECT_EDITS"} == {setting.name for setting in TABLE}


def test_the_table_says_what_each_variable_is_for() -> None:
    assert len({setting.name for setting in TABLE}) == len(TABLE)
    assert all(setting.help.endswith(".") for setting in TABLE)


@pytest.mark.parametrize("unset", ["", "   ", "${user_config.value}", "${OPENAI_API_KEY}"])
def test_empty_and_unexpanded_values_count_as_unset(unset: str) -> None:
    names = [setting.name for setting in TABLE] + ["OPENAI_USE_DIRECT_EDITS", "XDG_CONFIG_HOME"]

    assert read(**dict.fromkeys(names, unset)) == read()


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", " 1 "])
def test_a_flag_is_set_by_what_people_write(value: str) -> None:
    assert read(GPT_IMAGE_2_SANDBOX=value).sandbox


@pytest.mark.parametrize("value", ["0", "false", "No", "off"])
def test_a_flag_is_cleared_by_what_people_write(value: str) -> None:
    assert not read(GPT_IMAGE_2_SANDBOX=value).sandbox


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("GPT_IMAGE_2_SANDBOX", "maybe", "must be 1 or 0"),
        ("GPT_IMAGE_2_MCP_DEBUG", "2", "must be 1 or 0"),
        ("GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR", "/tmp", "must be 1 or 0"),
        ("OPENAI_FORCE_RESPONSES_EDITS", "always", "must be 1 or 0"),
        ("GPT_IMAGE_2_SESSION_MAX", "-1", "must be a whole number"),
        ("GPT_IMAGE_2_SESSION_MAX", "2.5", "must be a whole number"),
        ("GPT_IMAGE_2_SESSION_MAX", "\u00b2", "must be a whole number"),
        ("GPT_IMAGE_2_SESSION_MAX", "\u0663", "must be a whole number"),
        ("GPT_IMAGE_2_SESSION_TTL_MS", "1h", "must be a whole number"),
        ("GPT_IMAGE_2_SESSION_TTL_MS", "9" * 5000, "must be a whole number"),
        *(
            ("GPT_IMAGE_2_BUDGET_DAY_USD", value, "must be an amount in dollars such as 5 or 0.50")
            for value in (
                "$5",
                "5 USD",
                "-1",
                "1e3",
                "5,50",
                "0.0000001",
                "1" * 10,
                ".",
                "\u0663",
                "nan",
                "5\n6",
            )
        ),
        ("GPT_IMAGE_2_MAX_IN_FLIGHT", "0", "must be from 1 to 1,000"),
        ("GPT_IMAGE_2_MAX_QUEUE", "10001", "must be from 0 to 10,000"),
        ("GPT_IMAGE_2_MAX_INPUTS", "17", "must be from 1 to 16"),
        ("GPT_IMAGE_2_MAX_INPUT_MB", "51", "must be from 1 to 50"),
        ("GPT_IMAGE_2_MAX_LINE_MB", "16MB", "must be a whole number"),
        ("GPT_IMAGE_2_WAIT_SECONDS", "-1", "must be a whole number, 0 or more"),
        ("GPT_IMAGE_2_WAIT_SECONDS", "50s", "must be a whole number"),
        ("GPT_IMAGE_2_WAIT_SECONDS", "0.5", "must be a whole number"),
        ("GPT_IMAGE_2_PARTIALS", "4", "must be a whole number, 0 to 3"),
        ("GPT_IMAGE_2_PARTIALS", "-1", "must be a whole number, 0 to 3"),
        ("GPT_IMAGE_2_PARTIALS", "many", "must be a whole number, 0 to 3"),
        ("GPT_IMAGE_2_STREAM", "2", "must be 1 or 0"),
        ("GPT_IMAGE_2_IMAGES_PER_MINUTE", "-5", "must be a whole number, 0 to 100000"),
        ("GPT_IMAGE_2_IMAGES_PER_MINUTE", "five", "must be a whole number, 0 to 100000"),
        ("GPT_IMAGE_2_INLINE", "small", "must be auto or preview or full or none"),
        ("GPT_IMAGE_2_SESSION_STORE", "redis", "must be sqlite or memory"),
        ("GPT_IMAGE_2_OUTPUT_DIR", "~there-is-no-such-user/x", "names the home of a user there is not"),
        ("GPT_IMAGE_2_STATE_DIR", "~there-is-no-such-user/x", "names the home of a user there is not"),
        ("GPT_IMAGE_2_INPUT_ROOTS", "~there-is-no-such-user/x", "names the home of a user there is not"),
        ("GPT_IMAGE_2_INPUT_ROOTS", f"~{os.pathsep}photos", "must list absolute folders, parted by"),
        ("GPT_IMAGE_2_INPUT_ROOTS", ".", "must list absolute folders, parted by"),
        ("OPENAI_API_KEY_FILE", "~there-is-no-such-user/x", "names the home of a user there is not"),
        ("OPENAI_API_KEY", "sk-1 2", "has characters that no key has"),
        ("OPENAI_API_KEY", "sk-\u0131", "has characters that no key has"),
        ("OPENAI_API_KEY", "sk-a\nb", "has characters that no key has"),
        ("GPT_IMAGE_2_HTTP_TOKEN", "fifteen-letters", "must have 16 characters or more"),
        ("GPT_IMAGE_2_HTTP_TOKEN", "sixteen letters!", "has characters that no token has"),
        ("GPT_IMAGE_2_HTTP_TOKEN_FILE", "/nowhere/token", "names a file that cannot be read"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_HOSTS", "*", "must hold, parted by commas, entries like a host name"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_HOSTS", "*.example.com", "must hold, parted by commas"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_HOSTS", "https://example.com", "must hold, parted by commas"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_HOSTS", "a b", "must hold, parted by commas"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS", "example.com", "must hold, parted by commas, entries like an o"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS", "null", "must hold, parted by commas"),
        ("GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS", "https://example.com/", "must hold, parted by commas"),
        ("GPT_IMAGE_2_HTTP_BODY_MB", "0", "must be a whole number, 1 to 100,000"),
        ("GPT_IMAGE_2_HTTP_CONNECTIONS", "100001", "must be a whole number, 1 to 100,000"),
        ("GPT_IMAGE_2_HTTP_LOCAL_PATHS", "/srv", "must be 1 or 0"),
        *[
            (
                "GPT_IMAGE_2_DEPLOYMENTS",
                value,
                "must hold, parted by commas, entries like my-images=gpt-image-2",
            )
            for value in ("my-images", "a=", "=a", "a=b=c", "a b=c", "ä=b", "{}")
        ],
        (
            "GPT_IMAGE_2_DEPLOYMENTS",
            "a=gpt-image-2,a=gpt-image-2.5-flare",
            "must name each deployment and each",
        ),
        (
            "GPT_IMAGE_2_DEPLOYMENTS",
            "a=gpt-image-2,b=gpt-image-2",
            "must name each deployment and each model",
        ),
        ("GPT_IMAGE_2_IMAGE_FIELD", "images", "must be image[] or image"),
        ("GPT_IMAGE_2_PROVIDER", "groq", "must be openai or azure or stable-diffusion.cpp or localai or"),
        ("GPT_IMAGE_2_PROVIDER", "localai", "names another server than OpenAI's, so set OPENAI_BASE_URL too"),
        (
            "OPENAI_BASE_URL",
            "https://res.openai.azure.com/openai/deployments/d?api-version=2025-04-01-preview",
            "is the older address of one deployment",
        ),
        ("OPENAI_BASE_URL", "https://res.openai.azure.com/", "is no address of Azure's v1 API"),
        ("OPENAI_BASE_URL", "api.openai.com/v1", "must be an https URL"),
        ("OPENAI_BASE_URL", "ftp://api.openai.com", "must be an https URL"),
        ("OPENAI_BASE_URL", "https://", "must be an https URL"),
        ("OPENAI_BASE_URL", "https://[::1", "is not a URL"),
        ("OPENAI_BASE_URL", "https://host:port/v1", "is not a URL"),
        ("OPENAI_BASE_URL", "https://host:99999/v1", "is not a URL"),
        ("OPENAI_BASE_URL", "http://api.openai.com/v1", "must be https"),
        ("OPENAI_BASE_URL", "http://localhost.evil.example/v1", "must be https"),
        ("OPENAI_BASE_URL", "http://127.0.0.1@evil.example/v1", "must be https"),
        ("OPENAI_BASE_URL", "https://me:secret@host/v1", "must not hold a user name or password"),
        ("OPENAI_BASE_URL", "https://me@host/v1", "must not hold a user name or password"),
        ("OPENAI_BASE_URL", "https://@host/v1", "must not hold a user name or password"),
        ("OPENAI_BASE_URL", "https://:@host/v1", "must not hold a user name or password"),
        ("OPENAI_BASE_URL", "https://good\\@host/v1", "must not hold a user name or password"),
        ("OPENAI_BASE_URL", "http://localhost\\.evil.example/v1", "must be https"),
        ("OPENAI_BASE_URL", "https://good.example\\.evil.example/v1", "is not a URL"),
        ("OPENAI_BASE_URL", "http://local\thost/v1", "is not a URL"),
        ("OPENAI_BASE_URL", "https://host/v 1", "is not a URL"),
        ("OPENAI_BASE_URL", "https://host/v1?key=secret", "must end with its path"),
        ("OPENAI_BASE_URL", "https://host/v1#secret", "must end with its path"),
        *[
            ("GPT_IMAGE_2_ALLOW_HOSTS", value, "must be a list of host or host:port")
            for value in ("*", "*.corp", "https://a", "a/b", "me:secret@a", "a b", "a:0", "a:65536", "a:x")
        ],
        *[
            ("GPT_IMAGE_2_ALLOW_HOSTS", value, "must be a list of host or host:port")
            for value in ("127.1", "10.0.0.0/8", "fd00::5", "bücher.example", "a.", "good.example,*", "a;b")
        ],
    ],
)
def test_a_wrong_value_stops_the_start_with_the_variables_name(name: str, value: str, rule: str) -> None:
    message = refusal(**{name: value})

    assert message.startswith(f"{name} {rule}")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://proxy.example/openai/v1", "https://proxy.example/openai/v1"),
        ("https://proxy.example/openai/v1///", "https://proxy.example/openai/v1"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("HTTPS://Host.example/v1", "HTTPS://Host.example/v1"),
    ],
)
def test_a_base_url_is_https_or_on_this_machine(given: str, taken: str) -> None:
    assert read(OPENAI_BASE_URL=given).base_url == taken


def test_zero_means_no_limit() -> None:
    settings = read(GPT_IMAGE_2_SESSION_MAX="0", GPT_IMAGE_2_SESSION_TTL_MS="0", GPT_IMAGE_2_WAIT_SECONDS="0")

    assert settings.session_max is None
    assert settings.session_ttl is None
    assert settings.wait_s == math.inf


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine one with this process id and these files."""
    exists = Path.exists

    def become(pid: int, *files: str) -> None:
        marks = {"/.dockerenv", "/run/.containerenv"}
        monkeypatch.setattr(os, "getpid", lambda: pid)
        monkeypatch.setattr(
            Path,
            "exists",
            lambda path, **options: str(path) in files if str(path) in marks else exists(path, **options),
        )

    return become


@pytest.mark.parametrize(
    ("pid", "files", "worker"),
    [
        (4321, (), "process"),
        (1, (), "inline"),
        (4321, ("/.dockerenv",), "inline"),
        (4321, ("/run/.containerenv",), "inline"),
        (1, ("/.dockerenv", "/run/.containerenv"), "inline"),
    ],
    ids=["a machine", "first process", "docker", "podman", "all"],
)
def test_in_a_container_calls_are_carried_out_in_the_server(
    machine: Callable[..., None], pid: int, files: tuple[str, ...], worker: str
) -> None:
    machine(pid, *files)

    assert read().worker == worker
    assert read(GPT_IMAGE_2_WORKER="process").worker == "process"
    assert read(GPT_IMAGE_2_WORKER="inline").worker == "inline"


@pytest.mark.parametrize("pid", [1, 4321])
def test_a_worker_of_no_kind_stops_the_start(machine: Callable[..., None], pid: int) -> None:
    machine(pid)

    message = refusal(GPT_IMAGE_2_WORKER="thread")

    assert message.startswith("GPT_IMAGE_2_WORKER must be ")
    assert "process" in message
    assert "inline" in message


def test_a_very_long_idle_time_still_fits_the_calendar() -> None:
    ttl = read(GPT_IMAGE_2_SESSION_TTL_MS="9" * 15).session_ttl

    assert ttl is not None
    assert datetime.now(UTC) - ttl < datetime(1990, 1, 1, tzinfo=UTC)


def test_key_and_token_leave_the_environment() -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_ORG_ID": "org-1", "GPT_IMAGE_2_HTTP_TOKEN": TOKEN}

    settings = repr(read_settings(environ))

    assert KEY not in settings
    assert TOKEN not in settings
    assert environ == {"OPENAI_ORG_ID": "org-1"}


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GPT_IMAGE_2_MODEL", "gpt-image-2.6-flare")

    settings = read_settings()

    assert settings.model == "gpt-image-2.6-flare"
    assert settings.api_key is not None
    assert "OPENAI_API_KEY" not in os.environ  # noqa: TID251 - this is what the test is about


def test_a_key_file_gives_the_key(home: Path) -> None:
    (home / "key").write_text(f"  {KEY}\r\n")

    for name in ("key", "~/key", str(home / "key")):
        key = read(OPENAI_API_KEY_FILE=name).api_key
        assert key is not None
        assert key.reveal() == KEY


def test_the_key_itself_goes_before_the_file(home: Path) -> None:
    (home / "key").write_text("sk-other")

    for path in ("key", "missing"):
        key = read(OPENAI_API_KEY=KEY, OPENAI_API_KEY_FILE=path).api_key
        assert key is not None
        assert key.reveal() == KEY


def test_the_key_that_is_set_is_struck_out_of_texts() -> None:
    assert read(OPENAI_API_KEY="local-server-key").redactor()("no local-server-key") == "no [redacted]"
    assert read(GPT_IMAGE_2_HTTP_TOKEN=TOKEN).redactor()(f"no {TOKEN}") == "no [redacted]"
    assert read().redactor()("no local-server-key") == "no local-server-key"


def test_an_empty_key_file_holds_no_key(home: Path) -> None:
    (home / "key").write_text("\n")

    assert read(OPENAI_API_KEY_FILE="key").api_key is None


def test_a_key_file_that_cannot_be_read_stops_the_start(home: Path) -> None:
    (home / "folder").mkdir()
    (home / "binary").write_bytes(b"\xff\xfe\x00s")
    (home / "two").write_text("sk-secret-one\nsk-secret-two")

    assert refusal(OPENAI_API_KEY_FILE="missing") == (
        "OPENAI_API_KEY_FILE names a file that cannot be read (No such file or directory)."
    )
    assert "OPENAI_API_KEY_FILE names a file that cannot be read" in refusal(OPENAI_API_KEY_FILE="folder")
    assert refusal(OPENAI_API_KEY_FILE="binary").endswith("(not text).")
    assert refusal(OPENAI_API_KEY_FILE="two") == "OPENAI_API_KEY_FILE has characters that no key has."


def test_another_address_of_the_api_is_told_at_the_start() -> None:
    (notice,) = read(OPENAI_BASE_URL="https://proxy.example:8443/openai/v1").notices

    assert notice == "OPENAI_BASE_URL: calls and the key go to proxy.example:8443."
    assert read(OPENAI_BASE_URL=DEFAULT_BASE_URL).notices == ()


def test_a_token_file_gives_the_token(home: Path) -> None:
    (home / "token").write_text(f"{TOKEN}\n")

    token = read(GPT_IMAGE_2_HTTP_TOKEN_FILE="token").http.token

    assert token is not None
    assert token.reveal() == TOKEN


def test_an_old_switch_is_ignored_with_a_notice() -> None:
    (notice,) = read(OPENAI_USE_DIRECT_EDITS="1").notices

    assert notice.startswith("OPENAI_USE_DIRECT_EDITS is ignored")


def test_the_configuration_folder_is_the_platforms(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(XDG_CONFIG_HOME="relative").config_home == home / "relative"

    monkeypatch.setattr(sys, "platform", "win32")
    assert read(XDG_CONFIG_HOME="/cfg").config_home == home / "AppData" / "Roaming"
    assert read(APPDATA="/roaming").config_home == Path("/roaming")


def test_a_working_directory_that_is_gone_becomes_the_home(home: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    assert read().working_dir == home


def test_a_child_process_gets_no_openai_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere")
    monkeypatch.setenv("KEPT", "1")

    child = child_environment({"GPT_IMAGE_2_SANDBOX": "1"})

    assert not [name for name in child if name.startswith("OPENAI_")]
    assert (child["KEPT"], child["GPT_IMAGE_2_SANDBOX"]) == ("1", "1")


def test_a_terminal_is_known_by_what_it_says_and_by_nothing_else() -> None:
    said = terminal_variables({"TERM": "xterm-kitty", "TMUX": "", "NO_COLOR": " ", "OPENAI_API_KEY": KEY})

    assert said == {"TERM": "xterm-kitty"}


def test_the_folders_of_clients_are_the_persons_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    moved = {"XDG_CONFIG_HOME": "/xdg", "CODEX_HOME": "codex", "CLAUDE_CONFIG_DIR": ""}
    places = places_of_clients(moved)
    assert (places.home, places.config, places.project) == (home, Path("/xdg"), home)
    assert places.moved == {"CODEX_HOME": home / "codex"}
    monkeypatch.setattr(sys, "platform", "win32")
    assert places_of_clients({"APPDATA": "/appdata"}).config == Path("/appdata")


def test_a_key_for_clients_is_read_and_a_file_of_it_only_named(home: Path) -> None:
    key, file = key_for_clients({"OPENAI_API_KEY": KEY, "OPENAI_API_KEY_FILE": "key"})
    assert key
    assert (key.reveal(), file) == (KEY, home / "key")
    assert key_for_clients({}) == (None, None)


def test_a_server_that_is_tried_for_a_client_has_no_setting_of_this_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GPT_IMAGE_2_STREAM", "maybe")
    monkeypatch.setenv("LANG", "C")
    found = environment_of_clients({"GPT_IMAGE_2_SANDBOX": "1"})
    assert found["LANG"] == "C"
    assert {name for name in found if name.startswith(("OPENAI_", "GPT_IMAGE_2_"))} == {"GPT_IMAGE_2_SANDBOX"}


def test_a_name_that_is_no_setting_is_told_with_the_one_that_was_meant() -> None:
    (notice,) = read(GPT_IMAGE_2_BUDGET_DAILY_USD="5").notices

    assert notice == (
        "GPT_IMAGE_2_BUDGET_DAILY_USD is no setting, so it changes nothing "
        "(did you mean GPT_IMAGE_2_BUDGET_DAY_USD?)."
    )
    assert unknown_settings({"GPT_IMAGE_2_ZZ": "1"}) == [
        "GPT_IMAGE_2_ZZ is no setting, so it changes nothing."
    ]
    assert unknown_settings({setting.name: "" for setting in TABLE} | {"PATH": "/bin"}) == []
