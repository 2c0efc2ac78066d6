"""`doctor`: looks at everything that a picture needs, pays nothing, and says what to do."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Final

import anyio
import click
from anyio.to_thread import run_sync

from gpt_image_2_mcp.assembly import (
    inspect_state,
    list_models,
    open_ledger,
    open_provider,
    open_roots,
    output_dir_of,
    utc_now,
)
from gpt_image_2_mcp.commands.config import own_launch
from gpt_image_2_mcp.commands.running import EXIT_FAILED
from gpt_image_2_mcp.diagnosis import account, ledger, machine
from gpt_image_2_mcp.diagnosis.findings import Check, Finding, blocking, examine
from gpt_image_2_mcp.diagnosis.setups import checks_of
from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.reports import Trial
from gpt_image_2_mcp.server.trial import try_out
from gpt_image_2_mcp.settings import (
    Settings,
    environment_of_clients,
    places_of_clients,
    read_settings,
    state_dir_of,
    unknown_settings,
)
from gpt_image_2_mcp.stores.places import second_spool

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--offline", is_flag=True, help="Ask nothing over the network.")
def doctor(*, as_json: bool, offline: bool) -> None:
    """Look whether all is well: the key, the API, models, folders, state, budgets, clients. Free of charge.

    Ends with 0 if nothing has failed (warnings count as fine), with 1 if something has, with 2 if it was
    called wrongly.
    """
    found, shown = anyio.run(partial(_examine, offline=offline))
    findings = [Finding(f.name, f.status, shown(f.what), shown(f.remedy)) for f in found]
    counts: Counter[str] = Counter(finding.status for finding in findings)
    if as_json:
        click.echo(json.dumps({"counts": counts, "findings": [asdict(each) for each in findings]}, indent=2))
    else:
        _print(findings, counts)
    sys.exit(EXIT_FAILED if counts["fail"] else 0)


def _print(findings: list[Finding], counts: Mapping[str, int]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        status = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
        click.echo(f"{status}  {finding.name:<{width}}  {finding.what}")
        if finding.remedy:
            click.echo(f"{'':<{width + 8}}{finding.remedy}")
    click.echo(f"\n{counts['fail']} failed, {counts['warn']} to look at, {counts['ok']} fine.")


async def _examine(*, offline: bool) -> tuple[list[Finding], Redact]:
    checks = [*_of_machine(), *_of_names()]
    shown: Redact = redact
    try:
        settings = read_settings()
    except ConfigurationError as error:
        checks.append(_told(Finding.of("settings", error)))
    else:
        shown = settings.redactor()
        checks += [*_of_account(settings, offline=offline), *_of_folders(settings)]
        checks.append(Check("state file", partial(_state, settings)))
    checks += await checks_of(places_of_clients(), _try_out, offline=offline)
    return await examine(checks), shown


def _told(*findings: Finding) -> Check:
    """What is known already."""

    async def look() -> tuple[Finding, ...]:
        return findings

    return Check(findings[0].name, look)


def _of_machine() -> Iterator[Check]:
    """What can be looked at whatever the settings are."""
    own = own_launch()
    found = shutil.which(machine.PACKAGE)
    yield blocking("python", lambda: machine.look_at_python(sys.version_info[:3], machine.wanted_python()))
    yield blocking("packages", _packages)
    yield blocking("command", lambda: machine.look_at_command(found, " ".join([own.command, *own.args])))


def _of_names() -> Iterator[Check]:
    unknown = unknown_settings()
    if unknown:
        remedy = "Correct the name: docs/settings.md lists them all."
        yield _told(Finding("names of settings", "warn", " ".join(unknown), remedy))


def _packages() -> Iterator[Finding]:
    wanted = machine.wanted_packages()
    names = [machine.requirement_of(each)[0] for each in wanted]
    return machine.look_at_packages(wanted, {name: machine.installed_version(name) for name in names})


def _of_account(settings: Settings, *, offline: bool) -> Iterator[Check]:
    asked = account.Asked(open_provider(settings), settings.base_url, settings.api_key, settings.model)
    if settings.sandbox:
        yield _told(Finding("key", "ok", "The sandbox needs no key (GPT_IMAGE_2_SANDBOX=1)."))
        return
    yield blocking("key", lambda: account.look_at_key(asked))
    if offline:
        what = (
            "The API was not asked (--offline): the key, models, TLS and the clock are not known to be well."
        )
        yield _told(Finding("server", "warn", what, "Run it again without --offline."))
    else:
        yield Check("server", partial(_listing, settings, asked))
    yield blocking(
        "organization",
        lambda: account.look_at_organization(asked, verified=inspect_state(settings).verified),
    )


async def _listing(settings: Settings, asked: account.Asked) -> Iterator[Finding]:
    return account.look_at_listing(asked, await list_models(settings), utc_now())


def _of_folders(settings: Settings) -> Iterator[Check]:
    reading, writing = open_roots(settings)
    state = state_dir_of(settings)

    def output() -> Iterator[Finding]:
        folder = output_dir_of(settings, writing).folder
        return machine.look_at_folder("output", folder, "GPT_IMAGE_2_OUTPUT_DIR")

    yield blocking("output folder", output)
    yield blocking("state folder", lambda: machine.look_at_folder("state", state, "GPT_IMAGE_2_STATE_DIR"))
    yield blocking("temporary folder", lambda: machine.look_at_folder("temporary", second_spool(), "TMPDIR"))
    yield blocking("roots", lambda: machine.look_at_roots(reading, writing, settings.input_roots))


async def _state(settings: Settings) -> list[Finding]:
    report = await run_sync(inspect_state, settings, abandon_on_cancel=True)
    found = list(ledger.look_at_state(report, state_dir_of(settings), utc_now()))
    if report.schema == report.supported and ledger.is_usable(report):
        async with open_ledger(settings) as spent:
            found += ledger.look_at_budgets(await spent.spending())
    return found


async def _try_out(command: str, args: list[str], env: Mapping[str, str], within_s: float) -> Trial:
    """As the client would; but a server that starts goes on with calls, so it is given a state of its own."""
    with tempfile.TemporaryDirectory(prefix="gpt-image-2-doctor-", ignore_cleanup_errors=True) as state:
        environment = {**env, "GPT_IMAGE_2_STATE_DIR": state}
        return await try_out(command, args, environment_of_clients(environment), within_s)
