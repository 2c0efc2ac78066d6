"""`doctor` tells the truth of a machine where all is well, and of machines where one thing is not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.diagnosis import machine
from gpt_image_2_mcp.models import Failure
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.sqlite import SCHEMA_VERSION, Database
from tests.stores.samples import Clock, completed, operation
from tests.support.authority import Authority
from tests.support.model_lists import answering, listed, refused
from tests.support.upstreams import CANARY

Usage = namedtuple("Usage", "total used free")
VERIFY = "Your organization must be verified to use the model `gpt-image-2`."


@pytest.fixture
def state(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPT_IMAGE_2_STATE_DIR", "state")
    return home / "state"


@pytest.fixture
def well(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine where all is well: what is taken from it is changed by this."""
    with answering() as url:
        monkeypatch.setenv("OPENAI_API_KEY", CANARY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("GPT_IMAGE_2_PROVIDER", "openai")
        yield monkeypatch


def run(*arguments: str, code: int) -> Result:
    result = CliRunner().invoke(cli, ["doctor", *arguments], prog_name="gpt-image-2-mcp")
    assert result.exit_code == code, result.output
    assert CANARY[:20] not in result.output
    return result


def findings(*arguments: str, code: int) -> dict[str, dict[str, str]]:
    """The findings by their names."""
    found = json.loads(run("--json", *arguments, code=code).stdout)["findings"]
    assert len({each["name"] for each in found}) == len(found)
    assert all(each["remedy"] for each in found if each["status"] != "ok")
    return {each["name"]: each for each in found}


def failed(found: dict[str, dict[str, str]]) -> dict[str, str]:
    """What has failed, in words."""
    return {
        name: f"{each['what']} {each['remedy']}" for name, each in found.items() if each["status"] == "fail"
    }


def only_failure(*arguments: str) -> tuple[str, str]:
    ((name, said),) = failed(findings(*arguments, code=1)).items()
    return name, said


def write_config(home: Path, **entry: Any) -> Path:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"gpt-image-2": entry}}))
    return path


def journalled(folder: Path, **more: Any) -> None:
    """A state file with one call in it, of long ago."""
    clock = Clock()
    clock.now = datetime(2021, 5, 4, 3, 2, tzinfo=UTC)

    async def enter() -> None:
        database = Database(folder)
        await SqliteJournal(database, clock).record(operation(clock, **more))
        await database.close()

    anyio.run(enter)


def test_where_all_is_well_nothing_fails_and_the_started_server_is_counted(
    well: pytest.MonkeyPatch, home: Path, state: Path
) -> None:
    journalled(state, state="done", completed=completed())
    CliRunner().invoke(cli, ["config", "cursor", "--write"])
    path = home / ".cursor" / "mcp.json"
    path.write_text(path.read_text().replace("sk-...", "${env:OPENAI_API_KEY}"))
    before = (state / "state.sqlite3").read_bytes()
    found = findings(code=0)
    assert failed(found) == {}
    assert found["cursor: gpt-image-2"]["what"].startswith(f"The command in {path} starts the server, with 9")
    for name in ("python", "packages", "key", "server", "clock", "access", "model", "models", "shutdowns"):
        assert found[name]["status"] == "ok", found[name]
    assert found["organization"]["status"] == "ok"
    assert found["state file"]["status"] == "ok"
    assert (state / "state.sqlite3").read_bytes() == before
    assert not (home / ".config").exists()


def test_people_get_lines_and_a_count() -> None:
    said = run("--offline", code=1).stdout
    assert "fail  key" in said
    assert said.splitlines()[-1].startswith("1 failed, ")


def test_offline_nothing_is_asked_and_that_is_said(well: pytest.MonkeyPatch) -> None:
    well.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    found = findings("--offline", code=0)
    assert "was not asked" in found["server"]["what"]
    assert "access" not in found


def test_a_flag_that_is_not_there_is_a_usage_error() -> None:
    run("--deep", code=2)


def test_the_sandbox_needs_neither_key_nor_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_IMAGE_2_SANDBOX", "1")
    found = findings(code=0)
    assert "needs no key" in found["key"]["what"]
    assert not {"server", "access", "organization"} & set(found)


# Staged: one thing is wrong


def test_no_key(well: pytest.MonkeyPatch) -> None:
    well.delenv("OPENAI_API_KEY")
    with answering(refused("You didn't provide an API key."), 401) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert (name, said[:25]) == ("key", "No OpenAI API key is set.")
    assert "GPT_IMAGE_2_SANDBOX=1" in said


@pytest.mark.parametrize("key", ["sk-...", "my-key-which-is-none", "$OPENAI_API_KEY", "<your-key>"])
def test_a_malformed_key(well: pytest.MonkeyPatch, key: str) -> None:
    well.setenv("OPENAI_API_KEY", key)
    name, said = only_failure("--offline")
    assert name == "key"
    assert "does not look like one" in said
    assert key not in run("--offline", code=1).output.replace("doctor", "")


