"""Writes every document that the code determines; with --check it only names those that are stale."""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import anyio
import click
from click.testing import CliRunner
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import BaseModel

from gpt_image_2_mcp.capabilities import (
    MODELS,
    NOT_OFFERED,
    Model,
    facts_of,
    find_model,
)
from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.clients.entries import Launch, Wish
from gpt_image_2_mcp.clients.files import shown
from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.clients.table import CLIENTS, Client
from gpt_image_2_mcp.commands.models import in_words
from gpt_image_2_mcp.commands.running import EXIT_CODES
from gpt_image_2_mcp.models import AppliedOptions, SvgUsage, Usage
from gpt_image_2_mcp.pricing import MICRO, output_tokens
from gpt_image_2_mcp.providers import HOSTS, PROVIDERS, Provider
from gpt_image_2_mcp.requests import ContinueSessionRequest, Paid, PartialOption, Shown
from gpt_image_2_mcp.results import (
    CostEstimate,
    DryRunResult,
    GroupSpending,
    ImageFile,
    OutlinedRequest,
    PeriodSpending,
    RequestedOptions,
    SessionSummary,
    WorkingResult,
)
from gpt_image_2_mcp.schemas import input_schema, output_schema
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.profiles import PROFILES, Profile
from gpt_image_2_mcp.server.prompt_texts import PROMPTS, PromptSpec
from gpt_image_2_mcp.server.tools import TOOLS, ToolSpec
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.variables import TABLE, Setting
from manifests import manifests

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = Path("src/gpt_image_2_mcp")
BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
HELP_WIDTH: Final = 100
COST_SIZES: Final = ("1024x1024", "1536x1024", "2048x2048", "3840x2160")

NOTICE: Final = "<!-- Written by scripts/generate.py; change the code it is made from instead. -->"
ENV_HEAD: Final = """\
# Settings of gpt-image-2-mcp, each with its default; all of them can be left out.
# The server does not read this file: put what you set into your client's `env` block, or export it.
"""
SETTINGS_HEAD: Final = f"""\
# Settings

{NOTICE}

The server reads these environment variables once, when it starts. A client sets them in the `env` block of
its configuration; `.env.example` lists them for a shell.

- An empty value, and a placeholder that a client left unexpanded (`${{...}}`), count as not set.
- A switch is `1` or `0`; `true`, `false`, `yes`, `no`, `on` and `off` are taken too.
- `OPENAI_API_KEY` wins over `OPENAI_API_KEY_FILE`, and `GPT_IMAGE_2_HTTP_TOKEN` over its file.
- Those with HTTP in their names count for `serve --http` alone.
- A wrong value stops the start with one sentence that names the variable.
- Paths may start with `~`; relative ones count from the server's working directory.

"""
TOOLS_HEAD: Final = f"""\
# Tools

{NOTICE}

Arguments are given by these names; an unknown one is refused and named, never dropped. An optional argument
that is `null` or empty text counts as not given. Numbers may come as text (`"2"`), a list as JSON text or as
one string. Where no default is given, an argument left out has no effect. `GPT_IMAGE_2_MODEL` and
`GPT_IMAGE_2_OUTPUT_DIR` set the model and the folder of calls that name none.
"""
MODELS_HEAD: Final = f"""\
# Models

{NOTICE}

What each model can do and costs, and what that rests on: `documented` by OpenAI, `reported` by others who
measured or met it, or `unknown`, so that a guess stands there. `gpt-image-2-mcp models --json` says the same
to scripts. Any other model id is tried as it is: its options are not checked, and it has no price.

- Sizes are in pixels, for each frame of a GIF counted on the sheet of all its frames.
- Prices are in US dollars for a million tokens.
- Tokens are of one picture: `grids` is the long side of OpenAI's calculator, `table` the count itself,
  `factors` the least and the most of what the grids give, where that is all that is known.
- `tried` is sent when asked for though the API may refuse it; `input fidelity` and `complexity` are
  arguments that a model without values for them does not take.
- Seconds are what a picture of 1024x1024 usually takes.
"""
CLI_HEAD: Final = f"""\
# Command line

{NOTICE}

Results go to stdout, everything else to stderr. `--json` prints what scripts can read, of every command that
tells something. Settings come from the [environment](settings.md); the README
[has examples](../README.md#on-the-command-line).
"""
CLI_CODES_FOOT: Final = """
A batch ends with the worst of its lines: 3 before the others, 4 where all that failed failed by their price.
"""
PROVIDERS_HEAD: Final = f"""\
# Servers that speak the Images API

{NOTICE}

What each kind of server does otherwise than OpenAI, as far as it is known; the sources and their dates stand
in `src/gpt_image_2_mcp/providers.py`. A server is known by the address in `OPENAI_BASE_URL`, or named by
`GPT_IMAGE_2_PROVIDER`.

"""
PROVIDERS_FOOT: Final = """
- *Options*: what it takes beside `prompt` and `model`. Another option that would change the picture is
  refused, unless it is `auto` or the default; `user`, `moderation` and `partial_images` are left out.
- *Mask*: whether a server looks for clear pixels, as OpenAI does, or for white ones; those are painted where
  the mask is clear.
- *Prices*: whether the tokens and prices of OpenAI hold.
- The base URL of Azure ends in `/openai/v1`. Its older addresses of single deployments are refused, with the
  one to use.
"""
_FORMS: Final = {
    "form": "form to `images/edits`",
    "input_references": "JSON to `images`, `input_references`",
    "ref_images": "JSON to `images/generations`, `ref_images`; with a mask, form to `images/inpainting`",
}
OBJECTS: Final[dict[str, type[BaseModel]]] = {
    "requested": RequestedOptions,
    "applied": AppliedOptions,
    "images[]": ImageFile,
    "usage": Usage,
    "svg_usage": SvgUsage,
    "sessions[]": SessionSummary,
    "estimate": CostEstimate,
    "request": OutlinedRequest,
    "periods[]": PeriodSpending,
    "groups[]": GroupSpending,
}
RESULTS_FOOT: Final = """
`status` is `done`, `working` or `dry_run`. `route`, `note`, `sandbox` and `phase` are there only when they
say something; `session_id` and `turn` only where the picture is a turn of a session. `frames` and
`duration_ms` are there for an animation, `svg_usage` for a drawing (SVG), whose `width` and `height` are
null. Beside `periods` stand `groups`, which split what was spent `since` a moment `by` something, and
`call_limit_usd`, `note` and `sandbox` where they say something. Durations are in seconds where no unit is
named, money is in USD.
"""


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


