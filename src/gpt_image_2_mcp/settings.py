"""The environment, read once into a frozen value."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from gpt_image_2_mcp import budgets, limits
from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.capabilities import DEFAULT_MODEL, MAX_PARTIALS
from gpt_image_2_mcp.clients import places
from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.hosts import host_and_port
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.limits import Limit, Limits
from gpt_image_2_mcp.providers import IMAGE_FIELDS, NAMES, ImageField, check_address
from gpt_image_2_mcp.redaction import Redact, redactor
from gpt_image_2_mcp.showing import Inline
from gpt_image_2_mcp.variables import DEFAULT_BASE_URL, DEFAULT_RESPONSES_MODEL, MIN_TOKEN, strangers

_CENTURY_MS: Final = 100 * 365 * 86_400_000
"""As good as for ever; a time so long before now can still be counted in the calendar."""


_MANY: Final = 100_000
_DOLLARS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_HOST: Final = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:(\d{1,5}|\*))?")
_NAME: Final = re.compile(r"[\w.:/@-]{1,100}", re.ASCII)
_ORIGIN: Final = re.compile(rf"https?://{_HOST.pattern}")
_IGNORED: Final = {
    "OPENAI_USE_DIRECT_EDITS": "OPENAI_USE_DIRECT_EDITS is ignored: edits go by the edits endpoint anyway."
}
_OF_TERMINALS: Final = (
    *("TERM", "TERM_PROGRAM", "LC_TERMINAL", "COLORTERM", "NO_COLOR"),
    *("KITTY_WINDOW_ID", "TMUX", "WT_SESSION"),
)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What `serve --http` is told; no `token` means that one is to be made, and kept."""

    token: Secret | None
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    local_paths: bool
    body_limit: int
    connections: int
    stateless: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Folders are absolute; None means no limit.

    `local_paths` says whether callers may name files of this machine; `serve --http` takes it from `http`.
    `wait_s` is infinite for "to the end"; None leaves it, as with `client_profile`, to the client that calls.
    """

    api_key: Secret | None
    base_url: str
    provider: str | None
    image_field: ImageField | None
    deployments: tuple[tuple[str, str], ...]
    organization: str | None
    project: str | None
    model: str
    output_dir: Path | None
    allow_unsafe_output_dir: bool
    allow_hosts: frozenset[tuple[str, int]]
    input_roots: tuple[Path, ...]
    config_home: Path
    state_dir: Path
    working_dir: Path
    keep_metadata: bool
    pass_urls: bool
    session_store: Literal["sqlite", "memory"]
    session_max: int | None
    session_ttl: timedelta | None
    wait_s: float | None
    inline: Inline
    client_profile: str | None
    worker: Literal["process", "inline"]
    partial_images: int
    stream: bool
    sandbox: bool
    debug: bool
    force_responses_edits: bool
    responses_model: str
    budgets: Budgets
    confirm_above: int | None
    images_per_minute: int | None
    limits: Limits
    http: HttpSettings
    local_paths: bool = True
    notices: tuple[str, ...] = ()

    def redactor(self) -> Redact:
        """Takes secrets out of text, those that are set among them whatever they look like."""
        return redactor(*(secret.reveal() for secret in (self.api_key, self.http.token) if secret))


def read_settings(environ: MutableMapping[str, str] | None = None) -> Settings:
    """Read the settings and take the secrets out of the environment, so that no child process has them.

    Raises:
        ConfigurationError: a value is wrong; the sentence names the variable.
    """
    environ = os.environ if environ is None else environ
    settings = _settings(environ)
    for name in ("OPENAI_API_KEY", "GPT_IMAGE_2_HTTP_TOKEN"):
        environ.pop(name, None)
    return settings


def state_dir_of(settings: Settings) -> Path:
    """The state folder; a sandbox has one of its own, so that no picture of it gets billed."""
    return settings.state_dir / "sandbox" if settings.sandbox else settings.state_dir


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a server it starts, with `changes` and without any OpenAI setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, **changes}


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that was meant for us, by its name, and is none of ours."""
    return strangers(os.environ if environ is None else environ)


