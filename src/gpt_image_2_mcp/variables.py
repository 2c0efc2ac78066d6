"""The environment variables as a table: names, defaults, helps. The documentation is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp import budgets, limits
from gpt_image_2_mcp.capabilities import DEFAULT_MODEL

MIN_TOKEN: Final = 16
"""Characters of a bearer token, so that it cannot be guessed over a network."""
DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
# A small model of the current family: the gpt-4.1 and gpt-4o hosts are shut down on 2027-01-14.
DEFAULT_RESPONSES_MODEL: Final = "gpt-5.4-mini"

_OURS: Final = "GPT_IMAGE_2_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: what it is for, the default as people read it, and an example for `.env.example`."""

    name: str
    help: str
    default: str = ""
    example: str = ""


TABLE: Final = (
    Setting("OPENAI_API_KEY", "The OpenAI API key.", "none: tools are listed, calls refused", "sk-..."),
    Setting("OPENAI_API_KEY_FILE", "A file that holds the key, for secrets mounted as files."),
    Setting("OPENAI_BASE_URL", "Another API address; https, or http on this machine.", DEFAULT_BASE_URL),
    Setting(
        "GPT_IMAGE_2_PROVIDER",
        "What kind of server OPENAI_BASE_URL leads to: docs/providers.md lists their names.",
        "by the address; compatible where it does not tell",
    ),
    Setting(
        "GPT_IMAGE_2_DEPLOYMENTS",
        "The server's own names for models: name=model, parted by commas.",
        example="my-images=gpt-image-2",
    ),
    Setting(
        "GPT_IMAGE_2_IMAGE_FIELD",
        "The form field of input pictures, for servers that take the other one: image[] or image.",
        "by the provider",
    ),
    Setting("OPENAI_ORG_ID", "Sent as the OpenAI-Organization header."),
    Setting("OPENAI_PROJECT_ID", "Sent as the OpenAI-Project header."),
    Setting("GPT_IMAGE_2_MODEL", "The model of calls that name none.", DEFAULT_MODEL),
    Setting(
        "GPT_IMAGE_2_OUTPUT_DIR",
        "Where pictures go; a relative path counts from the working directory.",
        "~/.config/gpt-image-2-mcp/output/<project>-<hash>",
    ),
    Setting(
        "GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR",
        "1 lets calls write into any folder, those of the system and of credentials too.",
        "0",
    ),
    Setting(
        "GPT_IMAGE_2_INPUT_ROOTS",
        "More folders to read input pictures from: absolute, parted as in PATH.",
        example="~/Photos",
    ),
    Setting(
        "GPT_IMAGE_2_ALLOW_HOSTS",
        "Hosts that input pictures may come from though they are internal or not on port 443: host or "
        "host:port, parted by commas.",
        "none: only public addresses, port 443",
        "files.corp.example,10.0.0.5:8443",
    ),
    Setting(
        "GPT_IMAGE_2_STATE_DIR",
        "Where sessions and unfinished answers are kept; a local disk.",
        "the platform's state folder",
    ),
    Setting(
        "GPT_IMAGE_2_KEEP_METADATA",
        "1 sends input pictures with their metadata: places, cameras, texts.",
        "0",
    ),
    Setting(
        "GPT_IMAGE_2_PASS_URLS",
        "1 has OpenAI fetch public https URLs of pictures itself: less traffic, but their metadata stays "
        "in, and masks are not checked against them.",
        "0",
    ),
    Setting("GPT_IMAGE_2_SESSION_STORE", "sqlite outlives a restart; memory does not.", "sqlite"),
    Setting("GPT_IMAGE_2_SESSION_MAX", "How many sessions are kept; 0 for no cap.", "20"),
    Setting(
        "GPT_IMAGE_2_SESSION_TTL_MS", "Idle milliseconds after which a session goes; 0 for never.", "3600000"
    ),
    Setting(
        "GPT_IMAGE_2_WAIT_SECONDS",
        "How long a tool call waits before it answers with an operation id; 0 for to the end.",
        "ten seconds less than the client waits; 50 if that is not known",
    ),
    Setting(
        "GPT_IMAGE_2_INLINE",
        "How results show pictures: auto (whole if that fits, else a preview), preview, full or none.",
        "auto",
    ),
    Setting(
        "GPT_IMAGE_2_CLIENT_PROFILE",
        "The client whose limits hold, where its name alone does not tell.",
        "by the name that the client gives",
    ),
    Setting(
        "GPT_IMAGE_2_WORKER",
        "process: calls under way outlive the server; inline: leaving waits for them.",
        "process; inline in containers",
    ),
    Setting(
        "GPT_IMAGE_2_PARTIALS",
        "How many previews (0 to 3) calls of one picture get while it is made, if they do not say "
        "partial_images; each costs 100 output tokens, $0.003 with gpt-image-2.",
        "0",
    ),
    Setting(
        "GPT_IMAGE_2_STREAM",
        "1 has answers streamed without previews too: for gateways that cut connections on which nothing "
        "comes.",
        "0",
    ),
    Setting("GPT_IMAGE_2_SANDBOX", "1 draws sandbox pictures on this machine: no key, no cost.", "0"),
    Setting("GPT_IMAGE_2_MCP_DEBUG", "1 logs more to stderr.", "0"),
    Setting("OPENAI_FORCE_RESPONSES_EDITS", "1 sends every edit by the Responses API.", "0"),
    Setting(
        "OPENAI_RESPONSES_EDIT_MODEL",
        "The model that hosts edits on the Responses route.",
        DEFAULT_RESPONSES_MODEL,
    ),
    Setting(
        "GPT_IMAGE_2_CONFIRM_USD",
        "What a call may cost without a person's consent, in dollars. Above it they are asked where the "
        "client can; elsewhere the call is refused, unless it says max_cost_usd.",
        "nobody is asked",
        "0.25",
    ),
    *(Setting(budget.name, budget.help, "no limit", "5.00") for budget in budgets.TABLE),
    Setting(
        "GPT_IMAGE_2_IMAGES_PER_MINUTE",
        "Pictures of one model that the account may have made in a minute; calls beyond wait their turn. 0 "
        "goes by what the API says.",
        "0",
    ),
    *(Setting(limit.name, limit.help, str(limit.default)) for limit in limits.TABLE),
    Setting(
        "GPT_IMAGE_2_HTTP_TOKEN",
        f"The bearer token that HTTP clients must show; {MIN_TOKEN} characters or more.",
        "one is made and kept in the state folder",
    ),
    Setting("GPT_IMAGE_2_HTTP_TOKEN_FILE", "A file that holds that token, for secrets mounted as files."),
    Setting(
        "GPT_IMAGE_2_HTTP_ALLOWED_HOSTS",
        "Host names, with or without a port, by which HTTP clients may call the server; parted by commas.",
        "this machine's own, on a loopback address",
        "images.example.com",
    ),
    Setting(
        "GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS",
        "Origins of web pages that may call the HTTP server; parted by commas.",
        "this machine's own, on a loopback address",
        "https://chat.example.com",
    ),
    Setting(
        "GPT_IMAGE_2_HTTP_LOCAL_PATHS",
        "1 lets HTTP clients name files and folders of the server's machine: as inputs, and as output_dir.",
        "0",
    ),
    Setting("GPT_IMAGE_2_HTTP_BODY_MB", "The largest HTTP request, in MiB.", "24"),
    Setting("GPT_IMAGE_2_HTTP_CONNECTIONS", "How many HTTP connections are served at once.", "200"),
    Setting(
        "GPT_IMAGE_2_HTTP_STATELESS",
        "1 keeps no HTTP sessions, for several servers behind one address.",
        "0",
    ),
)


def strangers(names: Iterable[str]) -> list[str]:
    """Of names that begin like settings and are none: a sentence each, with the setting that is nearest."""
    known = [setting.name for setting in TABLE]
    return [_said(name, known) for name in sorted(set(names) - set(known)) if name.startswith(_OURS)]


def _said(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # a start whose names are right is spared it

    near = get_close_matches(name, known, n=1, cutoff=0.8)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"{name} is no setting, so it changes nothing{meant}."