# Settings


def env_example() -> str:
    return ENV_HEAD + "".join(_env_entry(setting) for setting in TABLE)


def _env_entry(setting: Setting) -> str:
    default = f"# Default: {setting.default}\n" if setting.default else ""
    sayable = setting.default if re.fullmatch(r"[\w.:/-]+", setting.default) else ""
    return f"\n# {setting.help}\n{default}#{setting.name}={setting.example or sayable}\n"


def settings_table() -> str:
    rows = ((f"`{s.name}`", s.help, _code(s.default)) for s in TABLE)
    return table(("Variable", "What it is for", "Default"), rows)


def _code(text: str) -> str:
    return f"`{text}`" if text and (" " not in text) else text


# Tools


def tools_table() -> str:
    rows = ((f"[`{s.name}`](docs/tools.md#{s.name})", s.description.split(". ")[0] + ".") for s in TOOLS)
    return table(("Tool", "What it does"), rows)


def tools_page() -> str:
    return TOOLS_HEAD + "".join(map(_tool_section, TOOLS)) + results_section() + not_offered_section()


def _tool_section(spec: ToolSpec) -> str:
    hints = spec.annotations.model_dump(exclude_none=True)
    said = ", ".join(
        f"{name.removesuffix('_hint').replace('_', '-')} {_yes(on)}" for name, on in hints.items()
    )
    return (
        f"\n## {spec.name}\n\n{spec.description}\n\n{_arguments(spec)}\n"
        f"{_structured(spec)}\n\nHints to clients: {said}.\n"
    )


def _structured(spec: ToolSpec) -> str:
    done, *others = spec.results
    told = [f"Structured result: {_fields(done)}."]
    told += (f"{_INSTEAD[result]}: {_fields(result)}." for result in others)
    return " ".join(told)


_INSTEAD: Final[dict[type[BaseModel], str]] = {
    WorkingResult: "While the picture is still being made",
    DryRunResult: "Of a dry run",
}