def test_a_key_that_is_rejected(well: pytest.MonkeyPatch) -> None:
    with answering(refused(f"Incorrect API key provided: {CANARY}.", "invalid_api_key"), 401) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert name == "access"
    assert "did not accept the API key. Check OPENAI_API_KEY" in said


def test_an_organization_that_is_not_verified_by_what_the_last_call_said(
    well: pytest.MonkeyPatch, state: Path
) -> None:
    journalled(state, state="released", failure=Failure("organization_not_verified", VERIFY, "Verify it."))
    name, said = only_failure()
    assert name == "organization"
    assert "settings/organization/general" in said


def test_an_organization_that_is_not_verified_by_what_the_list_says(well: pytest.MonkeyPatch) -> None:
    with answering(refused(VERIFY), 403) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert (name, "settings/organization/general" in said) == ("access", True)


def test_whether_an_organization_is_verified_is_not_guessed(well: pytest.MonkeyPatch) -> None:
    found = findings(code=0)["organization"]
    assert found["status"] == "warn"
    assert "cannot be told without a call that costs" in found["what"]


def test_a_base_url_that_leads_to_no_api(well: pytest.MonkeyPatch) -> None:
    with answering({"detail": "Not Found"}, 404) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert name == "access"
    assert "Check OPENAI_BASE_URL: it should end in /v1" in said


def test_a_base_url_where_nobody_is(well: pytest.MonkeyPatch) -> None:
    well.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    name, said = only_failure()
    assert name == "server"
    assert "127.0.0.1 could not be reached" in said


