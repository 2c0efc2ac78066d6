"""Names what a file is, by its first bytes, when it is no picture that can be sent."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 4096
"""How much of a file is looked at."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` has its article. `is_picture`: a program can save it as a PNG. `hides`: it is still read as what
    it is where a picture stands before it, so that one file is two.
    """

    name: str
    magics: tuple[bytes, ...] = ()
    offset: int = 0
    is_picture: bool = False
    hides: bool = False


PDF: Final = Kind("a PDF document", (b"%PDF-",), is_picture=True, hides=True)
ZIP: Final = Kind("a ZIP archive or office document", (b"PK\3\4", b"PK\5\6", b"PK\7\x08"), hides=True)
_SCRIPT: Final = Kind("a script", (b"#!/", b"#! /"), hides=True)
_PROGRAM: Final = Kind(
    "a program", (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm"), hides=True
)
_VIDEO: Final = Kind("a video", (b"\x1aE\xdf\xa3",))
_RAW: Final = "a camera's raw file"
_TABLE: Final = (
    Kind("a GIF picture", (b"GIF87a", b"GIF89a"), is_picture=True),
    Kind("a Photoshop document", (b"8BPS",), is_picture=True),
    Kind(f"a TIFF picture or {_RAW}", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), is_picture=True),
    Kind("a JPEG XL picture", (b"\xff\x0a", b"\0\0\0\x0cJXL "), is_picture=True),
    Kind("a JPEG 2000 picture", (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), is_picture=True),
    Kind("an icon", (b"\0\0\1\0", b"\0\0\2\0", b"icns"), is_picture=True),
    Kind("a FITS picture", (b"SIMPLE  =",), is_picture=True),
    Kind("an OpenEXR picture", (b"v/1\1",), is_picture=True),
    Kind("an EPS or PostScript drawing", (b"%!PS", b"\xc5\xd0\xd3\xc6"), is_picture=True, hides=True),
    PDF,
    ZIP,
    Kind("a 7z archive", (b"7z\xbc\xaf\x27\x1c",), hides=True),
    Kind("a RAR archive", (b"Rar!\x1a\7",), hides=True),
    Kind("a gzip archive", (b"\x1f\x8b\x08",), hides=True),
    Kind("an xz archive", (b"\xfd7zXZ\0",), hides=True),
    Kind("a bzip2 archive", tuple(b"BZh%d" % level for level in range(1, 10)), hides=True),
    Kind("a Zstandard archive", (b"\x28\xb5\x2f\xfd",), hides=True),
    Kind("a tar archive", (b"ustar",), offset=257, hides=True),
    Kind("an office document", (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf"), hides=True),
    _PROGRAM,
    _SCRIPT,
    Kind("a database", (b"SQLite format 3\0",), hides=True),
    Kind("a key or certificate", (b"-----BEGIN ", b"---- BEGIN ", b"PuTTY-User-Key"), hides=True),
    Kind("a property list", (b"bplist0",)),
    _VIDEO,
    Kind("a sound file", (b"ID3", b"OggS", b"fLaC")),
    Kind("a sound file", (b"WAVE",), offset=8),
    Kind("a video", (b"AVI ",), offset=8),
)

# ISO/IEC 14496-12: one box format for HEIC, AVIF, Canon's CR3 and MP4, told apart by the brands.
_BRANDS: Final = (
    (re.compile(rb"avi[fs]"), Kind("an AVIF picture", is_picture=True)),
    (re.compile(rb"hei[cxms]|hev[cxms]|mif1|msf1"), Kind("a HEIC picture", is_picture=True)),
    (re.compile(rb"crx "), Kind(_RAW, is_picture=True)),
)
_MARKUP: Final = (
    (re.compile(rb"<svg[\s>]", re.I), Kind("an SVG drawing", is_picture=True, hides=True)),
    (
        re.compile(rb"<(?:!doctype\s+html|html|head|body|script|iframe)[\s>]", re.I),
        Kind("an HTML page", hides=True),
    ),
    (re.compile(rb"<\?php\s", re.I), _SCRIPT),
    (re.compile(rb"<\?xml\s"), Kind("an XML document")),
)


def identify(data: bytes) -> Kind | None:
    """The kind of a file, of which the first 4 KiB are looked at; None for one that is not known."""
    head = data[:HEAD_BYTES]
    if not head:
        return Kind("an empty file")
    return _by_magic(head) or _by_structure(head) or markup_in(head) or _as_text(head)


def _by_magic(head: bytes) -> Kind | None:
    return next((kind for kind in _TABLE if head.startswith(kind.magics, kind.offset)), None)


def _by_structure(head: bytes) -> Kind | None:
    if head[4:8] == b"ftyp":
        return next((kind for brand, kind in _BRANDS if brand.search(head, 8, 64)), _VIDEO)
    if PDF.magics[0] in head[:1024]:  # where readers still look for it
        return PDF
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return Kind("a BMP picture", is_picture=True)
    header_at = int.from_bytes(head[60:64], "little")
    if head.startswith(b"MZ") and head.startswith(b"PE\0\0", header_at):
        return _PROGRAM
    return None


def markup_in(text: bytes) -> Kind | None:
    """The kind of markup that stands anywhere in `text`."""
    return next((kind for tag, kind in _MARKUP if tag.search(text)), None)


def _as_text(head: bytes) -> Kind | None:
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)  # the head may end within a character
    except UnicodeError:
        return None
    # NUL parts the variables of an environment, ESC begins a terminal's colours.
    return Kind("plain text") if all(c.isprintable() or c in "\t\n\v\f\r\0\x1b" for c in text) else None
