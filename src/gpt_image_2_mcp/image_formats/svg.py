"""Tells an SVG drawing by its beginning: SVG 2 section 5.1, XML 1.0 section 2.8. Nothing in it is parsed."""

from __future__ import annotations

import codecs
import re
from typing import Final

MIME_TYPE: Final = "image/svg+xml"
_PROLOGUE_BYTES: Final = 64 * 1024
"""Declaration, comments and document type come before the root; drawing programs write a few KiB of them."""
# Possessive throughout: what does not match is not tried another way.
_ROOT: Final = re.compile(
    rb"""(?: \s++
          | <\? (?: [^?] | \?(?!>) )*+ \?>
          | <!-- (?: [^-] | -(?!->) )*+ -->
          | <!DOCTYPE \s++ (?:svg:)?svg \b [^\[>]*+ (?: \[ [^\]]*+ \] \s*+ )?+ >
        )*+
        < (?:svg:)? svg [\s/>]""",
    re.VERBOSE,
)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_svg(data: bytes) -> bool:
    """Whether the root of the document that begins so is an `svg` element."""
    head = data[:_PROLOGUE_BYTES]
    if head.startswith(_UTF_16):
        head = head.decode("utf-16", "replace").encode()
    return _ROOT.match(head.removeprefix(codecs.BOM_UTF8)) is not None
