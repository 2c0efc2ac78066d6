"""What the README and the other documents say holds."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import click
import pytest

from gpt_image_2_mcp import pricing
from gpt_image_2_mcp.alternatives import advice
from gpt_image_2_mcp.batches import RowState, parse_lines
from gpt_image_2_mcp.budgets import Allowance, Budgets, check_fits
from gpt_image_2_mcp.capabilities import (
    MAX_INPUT_BYTES,
    MAX_INPUT_IMAGES,
    MAX_MASK_BYTES,
    find_model,
    typical_seconds,
)
from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.errors import BudgetExceeded
from gpt_image_2_mcp.gateways._upstream import Timeouts
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.models import ImageJob
from gpt_image_2_mcp.operations import JOIN_WITHIN
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.results import ImageResult, WorkingResult
from gpt_image_2_mcp.retries import LONGEST_WAIT_S
from gpt_image_2_mcp.sandbox import FAULT_MODES
from gpt_image_2_mcp.server.profiles import DEFAULT
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.server.terms import Address
from gpt_image_2_mcp.settings import read_settings
from gpt_image_2_mcp.sizes import SIZE_PRESETS, FlexibleSizes, Size
from gpt_image_2_mcp.variables import TABLE
from gpt_image_2_mcp.worker import IDLE_S

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
README = (ROOT / "README.md").read_text("utf-8")
PAGES = "\n".join((ROOT / name).read_text("utf-8") for name in DOCUMENTS if name != "docs/cli.md")
"""All that people read, but the generated help."""
OTHER_PROGRAMS = frozenset(
    {
        "cd",
        "claude",
        "command",
        "docker",
        "echo",
        "export",
        "gemini",
        "git",
        "mkdir",
        "npx",
        "pipx",
        "python",
        "python3",
        "uv",
        "uvx",
        ".venv/bin/pip",
    }
)
# Read by the original, named where the README tells its users what becomes of it.
IGNORED_VARIABLES = frozenset({"OPENAI_USE_DIRECT_EDITS"})

ERRORS_OF_CLIENTS = frozenset({"Tool result is too large"})


TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")


def blocks(language: str, text: str = PAGES) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """The text under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGES, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


# Commands


def commands() -> Iterator[list[str]]:
    """The simple commands of all shell blocks, as words."""
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, "&&"]:
                if set(word) <= set("&|;"):
                    yield from ([words] if words else [])
                    words = []
                else:
                    words.append(word)


def own_commands() -> Iterator[list[str]]:
    """What follows `gpt-image-2-mcp` where it is run; its own words alone."""
    for words in commands():
        places = [at for at, word in enumerate(words) if Path(word).name == "gpt-image-2-mcp"]
        if places and "mcp-inspector" not in words and "/inspector" not in " ".join(words):
            rest = words[places[-1] + 1 :]
            yield rest[: rest.index("<")] if "<" in rest else rest


def test_every_program_in_the_shell_blocks_is_ours_or_a_known_one() -> None:
    for words in commands():
        program = words[0]
        if program.startswith("scripts/"):
            assert os.access(ROOT / program, os.X_OK), program
        elif Path(program).name != "gpt-image-2-mcp":
            assert program in OTHER_PROGRAMS, program


def test_every_command_and_flag_in_the_shell_blocks_exists() -> None:
    seen = set()
    for words in (rest for rest in own_commands() if rest and not rest[0].startswith("-")):
        name, flags = resolved(words)
        seen.add(name)
        assert {word for word in words if word.startswith("--")} <= flags
    assert {"generate", "edit", "sandbox", "serve"} <= seen
    assert {"batch", "session start", "session continue"} <= seen
    assert {"operations list", "operations show", "operations recover"} <= seen


def resolved(words: list[str]) -> tuple[str, set[str]]:
    """The full name of the command that the words call, and the flags it takes."""
    command: click.Command | None = cli
    given = [word for word in words if not word.startswith("-")]
    names: list[str] = []
    flags = {"--help"}
    while isinstance(command, click.Group):
        names.append(given[len(names)])
        command = command.get_command(click.Context(command), names[-1])
        assert command is not None, names
        flags |= {flag for parameter in command.params for flag in parameter.opts}
    return " ".join(names), flags


def test_every_picture_command_in_the_shell_blocks_has_valid_options() -> None:
    for name, *words in (rest for rest in own_commands() if rest[:1] in (["generate"], ["edit"])):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, words)


