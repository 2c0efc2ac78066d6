"""Names for files that are no picture to send."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.image_formats.kinds import identify, markup_in
from tests.image_formats.samples import drawn, saved


def zipped(name: str = "word/document.xml") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "SECRET")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("secret"))
    return buffer.getvalue()


def box(brand: bytes, *compatible: bytes) -> bytes:
    return b"\0\0\0\x20ftyp" + brand + bytes(4) + b"".join(compatible) + b"\0\0\0\x08mdat"


FILES = {
    "an empty file": [b""],
    "a GIF picture": [saved(drawn("P"), "GIF")],
    "a BMP picture": [saved(drawn("RGB"), "BMP")],
    "a TIFF picture or a camera's raw file": [saved(drawn("RGB"), "TIFF"), b"MM\0*\0\0\0\x08" + bytes(90)],
    "an EPS or PostScript drawing": [saved(drawn("RGB"), "EPS"), b"%!PS-Adobe-3.0\n"],
    "a PDF document": [saved(drawn("RGB"), "PDF"), b"\n\n%PDF-1.4\n"],
    "an icon": [saved(Image.new("RGBA", (16, 16)), "ICO")],
    "a JPEG 2000 picture": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x2f"],
    "a JPEG XL picture": [b"\xff\x0a\x00\x10", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "an AVIF picture": [box(b"avif", b"mif1", b"miaf"), box(b"mif1", b"avif")],
    "a HEIC picture": [box(b"heic", b"mif1"), box(b"mif1", b"heic")],
    "a camera's raw file": [box(b"crx ")],
    "a video": [box(b"isom", b"mp41"), box(b"qt  "), b"\x1aE\xdf\xa3\x01", b"RIFF\0\0\0\0AVI LIST"],
    "a sound file": [b"ID3\4\0", b"OggS\0\2", b"fLaC\0", b"RIFF\0\0\0\0WAVEfmt "],
    "a Photoshop document": [b"8BPS\0\1" + bytes(20)],
    "a FITS picture": [b"SIMPLE  =                    T / conforms"],
    "an OpenEXR picture": [b"v/1\1\2\0\0\0"],
    "an SVG drawing": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<SVG >",
    ],
    "an HTML page": [
        b"<!DOCTYPE html><title>Sign in</title>",
        b"\n<html lang=en>",
        b"<script >alert()</script>",
    ],
    "an XML document": [b"<?xml version='1.0'?><note/>"],
    "a ZIP archive or office document": [zipped(), b"PK\5\6" + bytes(18)],
    "a tar archive": [tarred()],
    "a gzip archive": [gzip.compress(b"SECRET")],
    "a 7z archive": [b"7z\xbc\xaf\x27\x1c\0\4"],
    "a RAR archive": [b"Rar!\x1a\7\1\0"],
    "a bzip2 archive": [b"BZh91AY&SY"],
    "a program": [b"\x7fELF\2\1\1", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", b"\xcf\xfa\xed\xfe\7"],
    "a script": [b"#!/bin/sh\nrm -r x\n", b"<?php echo 1;"],
    "a database": [b"SQLite format 3\0\x10\0"],
    "a key or certificate": [b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz"],
    "a property list": [b"bplist00\xd4\1"],
    "plain text": [
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"OPENAI_API_KEY=sk-secret\r\n",
        b"HOME=/root\0PATH=/bin\0",
        "f\u00fcchse".encode() * 800,
        "note".encode("utf-16"),
        b"MZ is a text as well",
        b"BM too",
    ],
}

NAMED = [
    # An id of its own: some of the bytes hold the time of day.
    pytest.param(name, data, id=f"{name} {number}")
    for name, all_ in FILES.items()
    for number, data in enumerate(all_, 1)
]


@pytest.mark.parametrize(("name", "data"), NAMED)
def test_a_file_is_named_for_what_it_is(name: str, data: bytes) -> None:
    kind = identify(data)

    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize("data", [b"\x01\x02\x03\x04" * 20, b"\x80\x81\x82", b"MZ" + b"\1" * 60 + b"NE\0\0"])
def test_what_is_not_known_has_no_name(data: bytes) -> None:
    assert identify(data) is None


def test_a_text_is_one_although_it_is_cut_within_a_character() -> None:
    kind = identify(b"a" + "\u00fc".encode() * 4000)

    assert kind is not None
    assert kind.name == "plain text"


def test_markup_is_found_wherever_it_stands() -> None:
    assert markup_in(b"\0\1\2<ScRiPt>") is not None
    assert markup_in(b"a < b, <html5>, <scripts>") is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_looked_at_without_an_error(data: bytes) -> None:
    kind = identify(data)

    assert kind is None or kind.name.split()[0] in ("a", "an", "plain")
