"""Inputs by the kind of their source, checked by their bytes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import InputError, PictureChanged
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.models import ImageReference, InputImage, StoredImage
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.sources import loader
from gpt_image_2_mcp.sources.dialling import Dialler
from gpt_image_2_mcp.sources.https import HttpsFetcher
from gpt_image_2_mcp.sources.loader import READ_AT_ONCE, Sources, check_picture, name_of
from gpt_image_2_mcp.sources.marks import content_mark
from tests.support.pictures import mask, phone_photograph, picture
from tests.support.sites import Asked, Network, Piece, serve

pytestmark = pytest.mark.anyio
PNG = picture()
OTHER = "is not a PNG, JPEG or WebP picture"
LOADED = InputImage(PNG, "image.png", "image/png", Size(64, 48), has_alpha=False, mark="")


def answer(asked: Asked) -> list[Piece]:
    return serve(200, PNG if asked.target.endswith(".png") else b"<html>secret</html>")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    working_dir = tmp_path / "desk"
    working_dir.mkdir()
    return Sources(working_dir, Network(answer).fetcher(), Roots.of(tmp_path))


async def refusal(sources: Sources, source: str) -> str:
    with pytest.raises(InputError) as caught:
        await sources.load(source)
    assert "nothing was sent" in str(caught.value)
    return caught.value.message


async def test_a_path_is_read_from_the_working_directory(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "desk" / "a b.png").write_bytes(PNG)

    for source in ("a b.png", "./a b.png", "../desk/a b.png", str(tmp_path / "desk" / "a b.png")):
        assert await sources.load(source) == LOADED


async def test_it_is_told_where_a_picture_was_found(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "desk" / "a.png").write_bytes(PNG)

    assert (await sources.load("a.png")).origin == "a.png"
    assert (await sources.load("https://pictures.example/a.png")).origin == "https://pictures.example/a.png"


async def test_a_path_below_home_is_read(sources: Sources, home: Path) -> None:
    (home / "a.png").write_bytes(PNG)

    assert await sources.load("~/a.png") == LOADED


async def test_a_path_of_a_user_there_is_not_is_only_a_name(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "desk" / "~nobody-of-this-name").write_bytes(PNG)

    assert await sources.load("~nobody-of-this-name") == LOADED


async def test_a_file_url_is_read(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(PNG)

    assert await sources.load((tmp_path / "a b.png").as_uri()) == LOADED
    assert (
        await sources.load((tmp_path / "a b.png").as_uri().replace("file://", "File://localhost")) == LOADED
    )


async def test_an_https_url_is_fetched(sources: Sources) -> None:
    assert await sources.load("https://pictures.example/a.png") == LOADED
    assert await sources.load("HTTPS://pictures.example/a.png") == LOADED


async def test_a_data_url_is_decoded_and_its_type_is_not_believed(sources: Sources) -> None:
    text = base64.b64encode(PNG).decode()

    for head in ("data:image/png;base64,", "DATA:image/jpeg;base64,", "data:text/html;base64,"):
        assert await sources.load(head + text) == LOADED


@pytest.mark.parametrize(
    ("format_", "filename", "mime_type"),
    [
        ("PNG", "image.png", "image/png"),
        ("JPEG", "image.jpeg", "image/jpeg"),
        ("WEBP", "image.webp", "image/webp"),
    ],
)
async def test_the_kind_is_read_from_the_bytes_and_not_from_the_name(
    sources: Sources, tmp_path: Path, format_: Any, filename: str, mime_type: str
) -> None:
    (tmp_path / "desk" / "picture.gif").write_bytes(picture(format_=format_))

    image = await sources.load("picture.gif")

    assert (image.filename, image.mime_type) == (filename, mime_type)


async def test_a_mask_is_known_to_have_alpha(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "desk" / "mask.png").write_bytes(mask())

    assert (await sources.load("mask.png")).has_alpha


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture(format_="GIF"), f"{OTHER} but a GIF picture."),
        (picture(format_="BMP"), f"{OTHER} but a BMP picture."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", f"{OTHER} but an SVG drawing."),
        (b"root:x:0:0:root:/root:/bin/bash\n", f"{OTHER} but plain text."),
        (b"", f"{OTHER} but an empty file."),
        (b"\1\2\3", f"{OTHER}."),
        (PNG[:20], "is a PNG that breaks off before its end."),
    ],
    ids=["gif", "bmp", "svg", "text", "empty", "unknown", "torn"],
)
async def test_other_files_are_refused_whatever_they_are_called(
    sources: Sources, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "desk" / "cat.png").write_bytes(content)

    assert await refusal(sources, "cat.png") == f"cat.png {said}"


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///etc/passwd", "../" * 20 + "etc/passwd", "/gone"])
async def test_a_path_outside_of_the_roots_is_refused_and_nothing_of_it_is_told(
    sources: Sources, tmp_path: Path, source: str
) -> None:
    message = await refusal(sources, source)

    assert re.search(rf" is in no folder that pictures are read from \({tmp_path}; ", message)


@pytest.mark.parametrize(
    "source",
    [
        "a.png",
        "/etc/passwd",
        "~/a.png",
        "file:///a.png",
        "FILE:/a.png",
        "C:\\a.png",
        "~nobody/a.png",
        "",
        "~",
    ],
)
async def test_where_local_paths_are_off_none_is_read_whether_or_not_it_is_there(
    tmp_path: Path, source: str
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    sources = Sources(tmp_path, Network(answer).fetcher(), Roots.of(tmp_path), local_paths=False)

    with pytest.raises(InputError) as caught:
        await sources.load(source)
    assert caught.value.message == f"{source} is a path, and none is read for a client over HTTP."
    assert caught.value.hint.startswith("Give the picture as an https:// or data: URL; nothing was sent.")


@pytest.mark.parametrize("source", ["clipboard", "latest:screenshot", "Latest:Download"])
async def test_where_local_paths_are_off_nothing_else_of_the_machine_is_read(
    tmp_path: Path, source: str
) -> None:
    sources = Sources(tmp_path, Network(answer).fetcher(), Roots.of(tmp_path), local_paths=False)
    message = await refusal(sources, source)
    assert message == f"{source} is of the server's machine, and none is read for a client over HTTP."


async def test_where_local_paths_are_off_the_rest_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    sources = Sources(tmp_path, Network(answer).fetcher(), Roots.of(tmp_path), local_paths=False)

    assert await sources.load("https://pictures.example/a.png") == LOADED
    assert await sources.load(f"data:image/png;base64,{base64.b64encode(PNG).decode()}") == LOADED
    assert await sources.load_stored(stored(tmp_path / "a.png")) == LOADED
    assert await refusal(sources, "http://x/a.png") == (
        "http://x/a.png is of a kind that is not read: only https URLs are fetched."
    )


async def test_a_page_instead_of_a_picture_is_refused_without_its_words(sources: Sources) -> None:
    message = await refusal(sources, "https://pictures.example/page")

    assert message == f"https://pictures.example/page {OTHER} but an HTML page."


async def test_a_data_url_is_refused_without_its_content(sources: Sources) -> None:
    text = base64.b64encode(b"secret words").decode()

    assert await refusal(sources, f"data:image/png;base64,{text}") == (
        f"The data: URL {OTHER} but plain text."
    )


@pytest.mark.parametrize(
    "source",
    [
        "http://pictures.example/a.png",
        "ftp://x/a.png",
        "s3://bucket/a.png",
        "chrome-extension://a/b",
        "HTTP://x",
    ],
)
async def test_other_schemes_are_refused(sources: Sources, source: str) -> None:
    assert await refusal(sources, source) == (
        f"{source} is of a kind that is not read: only https URLs are fetched."
    )


@pytest.mark.parametrize(
    "source", ["missing.png", "", ".", "C:\\pictures\\cat.png", "a\0b", "javascript:x", "~"]
)
async def test_a_path_that_is_no_file_is_refused(sources: Sources, source: str) -> None:
    assert "cannot be read" in await refusal(sources, source)


async def test_a_picture_over_the_limit_is_refused(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "desk" / "big.png").write_bytes(PNG)
    monkeypatch.setattr(loader, "MAX_INPUT_BYTES", len(PNG))
    assert await sources.load("big.png") == LOADED

    monkeypatch.setattr(loader, "MAX_INPUT_BYTES", len(PNG) - 1)
    assert await refusal(sources, "big.png") == "big.png is larger than 50 MB."


async def test_a_picture_over_the_servers_own_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(PNG + b"x" * MB)
    sources = Sources(tmp_path, HttpsFetcher(), Roots.of(tmp_path), limits=Limits(each_input=MB))

    assert await refusal(sources, "big.png") == "big.png is larger than 1 MB."


async def test_a_data_url_over_the_servers_own_limit_is_refused(tmp_path: Path) -> None:
    sources = Sources(tmp_path, HttpsFetcher(), Roots.of(tmp_path), limits=Limits(data_url=MB))

    assert await refusal(sources, "data:," + "x" * MB) == "The data: URL is larger than 1 MB."


async def test_the_inputs_of_a_call_come_in_their_order_and_the_mask_apart(
    sources: Sources, tmp_path: Path
) -> None:
    names = [f"{number}.png" for number in range(16)]
    for number, name in enumerate(names):
        (tmp_path / "desk" / name).write_bytes(picture(number + 1, 8))
    (tmp_path / "desk" / "mask.png").write_bytes(mask())

    images, overlays = await sources.load_all(names, ["mask.png"])

    assert [isinstance(i, InputImage) and i.size.width for i in images] == list(range(1, 17))
    assert [overlay.has_alpha for overlay in overlays] == [True]
    assert await sources.load_all(names[:1]) == (images[:1], [])


async def test_a_file_at_openai_is_referred_to_and_not_read(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "desk" / "a.png").write_bytes(picture(3, 8))

    images, _ = await sources.load_all(["file-AbC_123-x", "a.png"])

    assert images[0] == ImageReference("file_id", "file-AbC_123-x")
    assert isinstance(images[1], InputImage)
    assert [sources.refers(each) for each in ("file-AbC_123-x", "a.png", "file-1.png")] == [
        True,
        False,
        False,
    ]


async def test_public_urls_are_passed_on_where_that_is_asked_for() -> None:
    fetcher = HttpsFetcher(Dialler(frozenset({("files.corp.example", 443)})))
    passing = Sources(Path(), fetcher, Roots.of(), pass_urls=True)
    fetching = Sources(Path(), fetcher, Roots.of())

    assert passing.refers("https://a.example/b.png")
    assert await passing.load_all(["https://a.example/b.png"]) == (
        [ImageReference("image_url", "https://a.example/b.png")],
        [],
    )
    assert not fetching.refers("https://a.example/b.png")
    for inside in (
        "https://files.corp.example/b.png",
        "https://10.0.0.5/b.png",
        "https://localhost/b.png",
        "https://me:secret@a.example/b.png",
        "https://a.example:8443/b.png",
        "http://a.example/b.png",
    ):
        assert not passing.refers(inside), inside


async def test_more_inputs_than_the_servers_own_limit_are_refused_unread(tmp_path: Path) -> None:
    sources = Sources(tmp_path, HttpsFetcher(), Roots.of(tmp_path), limits=Limits(inputs=2))

    with pytest.raises(InputError, match="At most 2 pictures are taken, not 3"):
        await sources.load_all(["missing.png"] * 3)


class Shelf(Sources):
    """Counts how many inputs are read, and how many of them at once."""

    def __init__(self, size: int, limits: Limits) -> None:
        super().__init__(Path(), HttpsFetcher(), Roots.of(), limits=limits)
        self.size, self.now, self.most, self.read = size, 0, 0, 0

    async def load(self, source: str) -> InputImage:
        self.now, self.read = self.now + 1, self.read + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return replace(LOADED, data=b"x" * self.size)


async def test_inputs_that_are_too_large_together_are_not_all_read() -> None:
    shelf = Shelf(MB, Limits(all_inputs=3 * MB))

    with pytest.raises(InputError, match="larger than 3 MB together"):
        await shelf.load_all(["x"] * 16)

    assert shelf.most == READ_AT_ONCE
    assert shelf.read <= 4 + READ_AT_ONCE


async def test_a_mask_counts_among_the_inputs_of_a_call() -> None:
    shelf = Shelf(MB, Limits(all_inputs=3 * MB))

    await shelf.load_all(["x"] * 2, ["mask"])
    with pytest.raises(InputError, match="together"):
        await shelf.load_all(["x"] * 3, ["mask"])


async def test_the_same_content_has_the_same_mark_wherever_it_is_from(
    sources: Sources, tmp_path: Path
) -> None:
    (tmp_path / "desk" / "a.png").write_bytes(PNG)
    data_url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

    images = [await sources.load(each) for each in ("a.png", "https://pictures.example/a.png", data_url)]
    images.append(await sources.load_stored(stored(tmp_path / "desk" / "a.png")))

    assert {image.mark for image in images} == {content_mark(PNG)}
    assert check_picture(phone_photograph(), "it").mark != images[0].mark


def test_a_source_is_named_short_and_without_secrets() -> None:
    assert name_of("data:image/png;base64,AAAA") == "The data: URL"
    assert name_of("a\x1b[31m\nb.png") == "a[31m b.png"
    assert len(name_of("x/" * 5000)) == 200
    assert "AAAA" not in name_of(" data:image/png;base64,AAAA")


def test_a_checked_picture_says_what_its_header_says() -> None:
    assert check_picture(PNG, "it") == LOADED


def test_a_checked_picture_is_clean_and_as_large_as_it_is_shown() -> None:
    photograph = phone_photograph()

    checked = check_picture(photograph, "it")

    assert b"SECRET" in photograph
    assert b"SECRET" not in whole(checked.data)
    assert checked.size == Size(48, 64)


def test_metadata_is_kept_for_who_wants_it_and_what_is_behind_the_end_is_not() -> None:
    photograph = phone_photograph()

    checked = check_picture(photograph, "it", keep_metadata=True)

    assert photograph.startswith(whole(checked.data))
    assert b"SECRET camera" in whole(checked.data)
    assert b"SECRET film" not in whole(checked.data)
    assert checked.size == Size(48, 64)


async def test_metadata_of_any_source_is_kept_when_the_loader_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(phone_photograph())
    fetcher, roots = Network(answer).fetcher(), Roots.of(tmp_path)

    kept = await Sources(tmp_path, fetcher, roots, keep_metadata=True).load("a.jpg")
    dropped = await Sources(tmp_path, fetcher, roots).load("a.jpg")

    assert b"SECRET camera" in whole(kept.data)
    assert b"SECRET" not in whole(dropped.data)


async def test_a_stored_picture_is_proved_as_it_stands_and_sent_clean(
    sources: Sources, tmp_path: Path
) -> None:
    data = PNG[:-12] + b"\0\0\0\6caBXSECRET\0\0\0\0" + PNG[-12:]
    (tmp_path / "a.png").write_bytes(data)

    assert await sources.load_stored(stored(tmp_path / "a.png", data)) == LOADED


def stored(path: Path, data: bytes = PNG) -> StoredImage:
    return StoredImage(path, len(data), "image/png", Size(64, 48), hashlib.sha256(data).hexdigest())


async def test_a_stored_picture_is_read_back(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    elsewhere = Sources(tmp_path, Network(answer).fetcher(), Roots.of(tmp_path / "desk"))

    assert await sources.load_stored(stored(tmp_path / "a.png")) == LOADED
    assert await elsewhere.load_stored(stored(tmp_path / "a.png")) == LOADED


async def test_a_stored_picture_that_was_changed_is_not_sent(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(color="red"))

    with pytest.raises(PictureChanged, match="is not the one that was saved") as caught:
        await sources.load_stored(stored(tmp_path / "a.png"))
    assert "start_edit_session" in caught.value.hint


async def test_a_stored_picture_that_is_gone_is_said_to_be(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    for name in ("a.png", "folder"):
        with pytest.raises(PictureChanged, match="is no longer there"):
            await sources.load_stored(stored(tmp_path / name))
