"""Writing sandbox pictures as PNG, JPEG, WebP, GIF and SVG, each carrying a note of what it is."""

import io
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from PIL import Image, PngImagePlugin

from gpt_image_2_mcp.sandbox.label import SANDBOX_LINE
from gpt_image_2_mcp.sandbox.paint import Commission
from gpt_image_2_mcp.sandbox.palettes import PALETTES, Colour

_IMAGE_DESCRIPTION: Final = 0x010E


def encode(picture: Image.Image, output_format: str, compression: int | None = None) -> bytes:
    """`picture` as png, jpeg or webp; `compression` is the API's 0 to 100, where 100 is the best quality."""
    quality = 90 if compression is None else max(1, min(95, compression))
    buffer = io.BytesIO()
    if output_format == "png":
        note = PngImagePlugin.PngInfo()
        note.add_text("Comment", SANDBOX_LINE)
        # The quickest level: these pictures are made by the hundred in tests.
        picture.save(buffer, "PNG", compress_level=1, pnginfo=note)
    elif output_format == "jpeg":
        picture.convert("RGB").save(buffer, "JPEG", quality=quality, comment=SANDBOX_LINE)
    else:
        exif = Image.Exif()
        exif[_IMAGE_DESCRIPTION] = SANDBOX_LINE
        picture.save(buffer, "WEBP", quality=quality, method=0, exif=exif)
    return buffer.getvalue()


def encode_gif(frames: Sequence[Image.Image], frame_ms: int) -> bytes:
    """`frames` as a GIF that repeats for ever; all share the first one's colours."""
    first = frames[0].quantize(256)
    rest = [frame.quantize(palette=first) for frame in frames[1:]]
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=frame_ms,
        loop=0,
        comment=SANDBOX_LINE.encode(),
        # Equal neighbours would otherwise be merged and the count of frames with them.
        optimize=False,
    )
    return buffer.getvalue()


def draw_svg(commission: Commission) -> bytes:
    """A small landscape as an SVG document."""
    chance = commission.chance("svg")
    palette = chance.choice(PALETTES)
    width, height = commission.size
    ridges = "\n  ".join(
        f'<path fill="{_hex(colour)}" d="M0 {height}V{round(height * (top + 0.06))}'
        f"Q{round(width * chance.uniform(0.2, 0.5))} {round(height * (top - 0.14))} "
        f'{round(width * 0.6)} {round(height * (top + 0.03))}T{width} {round(height * top)}V{height}z"/>'
        for colour, top in ((palette.far, 0.56), (palette.accent, 0.68), (palette.near, 0.8))
    )
    text = escape(" ".join(_allowed(commission.prompt)[:120].split()))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}">
  <title>{SANDBOX_LINE}</title>
  <defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="{_hex(palette.zenith)}"/>\
<stop offset=".6" stop-color="{_hex(palette.horizon)}"/></linearGradient></defs>
  <rect width="{width}" height="{height}" fill="url(#sky)"/>
  <circle cx="{round(width * chance.uniform(0.25, 0.75))}" cy="{round(height * 0.3)}" \
r="{min(width, height) // 12}" fill="{_hex(palette.sun)}"/>
  {ridges}
  <g font-family="sans-serif" font-size="{min(width, height) // 32}" fill="#fff">
    <text x="3%" y="93%">{SANDBOX_LINE}</text>
    <text x="3%" y="97%">{text}</text>
  </g>
</svg>
""".encode()


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _allowed(text: str) -> str:
    """`text` without the control characters and lone surrogates XML forbids."""
    return "".join(char if char.isprintable() else " " for char in text)