def terminal_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a terminal says of itself; of variables that are set to nothing, none."""
    read = _Reader(os.environ if environ is None else environ)
    return {name: value for name in _OF_TERMINALS if (value := read.text(name))}


def places_of_clients(environ: Mapping[str, str] | None = None) -> Places:
    """Where this person's clients keep their files."""
    read = _Reader(os.environ if environ is None else environ)
    working_dir = _working_dir()
    moved = {name: path for name in places.VARIABLES if (path := read.path(name, working_dir))}
    system = places.system_of(sys.platform)
    return Places(system, Path.home(), working_dir / _config_home(read), working_dir, moved)


def key_for_clients(environ: Mapping[str, str] | None = None) -> tuple[Secret | None, Path | None]:
    """The key, and the file of one, that the environment names; nothing is read from that file.

    Raises:
        ConfigurationError: it has characters that no key has.
    """
    read = _Reader(os.environ if environ is None else environ)
    key, file = read.header("OPENAI_API_KEY"), read.path("OPENAI_API_KEY_FILE", _working_dir())
    return Secret(key) if key else None, file


def environment_of_clients(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a server as a client would start it: with no setting of this shell."""
    inherited = child_environment({}).items()
    kept = {name: value for name, value in inherited if not name.startswith("GPT_IMAGE_2_")}
    return {**kept, **changes}


def _settings(environ: Mapping[str, str]) -> Settings:
    read = _Reader(environ)
    working_dir = _working_dir()
    base_url = _base_url(read.text("OPENAI_BASE_URL"))
    ttl = read.whole("GPT_IMAGE_2_SESSION_TTL_MS", 3_600_000)
    return Settings(
        api_key=_secret(read, "OPENAI_API_KEY", "key"),
        base_url=base_url,
        provider=_provider(read, base_url),
        image_field=read.word("GPT_IMAGE_2_IMAGE_FIELD", None, *IMAGE_FIELDS),
        deployments=_deployments(read.text("GPT_IMAGE_2_DEPLOYMENTS") or ""),
        organization=read.header("OPENAI_ORG_ID"),
        project=read.header("OPENAI_PROJECT_ID"),
        model=read.text("GPT_IMAGE_2_MODEL") or DEFAULT_MODEL,
        output_dir=read.path("GPT_IMAGE_2_OUTPUT_DIR", working_dir),
        allow_unsafe_output_dir=read.flag("GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR"),
        allow_hosts=_allow_hosts(read.text("GPT_IMAGE_2_ALLOW_HOSTS") or ""),
        input_roots=read.folders("GPT_IMAGE_2_INPUT_ROOTS"),
        config_home=working_dir / _config_home(read),
        state_dir=read.path("GPT_IMAGE_2_STATE_DIR", working_dir) or _platform_state_dir(),
        working_dir=working_dir,
        keep_metadata=read.flag("GPT_IMAGE_2_KEEP_METADATA"),
        pass_urls=read.flag("GPT_IMAGE_2_PASS_URLS"),
        session_store=read.word("GPT_IMAGE_2_SESSION_STORE", "sqlite", "memory"),
        session_max=read.whole("GPT_IMAGE_2_SESSION_MAX", 20) or None,
        session_ttl=timedelta(milliseconds=min(ttl, _CENTURY_MS)) if ttl else None,
        wait_s=_wait_s(read),
        inline=read.word("GPT_IMAGE_2_INLINE", *get_args(Inline)),
        client_profile=read.text("GPT_IMAGE_2_CLIENT_PROFILE"),
        worker=read.word("GPT_IMAGE_2_WORKER", *_workers()),
        partial_images=read.whole("GPT_IMAGE_2_PARTIALS", 0, most=MAX_PARTIALS),
        stream=read.flag("GPT_IMAGE_2_STREAM"),
        sandbox=read.flag("GPT_IMAGE_2_SANDBOX"),
        debug=read.flag("GPT_IMAGE_2_MCP_DEBUG"),
        force_responses_edits=read.flag("OPENAI_FORCE_RESPONSES_EDITS"),
        responses_model=read.text("OPENAI_RESPONSES_EDIT_MODEL") or DEFAULT_RESPONSES_MODEL,
        budgets=_budgets(read),
        confirm_above=read.dollars("GPT_IMAGE_2_CONFIRM_USD"),
        images_per_minute=read.whole("GPT_IMAGE_2_IMAGES_PER_MINUTE", 0, most=_MANY) or None,
        limits=_limits(read),
        http=_http(read),
        notices=(*_notices(read, base_url), *strangers(environ)),
    )


class _Reader:
    """Typed reads. Empty and unexpanded `${...}` values, which some clients pass on, count as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        value = self._environ.get(name, "").strip()
        return None if not value or value.startswith("${") else value

    def path(self, name: str, working_dir: Path) -> Path | None:
        value = self.text(name)
        return working_dir / _expanded(name, value) if value else None

    def folders(self, name: str) -> tuple[Path, ...]:
        """Absolute folders, parted as in PATH."""
        values = (value.strip() for value in (self.text(name) or "").split(os.pathsep))
        folders = tuple(_expanded(name, value) for value in values if value)
        if not all(folder.is_absolute() for folder in folders):
            raise _wrong(name, f"must list absolute folders, parted by {os.pathsep}")
        return folders

    def header(self, name: str) -> str | None:
        """A value that travels in an HTTP header."""
        value = self.text(name)
        if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
            raise _wrong(name, "has characters that no such value has")
        return value

    def flag(self, name: str) -> bool:
        value = (self.text(name) or "0").lower()
        if value not in ("0", "1", "true", "false", "yes", "no", "on", "off"):
            raise _wrong(name, "must be 1 or 0")
        return value in ("1", "true", "yes", "on")

    def whole(self, name: str, default: int, *, most: int | None = None) -> int:
        value = self.text(name)
        if value is None:
            return default
        in_digits = value.isascii() and value.isdecimal() and len(value) <= 15
        if not in_digits or (most is not None and int(value) > most):
            raise _wrong(name, f"must be a whole number, {'0 or more' if most is None else f'0 to {most}'}")
        return int(value)

    def dollars(self, name: str) -> int | None:
        """An amount of money in micro-dollars."""
        value = self.text(name)
        if value is not None and not _DOLLARS.fullmatch(value):
            raise _wrong(name, "must be an amount in dollars such as 5 or 0.50; 0 lets nothing through")
        return None if value is None else int(Decimal(value).scaleb(6))

    def limit(self, limit: Limit) -> int:
        value = self.whole(limit.name, limit.default)
        if not limit.lowest <= value <= limit.highest:
            raise _wrong(limit.name, f"must be from {limit.lowest} to {limit.highest:,}")
        return value * limit.unit

    def some(self, name: str, default: int) -> int:
        """A whole number other than 0."""
        value = self.whole(name, default)
        if not 0 < value <= _MANY:
            raise _wrong(name, f"must be a whole number, 1 to {_MANY:,}")
        return value

    def entries(self, name: str, rule: re.Pattern[str], what: str) -> tuple[str, ...]:
        """Entries parted by commas, in lower case as browsers send them."""
        found = tuple(entry.strip().lower() for entry in (self.text(name) or "").split(",") if entry.strip())
        if not all(rule.fullmatch(entry) for entry in found):
            raise _wrong(name, f"must hold, parted by commas, entries like {what}")
        return found

    def word(self, name: str, *words: Any) -> Any:
        """One of `words`, the first of which is the default; where that is None, so is the value."""
        value = self.text(name)
        if value is None:
            return words[0]
        if value.lower() not in words:
            raise _wrong(name, f"must be {' or '.join(filter(None, words))}")
        return value.lower()


def _expanded(name: str, value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise _wrong(name, "names the home of a user there is not") from None


def _wrong(name: str, rule: str) -> ConfigurationError:
    return ConfigurationError(f"{name} {rule}.", hint="Correct it in the client's configuration and restart.")


def _http(read: _Reader) -> HttpSettings:
    token = _secret(read, "GPT_IMAGE_2_HTTP_TOKEN", "token")
    if token and len(token.reveal()) < MIN_TOKEN:
        raise _wrong("GPT_IMAGE_2_HTTP_TOKEN", f"must have {MIN_TOKEN} characters or more")
    return HttpSettings(
        token=token,
        allowed_hosts=read.entries(
            "GPT_IMAGE_2_HTTP_ALLOWED_HOSTS", _HOST, "a host name such as images.example.com"
        ),
        allowed_origins=read.entries(
            "GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS", _ORIGIN, "an origin such as https://example.com"
        ),
        local_paths=read.flag("GPT_IMAGE_2_HTTP_LOCAL_PATHS"),
        body_limit=read.some("GPT_IMAGE_2_HTTP_BODY_MB", 24) << 20,
        connections=read.some("GPT_IMAGE_2_HTTP_CONNECTIONS", 200),
        stateless=read.flag("GPT_IMAGE_2_HTTP_STATELESS"),
    )


def _secret(read: _Reader, name: str, what: str) -> Secret | None:
    """The value of `name`, or what stands in the file that `name`_FILE names."""
    value, path = read.text(name), read.path(f"{name}_FILE", Path())
    if value is None and path is not None:
        name = f"{name}_FILE"
        try:
            value = path.read_text("utf-8").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise _wrong(name, f"names a file that cannot be read ({reason})") from None
    if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
        raise _wrong(name, f"has characters that no {what} has")
    return Secret(value) if value else None


def _base_url(url: str | None) -> str:
    if url is None:
        return DEFAULT_BASE_URL
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise _wrong("OPENAI_BASE_URL", "is not a URL") from None
    if not host or parts.scheme not in ("https", "http"):
        raise _wrong("OPENAI_BASE_URL", "must be an https URL such as https://api.openai.com/v1")
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        raise _wrong("OPENAI_BASE_URL", "must be https, or the key would travel in the clear")
    if "@" in parts.netloc:
        raise _wrong("OPENAI_BASE_URL", "must not hold a user name or password")
    check_address(url)
    # urlsplit passes over what the HTTP client refuses at the first call.
    if "\\" in url or " " in url or not url.isprintable():
        raise _wrong("OPENAI_BASE_URL", "is not a URL")
    if "?" in url or "#" in url:
        raise _wrong("OPENAI_BASE_URL", "must end with its path: what stands behind ? or # would not be sent")
    return url.rstrip("/")


def _provider(read: _Reader, base_url: str) -> str | None:
    name: str | None = read.word("GPT_IMAGE_2_PROVIDER", None, *NAMES)
    if name not in (None, "openai") and base_url == DEFAULT_BASE_URL:
        raise _wrong("GPT_IMAGE_2_PROVIDER", "names another server than OpenAI's, so set OPENAI_BASE_URL too")
    return name


def _deployments(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip() for part in item.split("=")) for item in text.split(",") if item.strip()]
    found = tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2 and all(map(_NAME.fullmatch, pair)))
    if len(found) < len(pairs):
        raise _wrong(
            "GPT_IMAGE_2_DEPLOYMENTS", "must hold, parted by commas, entries like my-images=gpt-image-2"
        )
    if any(len(set(names)) < len(names) for names in zip(*found, strict=True)):
        raise _wrong("GPT_IMAGE_2_DEPLOYMENTS", "must name each deployment and each model once")
    return found


