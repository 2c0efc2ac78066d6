"""The standing checks, run after every case: upstream's log, journal, catalogue and disk tell one story."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from tests.faults.wire import Post
from tests.support.upstreams import CANARY

Findings = dict[str, list[str]]
"""What is wrong, by kind."""

KINDS: Final = (
    "double POSTs",
    "operations without an end",
    "differences of ledger and journal",
    "differences of catalogue and disk",
    "corrupt files",
    "orphans",
    "broken sessions",
    "leftovers",
    "key leaks",
    "lines that are no JSON-RPC",
)
ENDS: Final = ("done", "released", "unknown")
_MAY_BE_SENT_AGAIN: Final = ("limited", "status=")
_MOST_POSTS: Final = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """Where to look. `said` is whatever processes and results said; `stdout` what servers wrote to clients.

    `unfinished` names the states that operations may be in beside the ends; a `received` one must say why.
    """

    state: Path
    pictures: tuple[Path, ...]
    second: Path | None = None
    posts: Sequence[Post] = ()
    said: bytes = b""
    stdout: bytes = b""
    pids: tuple[int, ...] = ()
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """An operation as the state file has it."""

    id: str
    state: str
    action: str
    estimate: int | None
    attempts: int
    completed: dict[str, Any] | None
    failure: dict[str, str] | None
    step: dict[str, Any] | None

    @property
    def images(self) -> list[dict[str, Any]]:
        return self.completed["images"] if self.completed else []

    @property
    def damaged(self) -> bool:
        """Whether a picture of the answer could not be saved, so that the raw answer is kept."""
        return any("was lost" in note for note in (self.completed or {}).get("notes", ()))


def assert_standing(scene: Scene) -> None:
    """Raises AssertionError with everything that is wrong."""
    found = inspect(scene)
    assert not found, json.dumps(found, indent=1)


def inspect(scene: Scene) -> Findings:
    """Everything that is wrong; empty where all is well."""
    rows = operations(scene.state)
    checks = (
        _double_posts(scene, rows),
        _states(scene, rows),
        _charges(scene, rows),
        _catalogue(scene, rows),
        _corrupt(scene),
        _orphans(scene, rows),
        _sessions(scene, rows),
        _leftovers(scene, rows),
        _canary(scene),
        _stdout(scene),
    )
    found = {kind: list(sentences) for kind, sentences in zip(KINDS, checks, strict=True)}
    return {kind: sentences for kind, sentences in found.items() if sentences}


def operations(state: Path) -> list[Row]:
    """All operations, the oldest first."""
    query = (
        "SELECT id, state, action, estimate, attempts, completed, failure, step FROM operations "
        "ORDER BY created_at"
    )
    return [
        Row(*row[:5], *(json.loads(text) if text else None for text in row[5:]))
        for row in _select(state, query)
    ]


def _select(state: Path, query: str) -> list[tuple[Any, ...]]:
    path = state / "state.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=10)) as db:
        return db.execute(query).fetchall() if db.execute("PRAGMA user_version").fetchone()[0] else []


def _double_posts(scene: Scene, rows: list[Row]) -> Iterator[str]:
    calls: dict[str, list[Post]] = defaultdict(list)
    for post in scene.posts:
        if post.paid:
            calls[post.key].append(post)
    by_id = {row.id: row for row in rows}
    for key, posts in calls.items():
        row = by_id.get(key.partition("-")[0])
        if row is None:
            yield f"a POST with key {key!r} belongs to no operation"
        elif len(posts) > row.attempts or sum(not _limited(post.mode) for post in posts) > _MOST_POSTS:
            yield f"{key}: {len(posts)} POSTs in {row.attempts} attempts"
        if not all(_may_be_sent_again(post.mode) for post in posts[:-1]):
            yield f"{key}: sent again after {[post.mode for post in posts[:-1]]}"


def _limited(mode: str) -> bool:
    return mode.startswith("limited")


def _may_be_sent_again(mode: str) -> bool:
    return _limited(mode) or (mode.startswith("status=") and mode.endswith("+true"))


def _states(scene: Scene, rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if row.state not in (*ENDS, *scene.unfinished):
            yield f"{row.id} is {row.state}"
        elif row.state in ("released", "unknown") and not row.failure:
            yield f"{row.id} is {row.state} and does not say why"
        elif row.state == "received" and "received" in scene.unfinished and not row.failure:
            yield f"{row.id} is received and does not say why it is not done"
        elif (row.state == "done") != bool(row.images):
            yield f"{row.id} is {row.state} with {len(row.images)} picture(s)"


_ALL: Final = (
    "count(*), coalesce(sum(amount), 0), coalesce(sum(amount IS NULL), 0) FROM ledger",
    "coalesce(sum(calls), 0), coalesce(sum(amount), 0), coalesce(sum(unpriced), 0) FROM ledger_sums",
)


def _charges(scene: Scene, rows: list[Row]) -> Iterator[str]:
    query = "SELECT operation_id, state, reserved, amount FROM ledger"
    charged = {id_: tuple(charge) for id_, *charge in _select(scene.state, query)}
    for row in rows:
        charge = charged.pop(row.id, None)
        if charge != _charge(row):
            yield f"{row.id} is {row.state} and is charged {charge}, not {_charge(row)}"
    yield from (f"{id_} is charged and belongs to no operation" for id_ in charged)
    entries, sums = (_select(scene.state, f"SELECT {what}") for what in _ALL)
    if entries != sums:
        yield f"the entries are {entries} and their sums are {sums}"


def _charge(row: Row) -> tuple[str, int | None, int | None] | None:
    """State, reservation and amount as they follow from an operation."""
    if row.action == "import":
        return None
    cost = row.completed["cost"] if row.completed and row.completed["usage"] else None
    match row.state:
        case "done":
            state, amount = ("estimated", row.estimate) if cost is None else ("settled", cost)
        case "released":
            state, amount = "released", 0
        case "unknown":
            state, amount = "unknown", row.estimate
        case _:
            state, amount = "reserved", row.estimate
    return state, row.estimate, amount


def _catalogue(scene: Scene, rows: list[Row]) -> Iterator[str]:
    listed: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for operation_id, path, sha256 in _images(scene.state):
        listed[operation_id].append((path, sha256))
        if not Path(path).is_file():
            yield f"{path} is in the catalogue and not on disk"
    for row in rows:
        if sorted(listed[row.id]) != sorted((image["path"], image["sha256"]) for image in row.images):
            yield f"{row.id}: the catalogue and the journal name different pictures"


def _images(state: Path) -> list[tuple[str, str, str]]:
    return [(a, b, c) for a, b, c in _select(state, "SELECT operation_id, path, sha256 FROM images")]


def _visible(scene: Scene) -> Iterator[Path]:
    for folder in scene.pictures:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _corrupt(scene: Scene) -> Iterator[str]:
    digests = {path: sha256 for _, path, sha256 in _images(scene.state)}
    for path in _visible(scene):
        data = path.read_bytes()
        if str(path) in digests and hashlib.sha256(data).hexdigest() != digests[str(path)]:
            yield f"{path} is not what was written"
        try:
            with Image.open(path) as image:
                image.load()
        except OSError as error:
            yield f"{path} ({len(data)} bytes) is no picture: {error}"


def _orphans(scene: Scene, rows: list[Row]) -> Iterator[str]:
    known = {path for _, path, _ in _images(scene.state)}
    # An answer that waits for room may have some of its pictures in their places already.
    waiting = {row.id[:6] for row in rows if row.state == "received"}
    for path in _visible(scene):
        if str(path) not in known and not any(f"-{token}" in path.name for token in waiting):
            yield f"{path} is on disk and not in the catalogue"
    for folder in scene.pictures:
        yield from (f"{path} was left behind" for path in folder.rglob(".*") if path.is_file())


def _sessions(scene: Scene, rows: list[Row]) -> Iterator[str]:
    turns = {(s, n): p for s, n, p in _select(scene.state, "SELECT session_id, number, path FROM turns")}
    ended = {s for (s,) in _select(scene.state, "SELECT id FROM ended_sessions")}
    for row in rows:
        if row.state != "done" or not row.step or row.step["session_id"] in ended:
            continue
        path = turns.pop((row.step["session_id"], row.step["number"]), None)
        if path != row.images[0]["path"]:
            yield f"{row.id} is turn {row.step['number']} and the session has {path}"
    yield from (f"{turn} of a session belongs to no operation" for turn in turns)


def _leftovers(scene: Scene, rows: list[Row]) -> Iterator[str]:
    by_id = {row.id: row for row in rows}
    for folder in filter(None, (scene.state / "spool", scene.second)):
        for path in folder.glob("*"):
            row = by_id.get(path.name.partition(".")[0])
            if row is None and path.suffix in (".part", ".resp"):
                yield f"{path.name} is the answer of no operation"
            elif row and row.state in ("done", "released") and not row.damaged and not is_partial(path):
                yield f"{path.name} was left by an operation that is {row.state}"


def is_partial(path: Path) -> bool:
    """Whether a file is a picture in the making, which stays for an hour."""
    return ".partial-" in path.name and not path.name.endswith(".new")


def _canary(scene: Scene) -> Iterator[str]:
    key = CANARY.encode()
    for folder in filter(None, (scene.state, scene.second, *scene.pictures)):
        yield from (f"{p} holds the key" for p in folder.rglob("*") if p.is_file() and key in p.read_bytes())
    if key in scene.said or key in scene.stdout:
        yield "something said the key"
    if sys.platform == "linux":
        yield from _canary_in_processes(key, scene.pids)


def _canary_in_processes(key: bytes, pids: Iterable[int]) -> Iterator[str]:
    places = [*Path("/proc").glob("[0-9]*/cmdline"), *(Path(f"/proc/{pid}/environ") for pid in pids)]
    for place in places:
        try:
            if key in place.read_bytes():
                yield f"{place} holds the key"
        except OSError:  # it ended
            continue


def _stdout(scene: Scene) -> Iterator[str]:
    for line in scene.stdout.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("jsonrpc") != "2.0":
            yield f"{line[:80]!r} is not JSON-RPC"