def test_the_lines_of_a_batch_that_are_shown_are_lines_of_a_batch() -> None:
    (block,) = blocks("jsonl")
    assert [line.id for line in parse_lines(block.splitlines())] == ["fox", "mug"]


def test_the_states_of_a_batchs_rows_are_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("The manifest"), re.MULTILINE)
    assert rows == ["state", *get_args(RowState)]


def test_every_failure_of_the_sandbox_that_is_named_exists() -> None:
    assert set(re.findall(r"--fail (\w+)", PAGES)) <= set(FAULT_MODES)


def test_the_readmes_other_scripts_exist() -> None:
    assert {"scripts/demo", "scripts/test", "scripts/generate.py"} <= set(
        re.findall(r"scripts/[\w.]+", README)
    )
    for name in re.findall(r"scripts/[\w.]+", README):
        assert (ROOT / name).is_file(), name


# Snippets


def test_every_json_snippet_parses_and_names_the_server_alike() -> None:
    snippets = [json.loads(block) for block in blocks("json")]
    servers = [
        s.get("mcpServers") or s.get("servers") or s.get("context_servers")
        for s in snippets
        if "model" not in s
    ]
    assert len(servers) >= 6
    for entry in servers:
        server = entry["gpt-image-2"]
        if server.get("type") == "http":
            assert server["url"] == Address("127.0.0.1", 8931).url
        else:
            assert server["command"] == "/absolute/path/to/gpt-image-2-mcp"


def test_every_toml_snippet_parses() -> None:
    (snippet,) = (tomllib.loads(block) for block in blocks("toml"))
    assert snippet["mcp_servers"]["gpt-image-2"]["command"] == "/absolute/path/to/gpt-image-2-mcp"


def test_the_result_shown_is_a_result_and_its_text_and_cost_are_what_it_gives() -> None:
    (document,) = (json.loads(block) for block in blocks("json") if '"applied"' in block)
    result = ImageResult.model_validate(document)
    assert set(document) <= set(ImageResult.model_fields)
    assert f"{summarize(result)}\n" in blocks("text")
    cost = pricing.cost(result.model, result.usage)
    assert cost is not None
    assert cost / pricing.MICRO == result.cost_usd_estimated


def test_the_hand_off_shown_is_what_a_call_that_is_handed_off_says() -> None:
    working = WorkingResult(
        operation_id="a1b2c3d4e5f60718293a4b5c6d7e8f90",
        elapsed_seconds=DEFAULT.hand_off_s,
        expected_seconds=typical_seconds("gpt-image-2", "high"),
    )
    assert f"{summarize(working)}\n" in blocks("text")


def test_the_refusal_shown_is_what_a_call_over_the_budget_says() -> None:
    job = ImageJob(
        "generate", "A red fox", RenderOptions(model="gpt-image-2", quality="high", size="1024x1024")
    )
    midnight = datetime(2026, 11, 28, tzinfo=UTC)
    with pytest.raises(BudgetExceeded) as caught:
        check_fits(
            pricing.upper_bound(job) or 0,
            Budgets(day=5_000_000),
            [Allowance("day", 5_000_000, 4_900_000, midnight)],
        )
    error = caught.value
    error.advise(advice(job, error.room, date(2026, 11, 27)))
    assert f"{error}\n" in blocks("text")


def test_the_limits_of_http_are_those_of_the_settings() -> None:
    http, text = read_settings({}).http, section("HTTP for teams")
    assert f"A request may have {http.body_limit >> 20} MiB" in text
    assert f"client_max_body_size {http.body_limit >> 20}m;" in text
    assert re.search(rf"{http.connections}\s+connections are served at once", text)


def test_the_limits_of_results_are_the_servers() -> None:
    assert f"{DEFAULT.budget // 1000} KB" in section("Results")
    assert f"{DEFAULT.cap >> 20} MiB" in section("Results")


# Links


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_an_anchor_that_exist(name: str) -> None:
    document = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


# Facts


@pytest.mark.parametrize("name", [*DOCUMENTS, ".env.example"])
def test_every_environment_variable_named_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\b(?:OPENAI|GPT_IMAGE_2)_[A-Z0-9_]+\b", (ROOT / name).read_text("utf-8")))
    assert named <= {setting.name for setting in TABLE} | IGNORED_VARIABLES


