"""Input pictures, masks and markup: reading, checking, and the sizes that are billed."""

import io
import re
from dataclasses import dataclass
from typing import Final

import pybase64
from PIL import Image, ImageOps, UnidentifiedImageError

from gpt_image_2_mcp.sandbox import errors, rules
from gpt_image_2_mcp.sandbox.paint import Materials, thumbnail

_DATA_URL: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_PIL_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa"})

# What Pillow raises for files it cannot make sense of, by the place where it notices.
_UNREADABLE: Final = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class Upload:
    """One file as it came: the parameter it came under, its declared type, its bytes and its name."""

    param: str
    mimetype: str
    data: bytes
    filename: str = ""


@dataclass(frozen=True)
class EditInputs:
    """Everything an edit is made from, ready to paint, and the size of each picture as sent."""

    materials: Materials
    sizes: tuple[tuple[int, int], ...]


def from_data_url(param: str, url: str) -> Upload:
    """The picture in a data URL. Raises ApiError; for an https URL it is that of a failed download."""
    if len(url) > rules.IMAGE_URL_MAX_CHARS:
        raise errors.text_too_long(param, rules.IMAGE_URL_MAX_CHARS, len(url))
    if url.startswith(("https://", "http://")):
        raise errors.download_failed(param, url)
    head = _DATA_URL.match(url)
    if head is None:
        raise errors.invalid_image_url(param)
    try:
        data = pybase64.b64decode(url[head.end() :], validate=True)
    except ValueError:
        raise errors.invalid_image_url(param) from None
    return Upload(param, head[1].lower(), data)


def check_upload(upload: Upload) -> None:
    """The checks that need no decoding: declared type and size."""
    if upload.mimetype not in rules.IMAGE_MIMETYPES:
        raise errors.unsupported_mimetype(upload.param, upload.mimetype, rules.IMAGE_MIMETYPES)
    if len(upload.data) >= rules.IMAGE_MAX_BYTES:
        raise errors.image_too_large(upload.param, rules.IMAGE_MAX_BYTES)


def open_inputs(images: tuple[Upload, ...], mask: Upload | None, markup: Upload | None) -> EditInputs:
    """Decode and check all of an edit's pictures. It takes time: call it in a worker thread."""
    sizes: list[tuple[int, int]] = []
    pictures: list[Image.Image] = []
    for number, upload in enumerate(images, 1):
        check_upload(upload)
        picture = _open(upload.data, number)
        sizes.append(picture.size)
        pictures.append(picture if number == 1 else thumbnail(picture))
    materials = Materials(
        pictures=tuple(pictures),
        mask=None if mask is None else open_mask(mask, sizes[0]),
        markup=None if markup is None else open_markup(markup, sizes[0]),
    )
    return EditInputs(materials, tuple(sizes))


def _open(data: bytes, number: int) -> Image.Image:
    try:
        picture = _decoded(data, _PIL_FORMATS)
    except _UNREADABLE:
        raise errors.invalid_image(number) from None
    if picture.mode not in _MODES:
        raise errors.invalid_image(number)
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _decoded(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """The upright picture. A broken one raises one of several errors of Pillow's."""
    with Image.open(io.BytesIO(data), formats=formats) as opened:
        if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or 0):
            raise ValueError("more pixels than any camera's picture")
        opened.load()
        return ImageOps.exif_transpose(opened)


def _open_png(upload: Upload, size: tuple[int, int]) -> Image.Image:
    """A PNG of `size` with an alpha channel, as RGBA."""
    check_upload(upload)
    try:
        picture = _decoded(upload.data, ("PNG",))
    except _UNREADABLE:
        raise errors.invalid_mask(f"{upload.param} image must be a PNG", upload.param) from None
    if not picture.has_transparency_data:
        raise errors.invalid_mask(f"{upload.param} image missing alpha channel", upload.param)
    if picture.size != size:
        raise errors.invalid_mask(
            f"{upload.param} image size {picture.width}x{picture.height} does not match image size "
            f"{size[0]}x{size[1]}",
            upload.param,
        )
    return picture.convert("RGBA")


def open_mask(upload: Upload, size: tuple[int, int]) -> Image.Image:
    """L, 255 where the mask is wholly transparent: there the edit may change the picture."""
    alpha = _open_png(upload, size).getchannel("A")
    return alpha.point(lambda value: 255 if value == 0 else 0)


def open_markup(upload: Upload, size: tuple[int, int]) -> Image.Image:
    """The markup, which must leave some of the picture to be seen."""
    markup = _open_png(upload, size)
    lowest, _ = markup.getchannel("A").getextrema()
    if lowest == 255:
        raise errors.invalid_mask("markup image must contain transparent pixels", upload.param)
    return markup
