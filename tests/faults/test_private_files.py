"""Local files that are no business of OpenAI's, however they are named: refused, and not a byte is sent."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.requests import EditRequest, StartSessionRequest
from gpt_image_2_mcp.roots import Roots
from tests.support.pictures import picture
from tests.support.services import Bench

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="the files are of POSIX"),
]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "sketch.png").write_bytes(picture())
    bench = Bench(folder)
    yield bench
    await bench.close()


def _key(path: Path) -> None:
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n")


def _env(path: Path) -> None:
    path.write_text("OPENAI_API_KEY=sk-proj-0123456789\n")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end, standing_in(path.parent):
        end.bind(path.name)


@contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """The path of a socket may have a hundred characters."""
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(picture())
        file.truncate(1 << 40)


STANDING: Final = (
    *("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/fd/0", "/proc/self/maps"),
    *("/dev/zero", "/dev/stdin", "/dev/fd/0", "/usr/bin/env", "/", "/etc", "~"),
)
MADE: Final[dict[str, Callable[[Path], object]]] = {
    ".ssh/id_rsa": _key,
    ".aws/credentials": _env,
    ".env": _env,
    "fifo": os.mkfifo,
    "socket": _socket,
    "folder": Path.mkdir,
    "sparse": _sparse,
    ".ssh/picture.png": lambda path: path.write_bytes(picture()),
}


def _copied(source: Path) -> Callable[[Path], object]:
    return lambda path: shutil.copyfile(source, path)


def _ways(name: str, home: Path, work: Path) -> Iterator[str]:
    """The ways to name one file: as it is, by links, and put below the root as a picture."""
    path = Path(name).expanduser() if name.startswith(("/", "~")) else home / name
    make = MADE.get(name)
    if make:
        path.parent.mkdir(exist_ok=True)
        make(path)
    yield str(path)
    yield path.as_uri()
    yield os.path.relpath(path, work)
    for link in ("link", "link.png"):
        (work / link).symlink_to(path)
        yield link
    (work / "way").symlink_to(path.parent, target_is_directory=True)
    yield f"way/{path.name}"
    if make is None and path.is_file() and path.stat().st_size < 1 << 20:
        make = _copied(path)
    if make and "picture" not in name:
        for inside in (path.name, "renamed.png"):
            make(work / inside)
            yield inside


@pytest.mark.parametrize("name", [*STANDING, *MADE])
async def test_a_private_file_is_refused_and_no_byte_of_it_is_sent(
    bench: Bench, home: Path, name: str
) -> None:
    ways = list(_ways(name, home, bench.folder))
    assert len(ways) >= 6
    for source in ways:
        await refused(bench, source)
    assert bench.recorder.requests == []
    assert list(bench.folder.glob("state/spool/*")) == []


async def refused(bench: Bench, source: str) -> None:
    """As a picture, beside one, and as a mask, by both tools that take them."""
    service = bench.service()
    for kind, run in ((EditRequest, service.edit), (StartSessionRequest, service.start_session)):
        for images, mask in (([source], None), (["sketch.png", source], None), (["sketch.png"], source)):
            with pytest.raises(InputError, match="nothing was sent"):
                await run(kind(prompt="x", images=images, mask=mask, size="1024x640"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*STANDING, *(made for made in MADE if "picture" not in made)])
async def test_even_where_the_whole_disk_is_a_root_only_pictures_are_sent(
    bench: Bench, home: Path, name: str
) -> None:
    bench.roots = Roots.of(Path("/"))
    for source in _ways(name, home, bench.folder):
        await refused(bench, source)
    assert bench.recorder.requests == []


async def test_the_picture_beside_them_is_sent(bench: Bench) -> None:
    """So that the refusals above are not for want of a way to OpenAI."""
    await bench.service().edit(EditRequest(prompt="x", images=["sketch.png"], size="1024x640"))
    assert bench.recorder.posts == ["/v1/images/edits"]
