"""TOML files, in which every other line stays as it is written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.clients import toml
from gpt_image_2_mcp.clients.edits import Put, carried_out
from gpt_image_2_mcp.errors import UnreadableSetup

TABLE = ("mcp_servers", "it")
ENTRY = {"command": 'C:\\Users\\"me"\\it.exe', "args": ["-m", "x\x7f"], "startup_timeout_sec": 60}
LINES = (
    "# a comment with = and [brackets]\n",
    "\n",
    '{key} = "a # b"   # why\n',
    "{key} = [\n  1, # one\n  2,\n]\n",
    '{key} = """\n[mcp_servers.it]\ncommand = "no"\n"""\n',
    "{key} = '''\r\nraw \\ text'''\r\n",
    "{key} = {{ a = 1, b.c = true }}\n",
    "{key}.deep.down = 2024-01-01T00:00:00Z\n",
    "[{key}]\n",
    "[{key}.sub]\nx = 1\n",
    "[[list_{key}]]\ny = 0x10\n",
    "  [ other . {key} ]  \n",
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    lines = draw(st.lists(st.sampled_from(LINES), max_size=12))
    text = "".join(line.format(key=f"k{number}") for number, line in enumerate(lines))
    return text if draw(st.booleans()) else text.rstrip("\r\n")


@given(texts())
def test_a_new_table_goes_behind_everything_else(before: str) -> None:
    after = toml.written(before, [Put(TABLE, ENTRY)])
    assert after.startswith(before)
    assert tomllib.loads(after) == carried_out(tomllib.loads(before), [Put(TABLE, ENTRY)])
    assert toml.written(after, [Put(TABLE, ENTRY)]) == after


@given(texts(), texts())
def test_in_a_table_that_is_there_one_line_changes_and_one_comes_in(before: str, behind: str) -> None:
    own = '[mcp_servers.it]\ncommand = "old" # mine\nenabled = true\n'
    head = f"{before}\n{own}"
    rest = "[z]\n" + behind.replace("k", "z")
    puts = [Put((*TABLE, "command"), "new"), Put((*TABLE, "tool_timeout_sec"), 600)]
    after = toml.written(f"{head}\n{rest}", puts)
    wanted = head.replace('command = "old" # mine\n', 'command = "new" # mine\n')
    assert after.startswith(wanted)
    assert after.endswith(f"\n{rest}")
    assert tomllib.loads(after) == carried_out(tomllib.loads(f"{head}\n{rest}"), puts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("env = { A = '1' } # x\n", 'env = { A = "1", K = "v" } # x\n'),
        ("env.A = '1'\n", None),
        ("", '\n[mcp_servers.it.env]\nK = "v"\n'),
        ("[mcp_servers.it.env]\nA = '1'\n[z]\n", "[mcp_servers.it.env]\nA = '1'\nK = \"v\"\n[z]\n"),
        ("[mcp_servers.it.env]\nK = 'w'", '[mcp_servers.it.env]\nK = "v"'),
    ],
)
def test_a_variable_comes_into_whatever_form_the_environment_has(before: str, after: str | None) -> None:
    head = "[mcp_servers.it]\n"
    put = Put((*TABLE, "env", "K"), "v")
    if after is None:
        with pytest.raises(UnreadableSetup, match=r"`mcp_servers\.it\.env` is written"):
            toml.written(head + before, [put])
    else:
        assert toml.written(head + before, [put]) == head + after


@pytest.mark.parametrize(
    "text", ["[mcp_servers]\nit.b = 1\nit.c = 2\n", "mcp_servers = 1\n", "[[mcp_servers]]\n"]
)
def test_what_leaves_no_room_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSetup):
        toml.written(text, [Put(TABLE, ENTRY)])


def test_a_table_that_stands_in_one_line_is_written_in_one_again() -> None:
    after = toml.written("mcp_servers = { a = { command = 'x' } } # mine\n", [Put(TABLE, {"command": "y"})])
    assert after == 'mcp_servers = { a = { command = "x" }, it = { command = "y" } } # mine\n'


@pytest.mark.parametrize("text", ["a = ", "[a]\n[a]\n", "a = 1 b = 2"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSetup, match="not TOML"):
        toml.written(text, [Put(TABLE, ENTRY)])


def test_lines_end_as_those_of_the_file_do() -> None:
    after = toml.written("a = 1\r\n[mcp_servers.it]\r\nx = 1\r\n", [Put((*TABLE, "command"), "c")])
    assert after == 'a = 1\r\n[mcp_servers.it]\r\nx = 1\r\ncommand = "c"\r\n'


def test_names_that_are_not_bare_are_quoted() -> None:
    table = ("mcp_servers", "a b")
    document: dict[str, Any] = {"mcp_servers": {"a b": {"env": {"K": "v", "empty": {}}, "on": True}}}
    assert tomllib.loads(toml.dumped(document, table)) == document