def _fields(result: type[BaseModel]) -> str:
    return ", ".join(f"`{name}`" for name in output_schema(result)["properties"])


def results_section() -> str:
    """What stands inside the objects of a result, which the schemas in the tool list leave open."""
    rows = ((f"`{name}`", _fields(kind)) for name, kind in OBJECTS.items())
    return f"\n## Objects in results\n\n{table(('Object', 'What it holds'), rows)}{RESULTS_FOOT}"


def not_offered_section() -> str:
    rows = ((f"`{name.replace('=', ': ')}`", reason) for name, reason in NOT_OFFERED.items())
    return f"\n## What of the Images API no tool takes\n\n{table(('Parameter', 'Why'), rows)}"


def _yes(on: object) -> str:
    return "yes" if on else "no"


def _arguments(spec: ToolSpec) -> str:
    schema = input_schema(spec.request)
    required = schema.get("required", [])
    rows = (
        (f"`{name}`", _kind(rule), _default(spec, name, rule, name in required), rule["description"])
        for name, rule in schema["properties"].items()
    )
    heads = ("Argument", "Type and limits", "Default", "Meaning")
    return table(heads, rows) if schema["properties"] else "No arguments.\n"


def _kind(rule: dict[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{word}`" for word in rule["enum"])
    match rule["type"]:
        case "integer":
            limits = f", {rule['minimum']} to {rule['maximum']}" if "minimum" in rule else ""
            return f"whole number{limits}"
        case "array":
            return f"list of texts, {rule['minItems']} to {rule['maxItems']} entries"
        case kind:
            limit = f", at most {rule['maxLength']:,} characters" if "maxLength" in rule else ""
            return f"{'text' if kind == 'string' else kind}{limit}"


def _default(spec: ToolSpec, name: str, rule: dict[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    if spec.request is ContinueSessionRequest and name not in (
        *PartialOption.model_fields,
        *Shown.model_fields,
        *Paid.model_fields,
    ):
        return "the session's"
    said = re.search(r"Default ([\w.-]+)\.|`(\w+)` \(default\)|(\d+) best \(default\)", rule["description"])
    return next((f"`{word}`" for word in (said.groups() if said else ()) if word), "")


# Prompts


def prompts_table() -> str:
    rows = ((f"`{spec.name}`", spec.description, _blanks(spec)) for spec in PROMPTS)
    return table(("Prompt", "What it makes", "What it asks for"), rows)


def _blanks(spec: PromptSpec) -> str:
    return ", ".join(f"**{a.name}**" if a.required else a.name for a in spec.arguments)


# Costs


def costs_table() -> str:
    """The price of one picture's output tokens, by size and quality."""
    return "\n".join(map(_costs, ("gpt-image-2", "gpt-image-2.5-flare")))


def _costs(model_id: str) -> str:
    model = find_model(model_id)
    assert model is not None  # noqa: S101 - the two names above are in the table
    qualities = [quality for quality, _ in model.tokens.grids]

    def price(quality: str, size: str) -> str:
        tokens = output_tokens(model, quality, Size(*map(int, size.split("x"))))
        return "" if tokens is None else f"${int(tokens.expected * model.prices.image_out) / MICRO:.3f}"

    rows = ((size, *(price(quality, size) for quality in qualities)) for size in COST_SIZES)
    return table((f"`{model_id}`", *qualities), rows)


# Models


def models_page() -> str:
    """Every fact of every model, with its source."""
    return MODELS_HEAD + "".join(map(_model_section, MODELS))


def _model_section(model: Model) -> str:
    rows = (_fact(model, name, value) for name, value in facts_of(model).items())
    return f"\n## {model.id}\n\n{table(('What', 'Value', 'Confidence', 'Source', 'Read'), rows)}"


def _fact(model: Model, name: str, value: object) -> tuple[str, ...]:
    source = model.source_of(name)
    return name.replace("_", " "), in_words(value), source.confidence, source.where, source.read.isoformat()


# Clients


def clients_table() -> str:
    """What each client is sent and how long its calls wait; of clients with older rows, the newest."""
    newest = {profile.name: profile for profile in reversed(PROFILES)}
    heads = (
        "Profile",
        "A call waits",
        "A result has at most",
        "Previews",
        "Structured content beside pictures",
    )
    rows = (_client(newest[name]) for name in dict.fromkeys(profile.name for profile in PROFILES))
    return table(heads, rows)


def _client(profile: Profile) -> Iterator[str]:
    edge = f", {profile.max_edge} px" if profile.max_edge else ""
    yield f"`{profile.name}`"
    yield f"{profile.hand_off_s:.0f} s"
    yield f"{profile.cap / 1_000_000:.1f} MB"
    yield f"{'WebP' if profile.webp else 'JPEG'}{edge}"
    yield _yes(not profile.hides_images)


def setups() -> str:
    """What each client needs in its file; those that need the same stand together."""
    wish = Wish(Launch("/absolute/path/to/gpt-image-2-mcp"))
    texts = {client.name: shown(client, wish) for client in CLIENTS}
    return "\n".join(
        _setup([client for client in CLIENTS if texts[client.name] == text], text)
        for text in dict.fromkeys(texts.values())
    )


def _setup(clients: list[Client], text: str) -> str:
    title = " and ".join(client.title for client in clients)
    rows = "".join(map(_files, clients))
    language = "toml" if clients[0].format == "toml" else "json"
    notes = "".join(f"\n{textwrap.fill(client.note, 118)}\n" for client in clients if client.note)
    return f"### {title}\n\n{rows}\n```{language}\n{text}```\n{notes}"


def _files(client: Client) -> str:
    """Where its file is, with what differs by system and by project."""
    usual, mac, windows = (client.path(places).as_posix() for places in _PLACES)
    known = [f"`{usual}`", *([f"on macOS `{mac}`"] if mac != usual else [])]
    if windows.replace("%USERPROFILE%", "~") != usual:
        known.append(f"on Windows `{windows}`")
    if client.project:
        known.append(f"for one project `{client.project}`")
    return f"- `gpt-image-2-mcp config {client.name}`: {', '.join(known)}\n"


_LINUX: Final = Places("linux", Path("~"), Path("~/.config"), Path())
_PLACES: Final = (
    _LINUX,
    replace(_LINUX, system="macos"),
    replace(_LINUX, system="windows", home=Path("%USERPROFILE%"), config=Path("%APPDATA%")),
)


# Servers


def providers_page() -> str:
    heads = ("Name", "Server", "Known by", "Key", "Edits", "Field", "Mask", "Options", "Streams", "Prices")
    return PROVIDERS_HEAD + table(heads, map(_provider, PROVIDERS)) + PROVIDERS_FOOT


def _provider(provider: Provider) -> Iterator[str]:
    options = "all" if provider.options is None else ", ".join(f"`{o}`" for o in sorted(provider.options))
    fewer = "; with a mask none" if provider.mask_options == frozenset() else ""
    formats = f"; edits as {' or '.join(provider.edit_formats)}" if provider.edit_formats else ""
    yield f"`{provider.name}`"
    yield provider.title
    yield ", ".join(f"`{pattern}`" for pattern, name in HOSTS if name == provider.name)
    yield f"`{provider.key_header}`{'' if provider.needs_key else ', if there is one'}"
    yield _FORMS[provider.edits]
    yield f"`{provider.image_field}`" if provider.edits == "form" else ""
    yield {"alpha": "clear", "white": "white", None: "no"}[provider.mask]
    yield f"{options}{fewer}{formats}"
    yield _yes(provider.streams)
    yield _yes(provider.openai_prices)


# The command line


def cli_page() -> str:
    """The help of the command line, of each command and of what is below it, and the exit codes."""
    codes = table(("Code", "Meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))
    helps = "".join(map(_help, _commands(cli, [])))
    return f"{CLI_HEAD}\n## Exit codes\n\n{codes}{CLI_CODES_FOOT}{helps}"


def _commands(command: click.Command, name: list[str]) -> Iterator[list[str]]:
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None  # noqa: S101 - the group has just listed it
            yield from _commands(below, [*name, word])


def _help(command: list[str]) -> str:
    result = CliRunner().invoke(
        cli, [*command, "--help"], prog_name="gpt-image-2-mcp", terminal_width=HELP_WIDTH
    )
    name = " ".join(["gpt-image-2-mcp", *command])
    return f"\n## {name}\n\n```text\n{result.output}```\n"


# The house


def layers_block() -> str:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (c for c in pyproject["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return "```text\n" + "".join(f"{layer}\n" for layer in contract["layers"]) + "```\n"


def modules_table() -> str:
    """Every module with the sentence that its docstring begins with."""
    return table(("Module", "What it is for"), _modules())


def _modules() -> Iterator[tuple[str, str]]:
    paths = (ROOT / PACKAGE).rglob("*.py")
    for path in sorted(paths, key=lambda p: (len(p.relative_to(ROOT).parts), p.parts)):
        name = path.relative_to(ROOT / PACKAGE).as_posix()
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        yield f"`{name}`", docstring.split("\n\n")[0].replace("\n", " ")


# Golden files


def golden_tools() -> str:
    """The tool list as clients get it."""
    listing = [spec.listing().model_dump(mode="json", by_alias=True, exclude_none=True) for spec in TOOLS]
    return json.dumps(listing, indent=2, ensure_ascii=False) + "\n"


def greeting() -> str:
    """What the server answers to a handshake, kept ready for a client that is there before the SDK is."""
    hello = {version: _answers(version, "a client")[0] for version in HANDSHAKE_PROTOCOL_VERSIONS}
    (hides, *_) = [row.clients[0] for row in PROFILES if row.hides_images and not row.since]
    tools = {}
    for kind, client in (("shown", "a client"), ("hidden", hides)):
        first, *others = [_answers(version, client)[1] for version in HANDSHAKE_PROTOCOL_VERSIONS]
        assert all(other == first for other in others)  # noqa: S101 - one list for all versions
        tools[kind] = first
    known = {"initialize": hello, "tools/list": tools}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n"


def _answers(version: str, client: str) -> list[Any]:
    """The results of initialize and tools/list on the wire."""
    who = {"name": client, "version": "1"}
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": who}
    asked: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    return anyio.run(_said, [{"jsonrpc": "2.0"} | each for each in asked])


def _nothing() -> NoReturn:
    raise NotImplementedError("a handshake opens no service")


async def _said(asked: list[dict[str, Any]]) -> list[Any]:
    server = create_server(Opening(_nothing))
    said: list[Any] = []
    send, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](len(asked))
    outgoing, receive = anyio.create_memory_object_stream[SessionMessage](len(asked))
    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        for each in asked:
            await send.send(SessionMessage(jsonrpc_message_adapter.validate_python(each)))
            if "id" in each:
                answer = (await receive.receive()).message
                said.append(json.loads(answer.model_dump_json(by_alias=True, exclude_unset=True))["result"])
        group.cancel_scope.cancel()
    return said


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "tools": tools_table,
    "prompts": prompts_table,
    "costs": costs_table,
    "clients": clients_table,
    "setups": setups,
    "layers": layers_block,
    "modules": modules_table,
}


WITH_BLOCKS: Final = (
    *("README.md", "docs/architecture.md", "docs/clients.md", "docs/pictures.md", "docs/prices.md"),
)
"""Documents that people write, with blocks that the code determines."""


def with_blocks(text: str) -> str:
    """`text` with what stands between its `generated` markers written anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n{found[3]}", text)


def documents() -> dict[str, str]:
    """Each document's path below the root, and what it should hold."""
    written = {name: (ROOT / name).read_text("utf-8") for name in WITH_BLOCKS}
    return {
        **{name: with_blocks(text) for name, text in written.items()},
        ".env.example": env_example(),
        "docs/settings.md": SETTINGS_HEAD + settings_table(),
        "docs/providers.md": providers_page(),
        "docs/tools.md": tools_page(),
        "docs/models.md": models_page(),
        "docs/cli.md": cli_page(),
        "tests/golden/tools.json": golden_tools(),
        **manifests(ROOT),
        str(PACKAGE / "server" / "greeting.json"): greeting(),
    }


def stale() -> dict[str, str]:
    """The documents whose files are missing or hold something else."""
    return {name: text for name, text in documents().items() if _held(ROOT / name) != text}


def _held(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; name stale files and exit with 1.")
def main(check: bool) -> None:
    """Write the generated documents."""
    for name, text in (found := stale()).items():
        click.echo(f"{'stale' if check else 'wrote'}: {name}")
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text, "utf-8", newline="\n")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