def test_the_size_rules_are_those_of_the_model() -> None:
    sizes, text = FlexibleSizes(), section("Sizes")
    assert f"multiples of {sizes.multiple}," in text
    assert f"longest edge at most {sizes.max_width}," in text
    assert f"within 1:{sizes.max_ratio} and {sizes.max_ratio}:1," in text
    assert f"{sizes.min_pixels:,} to {sizes.max_pixels:,} pixels" in text
    assert all(f"`{preset}`" in text for preset in SIZE_PRESETS)
    refused, nearest = re.findall(r"`(\d+x\d+)`", text)[-2:]
    asked = Size.parse(refused)
    assert asked is not None
    assert sizes.violation(asked)
    assert str(sizes.nearest(asked)) == nearest


def test_the_input_limits_are_those_of_the_model() -> None:
    text = section("Input pictures")
    assert f"1 to {MAX_INPUT_IMAGES} pictures" in text
    assert f"each smaller than {(MAX_INPUT_BYTES + 1) >> 20} MB" in text
    assert f"smaller than {(MAX_MASK_BYTES + 1) >> 20} MB; its transparent" in text


def test_the_time_outs_are_those_of_the_code() -> None:
    limits, text = Timeouts(), (ROOT / "docs" / "reliability.md").read_text("utf-8")
    for name, seconds in (
        ("Connect, TLS included", limits.connect),
        ("Write, each piece", limits.write),
        ("First byte of the answer", limits.first_byte),
        ("Pause within the answer", limits.idle),
        ("One attempt in all", limits.total),
        ("Longest wait that a rate limit may ask for", LONGEST_WAIT_S),
        ("How long a re-sent call may join the first one, from its start", JOIN_WITHIN.total_seconds()),
        ("How long a worker without work stays", IDLE_S),
    ):
        assert f"| {name} | {seconds:.0f} |" in text
    assert f"An answer may have {Limits().answer // MB} MB." in text
    assert f"({limits.first_byte} seconds to the first byte, {limits.total} in all)" in PAGES


def test_the_limits_are_those_of_the_code() -> None:
    limits, text = Limits(), (ROOT / "docs" / "reliability.md").read_text("utf-8")
    each, together = -(-limits.each_input // MB), limits.all_inputs // MB
    for row in (
        f"(`GPT_IMAGE_2_MAX_IN_FLIGHT`) | {limits.in_flight} |",
        f"(`GPT_IMAGE_2_MAX_QUEUE`) | {limits.queue} |",
        f"| Inputs of a call, each and together | {limits.inputs}, {each} MB, {together} MB |",
        f"| A `data:` URL, as text | {limits.data_url // MB} MB |",
        f"| A message on stdin | {limits.line // MB} MB |",
        f"| An answer of the API | {limits.answer // MB} MB |",
    ):
        assert row in text
    assert f"sends {limits.in_flight} calls at once and lets {limits.queue} more wait" in PAGES


def test_the_dearest_picture_costs_what_is_said() -> None:
    model = find_model("gpt-image-2")
    assert model is not None
    tokens = pricing.output_range(model, RenderOptions())
    assert tokens is not None
    assert f"costs ${tokens.most * model.prices.image_out / pricing.MICRO:.2f}." in section("Costs")
    dearest_input = 1536 * model.prices.image_in / pricing.MICRO
    assert f"at most ${dearest_input:.4f}" in section("Costs")


def test_every_error_that_troubleshooting_quotes_is_one_of_ours() -> None:
    modules = (path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    # Literals that stand side by side are one text.
    source = re.sub(r'"\s+f?"', "", "\n".join(modules)).lower()
    quoted = re.findall(r'^## "(.+?)"', TROUBLESHOOTING, re.MULTILINE)
    quoted += re.findall(r'^\| "(.+?)"', README, re.MULTILINE)
    assert len(quoted) >= 10
    for text in quoted:
        if text not in ERRORS_OF_CLIENTS:
            for part in text.lower().split("..."):
                assert part.strip() in source, text


def test_the_readme_proves_the_name_in_the_mcp_registry() -> None:
    assert "<!-- mcp-name: io.github.OWNER/gpt-image-2-mcp -->" in README


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0].startswith(f"[{version}] - ")
    for heading in headings:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - (unreleased|\d{4}-\d{2}-\d{2})", heading), heading