def _allow_hosts(text: str) -> frozenset[tuple[str, int]]:
    hosts = [host_and_port(item.strip()) for item in text.split(",") if item.strip()]
    if None in hosts:
        raise _wrong(
            "GPT_IMAGE_2_ALLOW_HOSTS",
            "must be a list of host or host:port without scheme, path or wildcard, IPv6 in brackets, "
            "international names in their xn-- form",
        )
    return frozenset(host for host in hosts if host)


def _notices(read: _Reader, base_url: str) -> tuple[str, ...]:
    host = urlsplit(base_url).netloc
    elsewhere = [] if base_url == DEFAULT_BASE_URL else [f"OPENAI_BASE_URL: calls and the key go to {host}."]
    return (*elsewhere, *(notice for name, notice in _IGNORED.items() if read.text(name)))


def _wait_s(read: _Reader) -> float | None:
    name = "GPT_IMAGE_2_WAIT_SECONDS"
    return (read.whole(name, 0) or math.inf) if read.text(name) else None


def _limits(read: _Reader) -> Limits:
    return Limits(**{limit.field: read.limit(limit) for limit in limits.TABLE if read.text(limit.name)})


def _budgets(read: _Reader) -> Budgets:
    return Budgets(**{budget.scope: read.dollars(budget.name) for budget in budgets.TABLE})


def _workers() -> tuple[str, str]:
    """The kinds of worker, the default first: stopping a container kills all its processes at once."""
    in_container = os.getpid() == 1 or Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    return ("inline", "process") if in_container else ("process", "inline")


def _working_dir() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder the client started us in is gone
        return Path.home()


def _config_home(read: _Reader) -> Path:
    if sys.platform == "win32":
        return Path(read.text("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(read.text("XDG_CONFIG_HOME") or Path.home() / ".config")


def _platform_state_dir() -> Path:
    import platformdirs

    return platformdirs.user_state_path("gpt-image-2-mcp", appauthor=False)
