"""A client's file: made, changed with all else in it kept, copied first, and left alone when in doubt."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.clients.edits import at
from gpt_image_2_mcp.clients.entries import Launch, Wish, entries_of_ours
from gpt_image_2_mcp.clients.files import document_of, planned, read_document, shown, write
from gpt_image_2_mcp.clients.table import CLIENTS, Client, client_named
from gpt_image_2_mcp.errors import InvalidRequest, StorageError, UnreadableSetup
from gpt_image_2_mcp.keys import Secret

NOW = datetime(2026, 11, 27, 15, 3, 1, tzinfo=UTC)
COMMAND = 'C:\\Program Files\\"it"\\gpt-image-2-mcp.exe'
WISH = Wish(Launch(COMMAND))
OWN_KEY = "sk-proj-the-persons-own-0123456789"
FULL = {
    "json": """\
{"numStartups":  7, "theme":"dark",
    "projects": {"/home/me/é": {"history": ["a \\u00e9", null, 1.50]}},
\t"%s": {
\t\t"other": {"command": "npx", "args": ["-y", "x"], "env": {"TOKEN": "ghp_secret"}} },
    "last"  : [ ]
}""",
    "jsonc": """\
// Settings of mine
{
    /* kept
       as it is */
    "theme": "One Dark", // really
    "%s": {
        "other": { "command": "x", }, // another
        // "gpt-image-2": { "command": "not this one" }
    },
    "url": "http://example.com/*//*/",
}
""",
    "toml": """\
# Settings of mine
model = "gpt-5"   # really
notify = [
  "a",  # one
]

[%s.other]
command = "x"
env = { TOKEN = "ghp_secret" }

