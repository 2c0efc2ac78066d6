"""Files that are a picture and something else."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import pytest

from gpt_image_2_mcp.image_formats.layout import Unfit
from gpt_image_2_mcp.image_formats.polyglots import refuse_second_file
from tests.image_formats.samples import drawn, png, saved
from tests.image_formats.test_kinds import FILES, box, zipped

PNG = png()
DOCUMENTS = [
    "a ZIP archive or office document",
    "a PDF document",
    "an HTML page",
    "a 7z archive",
    "a RAR archive",
    "a gzip archive",
    "a tar archive",
    "a program",
    "a script",
    "a database",
    "a key or certificate",
    "an SVG drawing",
]


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("padding", [b"", b"\0" * 1000, b"\r\n  "], ids=["none", "zeros", "line end"])
def test_a_picture_with_a_document_behind_it_is_refused_by_name(name: str, padding: bytes) -> None:
    for second in FILES[name]:
        with pytest.raises(Unfit) as caught:
            refuse_second_file(PNG + padding + second, len(PNG))
        assert caught.value.problem == f"is a picture with {name} behind it"


@pytest.mark.parametrize("second", [b"%PDF-1.7", b"<html>", b"<script>"])
def test_a_document_behind_other_bytes_is_found(second: bytes) -> None:
    for noise in (bytes([1]) * 5000, bytes([1]) * 300_000):
        with pytest.raises(Unfit):
            refuse_second_file(PNG + noise + second, len(PNG))


def test_an_archive_is_found_by_its_end_wherever_it_begins() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "SECRET" * 100_000)
        archive.comment = b"c" * 60_000
    hidden = PNG[:-12] + buffer.getvalue() + PNG[-12:]

    for data in (hidden, PNG + bytes([7]) + zipped(), PNG + bytes([7]) + zipped() + bytes([7]) * 1000):
        assert zipfile.is_zipfile(io.BytesIO(data))
        with pytest.raises(Unfit, match="a ZIP archive"):
            refuse_second_file(data, len(data) if data is hidden else len(PNG))


def test_a_large_archive_is_found_by_its_locator() -> None:
    locator = b"PK\6\7" + bytes(16)
    record = struct.pack("<4s4xHHIIH", b"PK\5\6", 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)

    with pytest.raises(Unfit, match="a ZIP archive"):
        refuse_second_file(PNG + b"\7" + locator + record, len(PNG))


@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        b"\0" * 100_000,
        b"\r\n",
        box(b"mp42", b"isom") + bytes(range(256)) * 400,
        saved(drawn("RGB"), "JPEG"),
        b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFHe\0\0\0SEFT",
        b"AABBCC no document",
        b"PK\5\6" * 9,
        b"PK\5\6" + bytes(18),
        random.Random(3).randbytes(200_000),
    ],
    ids=["none", "zeros", "line end", "film", "preview", "samsung", "words", "marks", "no list", "noise"],
)
def test_what_cameras_put_behind_a_picture_passes(trailer: bytes) -> None:
    refuse_second_file(PNG + b"\7" + trailer, len(PNG))