def test_a_server_whose_certificate_nobody_trusts(well: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with answering(tls=Authority(tmp_path).serving("127.0.0.1")) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert name == "server"
    assert "its certificate was not accepted" in said
    assert "this machine's clock" in said


@pytest.mark.parametrize(("hours", "which"), [(3, "behind"), (-3, "ahead of")])
def test_a_clock_that_is_off(well: pytest.MonkeyPatch, hours: int, which: str) -> None:
    with answering(skew=timedelta(hours=hours)) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert name == "clock"
    assert f"This machine's clock is 3 h {which} the server's." in said


def test_an_output_folder_that_cannot_be_written(well: pytest.MonkeyPatch, home: Path) -> None:
    (home / "file").write_text("")
    well.setenv("GPT_IMAGE_2_OUTPUT_DIR", "file/pictures")
    name, said = only_failure()
    assert (name, "Set GPT_IMAGE_2_OUTPUT_DIR" in said) == ("output folder", True)


def test_a_state_folder_that_cannot_be_written(well: pytest.MonkeyPatch, home: Path) -> None:
    (home / "file").write_text("")
    well.setenv("GPT_IMAGE_2_STATE_DIR", "file")
    found = failed(findings(code=1))
    assert "Set GPT_IMAGE_2_STATE_DIR" in found["state folder"]


def test_a_state_file_that_is_corrupt(well: pytest.MonkeyPatch, state: Path) -> None:
    journalled(state)
    path = state / "state.sqlite3"
    path.write_bytes(path.read_bytes()[:4096] + os.urandom(8192))
    name, said = only_failure()
    assert (name, "Move state.sqlite3 away and keep it" in said) == ("state file", True)


def test_a_state_file_that_is_none(well: pytest.MonkeyPatch, state: Path) -> None:
    state.mkdir()
    (state / "state.sqlite3").write_text("no database" * 100)
    assert only_failure()[0] == "state file"


def test_a_state_file_of_a_newer_version(well: pytest.MonkeyPatch, state: Path) -> None:
    journalled(state)
    with closing(sqlite3.connect(state / "state.sqlite3")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    name, said = only_failure()
    assert (name, "Update gpt-image-2-mcp" in said) == ("state file", True)


def test_a_disk_that_is_full(well: pytest.MonkeyPatch, state: Path) -> None:
    def usage(path: Path) -> Usage:
        return Usage(1 << 40, 1 << 40, (50 << 20) if path == state.parent else (500 << 20))

    well.setattr(shutil, "disk_usage", usage)
    well.setenv("GPT_IMAGE_2_OUTPUT_DIR", "/tmp/pictures")
    name, said = only_failure()
    assert (name, "50 MB are free" in said, "Make room" in said) == ("state room", True, True)
    assert findings(code=1)["output room"]["status"] == "warn"


def test_a_disk_that_takes_nothing(well: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    well.setattr(tempfile, "TemporaryFile", full)
    found = failed(findings(code=1))
    assert {"output folder", "state folder", "temporary folder"} == set(found)
    assert "No space left on device" in found["state folder"]
    assert "Make room there" in found["state folder"]


def test_a_client_whose_command_is_not_there(well: pytest.MonkeyPatch, home: Path) -> None:
    path = write_config(home, command="/gone/gpt-image-2-mcp")
    name, said = only_failure()
    assert name == "cursor: gpt-image-2"
    assert f"The command in {path} is not there: /gone/gpt-image-2-mcp." in said
    assert "gpt-image-2-mcp config cursor --write" in said


def test_a_client_whose_command_is_another_program(well: pytest.MonkeyPatch, home: Path) -> None:
    program = "import sys; sys.exit('no such module: gpt_image_2_mcp')"
    write_config(home, command=sys.executable, args=["-c", program])
    assert "does not start the server: no such module: gpt_image_2_mcp" in only_failure()[1]


def test_a_client_with_a_setting_that_stops_the_start(well: pytest.MonkeyPatch, home: Path) -> None:
    write_config(
        home, command=sys.executable, args=["-m", "gpt_image_2_mcp"], env={"GPT_IMAGE_2_STREAM": "maybe"}
    )
    assert "GPT_IMAGE_2_STREAM must be 1 or 0" in only_failure()[1]


def test_a_client_where_the_key_was_never_put_in(well: pytest.MonkeyPatch, home: Path) -> None:
    write_config(home, command=sys.executable, env={"OPENAI_API_KEY": "sk-..."})
    assert "the key is still sk-...." in only_failure()[1]


def test_a_clients_file_that_is_broken(well: pytest.MonkeyPatch, home: Path) -> None:
    write_config(home).write_text('{"mcpServers": ')
    found = findings(code=0)["cursor"]
    assert (found["status"], "line 1" in found["what"]) == ("warn", True)


def test_a_model_that_is_gone(well: pytest.MonkeyPatch) -> None:
    with answering(listed(gpt_image_2="2021-01-01")) as url:
        well.setenv("OPENAI_BASE_URL", url)
        name, said = only_failure()
    assert name == "model"
    assert "gpt-image-2 was shut down on 2021-01-01. Set GPT_IMAGE_2_MODEL=" in said


def test_days_of_shutdown_that_the_table_does_not_know(well: pytest.MonkeyPatch) -> None:
    with answering(listed(gpt_image_2="2199-01-31")) as url:
        well.setenv("OPENAI_BASE_URL", url)
        found = findings(code=0)["shutdowns"]
    assert found["what"] == "OpenAI shuts down: gpt-image-2 on 2199-01-31 (here: no day that is known)."


def test_a_package_that_is_too_old(well: pytest.MonkeyPatch) -> None:
    real = machine.installed_version
    well.setattr(machine, "installed_version", lambda name: "2.2.9" if name == "mcp" else real(name))
    name, said = only_failure()
    assert (name, "mcp is 2.2.9, not <3,>=2.3" in said) == ("packages", True)


def test_a_setting_that_is_wrong_keeps_nothing_else_from_being_looked_at(
    well: pytest.MonkeyPatch, home: Path
) -> None:
    write_config(home, command="/gone/gpt-image-2-mcp")
    well.setenv("GPT_IMAGE_2_STREAM", "maybe")
    found = failed(findings(code=1))
    assert set(found) == {"settings", "cursor: gpt-image-2"}
    assert "GPT_IMAGE_2_STREAM must be 1 or 0" in found["settings"]


def test_a_setting_whose_name_is_wrong_is_worth_a_look_also_in_a_clients_file(
    well: pytest.MonkeyPatch, home: Path
) -> None:
    write_config(
        home,
        command=sys.executable,
        args=["-m", "gpt_image_2_mcp"],
        env={"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_BUDGET_MONTHLY_USD": "5"},
    )
    well.setenv("GPT_IMAGE_2_BUDGET_DAILY_USD", "5")
    found = findings(code=0)
    assert "GPT_IMAGE_2_BUDGET_DAY_USD?" in found["names of settings"]["what"]
    assert "GPT_IMAGE_2_BUDGET_MONTH_USD?" in found["cursor: gpt-image-2"]["what"]


def test_a_budget_that_is_used_up(well: pytest.MonkeyPatch, state: Path) -> None:
    journalled(state)
    well.setenv("GPT_IMAGE_2_BUDGET_TOTAL_USD", "0")
    well.setenv("GPT_IMAGE_2_BUDGET_DAY_USD", "5")
    found = findings(code=0)
    assert found["budget in all"]["what"] == "$0.00 of $0.00 are left. Calls are refused."
    assert found["budget today"]["status"] == "ok"


def test_calls_that_stand_open_and_calls_that_were_lost(well: pytest.MonkeyPatch, state: Path) -> None:
    journalled(state, id_="op-1", state="sent")
    journalled(state, id_="op-2", state="unknown")
    found = findings(code=0)
    assert "1 calls are not finished, the oldest since 2021-05-04 03:02 UTC." in found["operations"]["what"]
    assert "Of 1 calls it is not known" in found["outcomes"]["what"]
