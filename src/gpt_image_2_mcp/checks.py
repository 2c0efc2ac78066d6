"""Refuses, before anything is sent, what the model cannot do; the rules are in capabilities.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from difflib import get_close_matches
from typing import Final

from gpt_image_2_mcp.capabilities import (
    COMPRESSED_FORMATS,
    MAX_INPUT_BYTES,
    MAX_MASK_BYTES,
    MAX_URL_BYTES,
    MODELS,
    TRANSPARENT_FORMATS,
    WARN_WITHIN,
    Model,
    find_model,
    models_with,
    replacement,
    shutdown_date,
)
from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import InputError, InvalidRequest, UndecodablePicture
from gpt_image_2_mcp.limits import MB
from gpt_image_2_mcp.models import ImageJob, InputImage
from gpt_image_2_mcp.pictures import has_clear_pixels
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import USUAL_FRAMES, FlexibleSizes, Size

_CHOICES: Final[dict[str, Callable[[Model], tuple[str, ...]]]] = {
    "quality": lambda model: model.qualities,
    "background": lambda model: model.backgrounds,
    "output_format": lambda model: model.formats,
    "complexity": lambda model: model.complexity,
    "input_fidelity": lambda model: model.input_fidelity,
}
_FORMAT_OF: Final = {
    "frame_count": "gif",
    "frame_duration_ms": "gif",
    "svg_model": "svg",
    "svg_reasoning_effort": "svg",
}
"""Options that mean something for one format only."""


def check_options(options: RenderOptions, today: date, *, dated: bool = True) -> None:
    """Check options against the model they name; a model that the table does not know is left to the API.
    `dated`: OpenAI's days of shutting models down hold.

    Raises:
        InvalidRequest: names the option, the rule and, for sizes, the nearest legal one.
    """
    model_id = options.model or ""
    gone = shutdown_date(model_id)
    if dated and gone is not None and gone <= today:
        raise InvalidRequest(
            f"OpenAI shut {model_id} down on {gone}.",
            hint=f"Use model {replacement(model_id)} instead; nothing was sent.",
        )
    model = find_model(model_id)
    if model is not None:
        for name, choices in _CHOICES.items():
            _check_choice(options, name, choices, model, today)
        _check_size(options, model)
    _check_format(options)
    _check_partials(options)


def _check_choice(
    options: RenderOptions, name: str, choices: Callable[[Model], tuple[str, ...]], model: Model, today: date
) -> None:
    value, offered = getattr(options, name), choices(model)
    if value is None or value in offered:
        return
    rest = f", only {', '.join(offered)}" if offered else ", which takes no such argument"
    able = models_with(lambda other: value in choices(other), today)
    raise InvalidRequest(f"`{name}` {value} is not offered by {model.id}{rest}.", hint=_otherwise(name, able))


def _otherwise(name: str, able: Iterable[str]) -> str:
    """What to do about an argument that only some models take."""
    named = ", ".join(able)
    instead = f", or use a model that offers it: {named}" if named else ""
    return f"Change or leave out `{name}`{instead}; nothing was sent."


def _check_size(options: RenderOptions, model: Model) -> None:
    size, sizes = Size.parse(options.size or "auto"), model.sizes
    of_frames = ""
    if options.output_format == "gif" and isinstance(sizes, FlexibleSizes):
        frames = options.frame_count or USUAL_FRAMES
        sizes, of_frames = sizes.of_frames(frames), f" for a gif of {frames} frames"
    rule = sizes.violation(size) if size else None
    if size and rule:
        raise InvalidRequest(
            f"`size` {size} is not legal for {model.id}{of_frames}: {rule}.",
            hint=f"The nearest legal size is {sizes.nearest(size)}; nothing was sent.",
        )


def _check_format(options: RenderOptions) -> None:
    format_ = options.output_format or "png"
    if options.background == "transparent" and format_ not in TRANSPARENT_FORMATS:
        raise InvalidRequest(
            f"`background` transparent cannot be saved as {format_}.",
            hint="Set `output_format` to png or webp, or `background` to opaque; nothing was sent.",
        )
    for name, only in _FORMAT_OF.items():
        if getattr(options, name) is not None and format_ != only:
            raise InvalidRequest(
                f"`{name}` means nothing for {format_}.",
                hint=f"Leave it out, or set `output_format` to {only}; nothing was sent.",
            )
    if options.svg_reasoning_effort and not options.svg_model:
        raise InvalidRequest(
            "`svg_reasoning_effort` needs a `svg_model`.",
            hint="Name the model that is to write the SVG, or leave both out; nothing was sent.",
        )
    # 100, which changes nothing, the API lets pass for a png.
    harmless = (None, 100) if format_ == "png" else (None,)
    if format_ not in COMPRESSED_FORMATS and options.output_compression not in harmless:
        raise InvalidRequest(
            f"`output_compression` does not apply to {format_}.",
            hint="Leave it out, or set `output_format` to jpeg or webp; nothing was sent.",
        )
    if format_ == "svg" and (options.n or 1) > 1:
        raise InvalidRequest(
            f"An svg is drawn one at a time, and `n` is {options.n}.",
            hint="Leave `n` out and call once for each; nothing was sent.",
        )


def _check_partials(options: RenderOptions) -> None:
    if not options.partial_images:
        return
    if options.output_format in ("gif", "svg"):
        raise InvalidRequest(
            f"`partial_images` do not come with {options.output_format}.",
            hint="Leave one of the two out; nothing was sent.",
        )
    if (options.n or 1) > 1:
        raise InvalidRequest(
            f"`partial_images` come with one picture, and `n` is {options.n}.",
            hint="Leave one of the two out; nothing was sent.",
        )


def check_overlays(options: RenderOptions, *, mask: bool, markup: bool, today: date) -> None:
    """Check, before it is read, whether an edit may have a mask or markup.

    Raises:
        InvalidRequest: the model or the format takes none, or both were given.
    """
    model = find_model(options.model or "")
    if mask and markup:
        raise InvalidRequest(
            "`mask` and `markup` cannot be used together.",
            hint="Leave one of the two out; nothing was sent.",
        )
    if mask and options.output_format == "gif":
        raise InvalidRequest(
            "A gif takes no `mask`.",
            hint="Leave it out, or set `output_format` to png; nothing was sent.",
        )
    if markup and model and not model.markup:
        able = models_with(lambda other: other.markup, today)
        raise InvalidRequest(f"`markup` is not taken by {model.id}.", hint=_otherwise("markup", able))


def check_form(job: ImageJob) -> None:
    """Check that what must go inside JSON has a place there.

    Raises:
        InvalidRequest: it has markup, for which there is none.
        InputError: a picture is too large for it.
    """
    if not job.in_json:
        return
    why = "`moderation` on an edit" if job.options.moderation == "low" else "An OpenAI file or URL"
    if job.markup:
        raise InvalidRequest(
            f"{why} cannot be combined with `markup`: the API's JSON form has no place for it.",
            hint="Leave one of the two out; nothing was sent.",
        )
    if any(len(image.data) > MAX_URL_BYTES for image in job.files):
        raise InputError(
            f"{why} sends pictures inside JSON, which takes {MAX_URL_BYTES / 1e6:.1f} MB of each at most.",
            hint="Give a smaller file, or leave that out; nothing was sent.",
        )


def warnings(options: RenderOptions, today: date, *, dated: bool = True) -> tuple[str, ...]:
    """What the result of a call should say of its model; `dated` as above."""
    model_id = options.model or ""
    gone = shutdown_date(model_id)
    if dated and gone is not None and today < gone <= today + WARN_WITHIN:
        return (f"OpenAI shuts {model_id} down on {gone}; use {replacement(model_id)} from then on.",)
    if find_model(model_id) is None:
        near = get_close_matches(model_id.lower(), [model.id for model in MODELS], n=1, cutoff=0.8)
        meant = f" (did you mean {near[0]}?)" if near else ""
        return (f"{model_id} is not known here{meant}: its options were not checked, and it has no price.",)
    return ()


def check_mask(mask: InputImage, first: InputImage | None) -> None:
    """Check a mask against the first image, on which it lies. Decodes it: call in a worker thread.

    Raises:
        InputError: it is not a PNG with an alpha channel, has another size, is 4 MB or larger, cannot be
            decoded or lets nothing be changed.
    """
    _check_overlay("mask", mask, first, MAX_MASK_BYTES, "mark what to change")


def check_markup(markup: InputImage, first: InputImage | None) -> None:
    """Check markup against the first image, as a mask is. Decodes it: call in a worker thread.

    Raises:
        InputError: it is not a PNG with an alpha channel, has another size, cannot be decoded or hides all.
    """
    _check_overlay("markup", markup, first, MAX_INPUT_BYTES, "let the picture be seen")


def _check_overlay(name: str, overlay: InputImage, first: InputImage | None, most: int, purpose: str) -> None:
    problem = None
    if overlay.mime_type != "image/png" or not overlay.has_alpha:
        problem = "is not a PNG with an alpha channel"
    elif first and overlay.size != first.size:
        problem = f"is {overlay.size} while the first image is {first.size}"
    elif len(overlay.data) > most:
        problem = f"is not smaller than {most // MB + 1} MB"
    else:
        problem = _opaque(overlay)
    if problem:
        raise InputError(
            f"The {name} {problem}.",
            hint=f"Give a PNG as large as the first image whose fully transparent pixels {purpose}; "
            "nothing was sent.",
        )


def _opaque(overlay: InputImage) -> str | None:
    """Such a mask protects all of the picture: the edit would be billed and change nothing."""
    try:
        return None if has_clear_pixels(whole(overlay.data)) else "has not one fully transparent pixel"
    except UndecodablePicture:
        return "cannot be decoded"
