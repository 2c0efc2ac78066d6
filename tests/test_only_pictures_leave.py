"""What is given to a tool, and what of it arrives at the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email import message_from_bytes
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from gpt_image_2_mcp import assembly
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.requests import ContinueSessionRequest, EditRequest, StartSessionRequest
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import read_settings
from tests.support.pictures import mask, phone_photograph, picture
from tests.support.services import made, turned
from tests.support.upstreams import Recorder, sandboxed

pytestmark = pytest.mark.anyio
Open = Callable[..., AbstractAsyncContextManager[ImageService]]

SECRETS = {
    "passwd": b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/sh\n" * 20,
    "id_ed25519": b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\n" * 20,
    ".env": b"OPENAI_API_KEY=sk-proj-0123456789\nDATABASE_URL=postgres://u:p@db/x\n" * 20,
    "environ": b"HOME=/root\0PATH=/usr/bin\0AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI\0" * 20,
    "credentials.json": json.dumps({"private_key": "SECRET" * 200}).encode(),
    "cookies.sqlite": b"SQLite format 3\0\x10\0\1\1\0" + b"SECRET" * 300,
    "login.plist": b"bplist00\xd4\1\2\3" + b"SECRET" * 300,
    "history": b"#1700000000\nmysql -psecret\n" * 40,
}
PNG_HEAD = picture()[:33]
DISGUISES = {
    "as it is": b"",
    "png": b"\x89PNG\r\n\x1a\n",
    "png with a head": PNG_HEAD,
    "png with pixels": PNG_HEAD + b"\0\0\4\0IDAT",
    "jpeg": b"\xff\xd8\xff",
    "jpeg with a head": picture(format_="JPEG")[:20],
    "webp": b"RIFF\xff\0\0\0WEBP",
    "webp with pixels": b"RIFF\xff\0\0\0WEBPVP8 \xf0\0\0\0",
    "gif": b"GIF89a",
}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """All that leaves the service."""
    recorder = sandboxed()
    monkeypatch.setattr(assembly, "_sandbox_transport", lambda: recorder)
    return recorder


@pytest.fixture
def opened(recorder: Recorder, home: Path) -> Open:
    """A service as its settings make it."""

    @asynccontextmanager
    async def open_(**environ: str) -> AsyncIterator[ImageService]:
        folders = {name: str(home / name) for name in ("GPT_IMAGE_2_STATE_DIR", "GPT_IMAGE_2_OUTPUT_DIR")}
        environ = {"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_WORKER": "inline", **folders, **environ}
        async with assembly.open_service(read_settings(environ)) as service:
            yield service

    return open_


def uploads(recorder: Recorder) -> list[bytes]:
    """The files of the last request."""
    request = recorder.requests[-1]
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    parts = message_from_bytes(head + request.content).get_payload()
    assert isinstance(parts, list)
    files = [
        part.get_payload(decode=True) for part in parts if not isinstance(part, str) and part.get_filename()
    ]
    return [file for file in files if isinstance(file, bytes)]


def upright(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(BytesIO(data)) as image:
        shown = ImageOps.exif_transpose(image)
        return shown.size, shown.tobytes()


def edit(*images: str, mask: str | None = None) -> EditRequest:
    return EditRequest(prompt="Add snow", images=list(images), mask=mask, size="1024x640", quality="low")


async def test_a_phone_photograph_arrives_without_its_secrets_and_the_same_way_up(
    opened: Open, recorder: Recorder
) -> None:
    photograph = phone_photograph()
    Path("photo.jpg").write_bytes(photograph)

    async with opened() as service:
        made(await service.edit(edit("photo.jpg")))

    (sent,) = uploads(recorder)
    body = recorder.requests[-1].content
    for secret in (b"SECRET", b"MPF", b"ftyp", b"SEFT", b"xmpmeta", b"http://ns.adobe.com"):
        assert secret in photograph
        assert secret not in body
    with Image.open(BytesIO(sent)) as image:
        assert dict(image.getexif()) == {0x0112: 6}
        assert image.getexif().get_ifd(0x8825) == {}
    assert upright(sent) == upright(photograph)
    assert upright(sent)[0] == (48, 64)


async def test_a_mask_is_as_large_as_the_photograph_is_shown(opened: Open, recorder: Recorder) -> None:
    Path("photo.jpg").write_bytes(phone_photograph())
    Path("mask.png").write_bytes(mask(48, 64))
    Path("lying.png").write_bytes(mask(64, 48))

    async with opened() as service:
        with pytest.raises(InputError, match="is 64x48 while the first image is 48x64"):
            await service.edit(edit("photo.jpg", mask="lying.png"))
        assert recorder.requests == []
        made(await service.edit(edit("photo.jpg", mask="mask.png")))

    assert uploads(recorder)[1] == mask(48, 64)


async def test_a_person_may_have_metadata_sent(opened: Open, recorder: Recorder) -> None:
    Path("photo.jpg").write_bytes(phone_photograph())

    async with opened(GPT_IMAGE_2_KEEP_METADATA="1") as service:
        made(await service.edit(edit("photo.jpg")))

    (sent,) = uploads(recorder)
    assert b"SECRET camera" in sent
    assert b"SECRET film" not in sent


async def test_a_sessions_own_pictures_are_sent_without_the_notes_in_them(
    opened: Open, recorder: Recorder
) -> None:
    Path("sketch.png").write_bytes(picture())

    async with opened() as service:
        request = StartSessionRequest(prompt="A hut", images=["sketch.png"], size="1024x640", quality="low")
        first = turned(await service.start_session(request))
        saved = Path(first.images[0].file_path).read_bytes()
        turned(
            await service.continue_session(
                ContinueSessionRequest(prompt="At dusk", session_id=first.session_id)
            )
        )

    (sent,) = uploads(recorder)
    assert b"tEXt" in saved or b"iTXt" in saved
    assert b"tEXt" not in sent
    assert b"iTXt" not in sent
    assert upright(sent) == upright(saved)


@pytest.mark.parametrize("disguise", list(DISGUISES))
async def test_no_byte_of_a_secret_file_arrives_whatever_it_is_called_and_begins_with(
    opened: Open, recorder: Recorder, disguise: str
) -> None:
    async with opened() as service:
        for name, content in SECRETS.items():
            Path(f"{name}.png").write_bytes(DISGUISES[disguise] + content)
            for request in (edit(f"{name}.png"), edit("cat.png", mask=f"{name}.png")):
                Path("cat.png").write_bytes(picture())
                with pytest.raises(InputError) as caught:
                    await service.edit(request)
                assert content[20:40].decode("latin-1") not in str(caught.value)

    assert recorder.requests == []


@pytest.mark.parametrize("name", list(SECRETS))
async def test_a_secret_behind_a_picture_stays_here(opened: Open, recorder: Recorder, name: str) -> None:
    Path("cat.png").write_bytes(picture() + b"\1" + SECRETS[name])

    async with opened() as service:
        made(await service.edit(edit("cat.png")))

    assert uploads(recorder) == [picture()]