[projects."/home/me/é"]
trust_level = "trusted"
""",
}

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


def full(client: Client) -> str:
    return FULL[client.format] % client.servers


def server(client: Client, path: Path, name: str = "gpt-image-2") -> Any:
    return at(read_document(client, path), [client.servers, name])


def put(client: Client, path: Path, wish: Wish = WISH) -> Path | None:
    return write(planned(client, path, wish), NOW, private=wish.key is not None)


@each_client
def test_a_file_that_is_not_there_is_made_for_its_owner_alone(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert put(client, path) is None
    assert path.read_text("utf-8") == shown(client, WISH)
    assert server(client, path)["command"] == COMMAND
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@each_client
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_everything_else_stays_and_is_kept_beside_it(
    client: Client, newline: str, bom: str, tmp_path: Path
) -> None:
    path, before = tmp_path / "file", bom + full(client).replace("\n", newline)
    path.write_bytes(before.encode())
    path.chmod(0o640)
    backup = put(client, path)
    after = path.read_bytes().decode()
    rest = iter(after)
    assert all(any(character == other for other in rest) for character in before)
    assert after.count("\n") == after.count(newline)
    assert backup == tmp_path / "file.20261127-150301.bak"
    assert backup.read_bytes() == before.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    held, found = document_of(client.format, before), document_of(client.format, after)
    assert found[client.servers] == held[client.servers] | {"gpt-image-2": server(client, path)}
    assert {**found, client.servers: None, "inputs": None} == {**held, client.servers: None, "inputs": None}
    assert list(entries_of_ours(client, found)) == ["gpt-image-2"]


@each_client
def test_once_more_changes_nothing(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(full(client), "utf-8")
    put(client, path)
    assert not planned(client, path, WISH).is_needed


@each_client
def test_what_a_person_has_set_beside_the_command_stays(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if client.format == "toml":
        path.write_text(
            f'[{client.servers}.gpt-image-2]\ncommand = "old"\nargs = ["x"]\ntool_timeout_sec = 99\n'
            f'enabled = false # for now\nenv = {{ OPENAI_API_KEY = "{OWN_KEY}" }}\n'
        )
    else:
        path.write_text(
            f'{{"{client.servers}": {{"gpt-image-2": {{"command": "old", "args": ["x"], "timeout": 99, '
            f'"disabled": true, "env": {{"OPENAI_API_KEY": "{OWN_KEY}", '
            '"GPT_IMAGE_2_OUTPUT_DIR": "/p"}}}}'
        )
    before = server(client, path)
    put(client, path)
    after = server(client, path)
    assert (after["command"], after["args"]) == (COMMAND, [])
    assert {**before, **{n: after[n] for n in ("command", "args", "env")}}.items() <= after.items()
    assert after["env"].items() >= before["env"].items()
    assert "env_vars" not in after
    assert not planned(client, path, WISH).is_needed


@each_client
def test_a_file_with_the_key_takes_the_place_of_a_key_and_the_other_way_round(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    put(client, path)
    put(client, path, Wish(Launch(COMMAND), key_file=Path("/run/key")))
    assert server(client, path)["env"]["OPENAI_API_KEY_FILE"] == "/run/key"
    assert not server(client, path)["env"].get("OPENAI_API_KEY")
    path.chmod(0o644)
    put(client, path, Wish(Launch(COMMAND), key=Secret(OWN_KEY)))
    assert server(client, path)["env"]["OPENAI_API_KEY"] == OWN_KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not planned(client, path, WISH).is_needed


def test_vscode_asks_for_the_key_once(tmp_path: Path) -> None:
    client, path = client_named("vscode"), tmp_path / "mcp.json"
    path.write_text('{"inputs": [{"id": "mine", "type": "promptString"}]}')
    put(client, path)
    put(client, path, Wish(Launch(COMMAND), name="second"))
    document = read_document(client, path)
    assert [each["id"] for each in at(document, ["inputs"])] == ["mine", "openai-key"]
    assert server(client, path, "second")["env"] == {"OPENAI_API_KEY": "${input:openai-key}"}


def test_codex_hands_on_what_it_handed_on_before(tmp_path: Path) -> None:
    client, path = client_named("codex"), tmp_path / "config.toml"
    path.write_text('[mcp_servers.gpt-image-2]\ncommand = "x"\nenv_vars = ["HTTPS_PROXY"]\n')
    put(client, path)
    assert server(client, path)["env_vars"] == ["HTTPS_PROXY", "OPENAI_API_KEY"]


def test_a_link_to_where_somebody_keeps_the_file_stays_a_link(tmp_path: Path) -> None:
    client, path, kept = client_named("cursor"), tmp_path / "mcp.json", tmp_path / "dotfiles"
    kept.write_text("{}")
    path.symlink_to(kept)
    put(client, path)
    assert path.is_symlink()
    assert server(client, kept)["command"] == COMMAND


def test_each_copy_has_a_name_of_its_own(tmp_path: Path) -> None:
    client, path = client_named("cursor"), tmp_path / "mcp.json"
    path.write_text("{}")
    first, second = put(client, path), put(client, path, Wish(Launch(COMMAND), name="second"))
    assert first
    assert second
    assert (first.read_text(), second.name) == ("{}", "mcp.json.20261127-150301-1.bak")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-desktop", '{"a": 1} // comment'),
        ("vscode", '{"servers": []}'),
        ("zed", '{"context_servers": 1}'),
        ("codex", "mcp_servers = ["),
        ("lm-studio", "mcpServers:\n  - yaml"),
        ("cline", '{"mcpServers": {"a": 1, "a": 2}}'),
    ],
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UnreadableSetup, match="Nothing was changed"):
        put(client_named(name), path)
    assert path.read_text() == text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "home"]


@pytest.mark.parametrize("data", [b"\xff\xfe{\x00}\x00", b"\x80"])
def test_text_in_another_encoding_is_left_as_it_is(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(UnreadableSetup, match="is not text in UTF-8"):
        put(client_named("cursor"), tmp_path / "file")


def test_a_name_that_another_kind_of_server_has_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"mcpServers": {"gpt-image-2": {"url": "https://example.com/mcp"}}}')
    with pytest.raises(InvalidRequest, match="another name by --name"):
        put(client_named("cursor"), path)


def test_a_change_that_somebody_else_makes_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("{}")
    change = planned(client_named("cursor"), path, WISH)
    path.write_text('{"theirs": 1}')
    with pytest.raises(StorageError, match="was changed meanwhile"):
        write(change, NOW, private=False)
    assert path.read_text() == '{"theirs": 1}'
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "home"]


def test_a_place_that_cannot_be_read_or_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    with pytest.raises(StorageError, match="cannot be read"):
        planned(client_named("cursor"), tmp_path, WISH)
    change = planned(client_named("cursor"), tmp_path / "file", WISH)
    blocked = type(change)(tmp_path / "in the way" / "file", None, change.after)
    with pytest.raises(StorageError, match="cannot be written"):
        write(blocked, NOW, private=False)
