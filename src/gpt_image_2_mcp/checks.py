"""Refuses, before anything is sent, what the model cannot do; the rules are in capabilities.py."""

from __future__ import annotations

from datetime import date

from gpt_image_2_mcp.capabilities import (
    COMPRESSED_FORMATS,
    MAX_MASK_BYTES,
    REPLACEMENT,
    TRANSPARENT_FORMATS,
    Model,
    Size,
    find_model,
    shutdown_date,
)
from gpt_image_2_mcp.errors import InputError, InvalidRequest, UndecodablePicture
from gpt_image_2_mcp.models import InputImage
from gpt_image_2_mcp.pictures import has_clear_pixels
from gpt_image_2_mcp.requests import RenderOptions


def check_options(options: RenderOptions, today: date) -> None:
    """Check options against the model they name; a model that the table does not know is left to the API.

    Raises:
        InvalidRequest: names the option, the rule and, for sizes, the nearest legal one.
    """
    model_id = options.model or ""
    gone = shutdown_date(model_id)
    if gone is not None and gone <= today:
        raise InvalidRequest(
            f"OpenAI shut {model_id} down on {gone}.",
            hint=f"Use model {REPLACEMENT} (or leave `model` out); nothing was sent.",
        )
    _check_format(options)
    _check_partials(options)
    model = find_model(model_id)
    if model is not None:
        _check_size(options, model)
        _check_quality(options, model)


def _check_size(options: RenderOptions, model: Model) -> None:
    size = Size.parse(options.size or "auto")
    rule = model.sizes.violation(size) if size else None
    if size and rule:
        raise InvalidRequest(
            f"`size` {size} is not legal for {model.id}: {rule}.",
            hint=f"The nearest legal size is {model.sizes.nearest(size)}; nothing was sent.",
        )


def _check_quality(options: RenderOptions, model: Model) -> None:
    if options.quality is not None and options.quality not in model.qualities:
        raise InvalidRequest(
            f"`quality` {options.quality} is not offered by {model.id}, only {', '.join(model.qualities)}.",
            hint="Choose one of those, or model gpt-image-2.5-flare for xhigh and max; nothing was sent.",
        )


def _check_format(options: RenderOptions) -> None:
    format_ = options.output_format or "png"
    if options.background == "transparent" and format_ not in TRANSPARENT_FORMATS:
        raise InvalidRequest(
            f"`background` transparent cannot be saved as {format_}.",
            hint="Set `output_format` to png or webp, or `background` to opaque; nothing was sent.",
        )
    if options.output_compression not in (None, 100) and format_ not in COMPRESSED_FORMATS:
        raise InvalidRequest(
            f"`output_compression` does not apply to {format_}.",
            hint="Leave it out, or set `output_format` to jpeg or webp; nothing was sent.",
        )


def _check_partials(options: RenderOptions) -> None:
    if options.partial_images and (options.n or 1) > 1:
        raise InvalidRequest(
            f"`partial_images` come with one picture, and `n` is {options.n}.",
            hint="Leave one of the two out; nothing was sent.",
        )


def check_mask(mask: InputImage, first: InputImage) -> None:
    """Check a mask against the first image, on which it lies. Decodes it: call in a worker thread.

    Raises:
        InputError: it is not a PNG with an alpha channel, has another size, is 4 MB or larger, cannot be
            decoded or lets nothing be changed.
    """
    problem = None
    if mask.mime_type != "image/png" or not mask.has_alpha:
        problem = "is not a PNG with an alpha channel"
    elif mask.size != first.size:
        problem = f"is {mask.size} while the first image is {first.size}"
    elif len(mask.data) > MAX_MASK_BYTES:
        problem = "is not smaller than 4 MB"
    else:
        problem = _opaque(mask)
    if problem:
        raise InputError(
            f"The mask {problem}.",
            hint="Give a PNG as large as the first image whose fully transparent pixels mark what to change; "
            "nothing was sent.",
        )


def _opaque(mask: InputImage) -> str | None:
    """Such a mask protects all of the picture: the edit would be billed and change nothing."""
    try:
        return None if has_clear_pixels(mask.data) else "has not one fully transparent pixel"
    except UndecodablePicture:
        return "cannot be decoded"
