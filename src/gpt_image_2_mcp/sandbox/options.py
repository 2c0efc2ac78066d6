"""A request's parameters checked against the rules and made concrete."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from gpt_image_2_mcp.sandbox import errors, rules
from gpt_image_2_mcp.sandbox.fields import Fields
from gpt_image_2_mcp.sandbox.rules import MODEL_RULES, ModelRule

_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Gif:
    """A GIF's frame count and the duration of each frame in milliseconds."""

    frames: int
    frame_ms: int


@dataclass(frozen=True)
class Options:
    """Checked parameters. `size` None means `auto`; `compression` None means 100 or not applicable."""

    rule: ModelRule
    prompt: str
    n: int
    size: tuple[int, int] | None
    quality: str
    transparent: bool
    output_format: str
    compression: int | None
    stream: bool
    partial_images: int
    input_fidelity: str
    gif: Gif | None
    svg_model: str
    safety_identifier: str | None

    @property
    def model(self) -> str:
        return self.rule.name

    @property
    def background(self) -> str:
        return "transparent" if self.transparent else "opaque"


def read_options(fields: Fields, today: date) -> Options:
    """Every check that needs no picture. Raises ApiError with the refusal of the first bad parameter."""
    prompt = _prompt(fields)
    rule = _model(fields, today)
    output_format = _output_format(fields, rule)
    gif = _gif(fields, output_format)
    n = fields.integer("n", 1, rules.N_MAX) or 1
    fields.choice("moderation", ("auto", "low"), "auto")
    _complexity(fields, rule)
    stream = fields.boolean("stream")
    options = Options(
        rule=rule,
        prompt=prompt,
        n=n,
        size=_size(fields, rule, gif),
        quality=_quality(fields, rule),
        transparent=_transparent(fields, rule, output_format),
        output_format=output_format,
        compression=_compression(fields, output_format),
        stream=stream,
        partial_images=_partial_images(fields, stream),
        input_fidelity=_input_fidelity(fields, rule),
        gif=gif,
        svg_model=_svg_model(fields, output_format),
        safety_identifier=fields.text("safety_identifier") or fields.text("user"),
    )
    _moving_and_vector_limits(fields, options)
    return options


def _prompt(fields: Fields) -> str:
    prompt = fields.text("prompt")
    if prompt is None:
        raise errors.missing("prompt")
    if not prompt:
        raise errors.text_empty("prompt")
    if len(prompt) > rules.PROMPT_MAX_CHARS:
        raise errors.text_too_long("prompt", rules.PROMPT_MAX_CHARS, len(prompt))
    return prompt


def _model(fields: Fields, today: date) -> ModelRule:
    # The real default has changed with the years and endpoints, so a request without one is refused here.
    name = fields.text("model")
    if name is None:
        raise errors.missing("model")
    rule = MODEL_RULES.get(name)
    if rule is None:
        raise errors.model_not_found(name)
    if rule.retired(today):
        raise errors.model_retired(name)
    return rule


def _quality(fields: Fields, rule: ModelRule) -> str:
    supported = (*rule.qualities, "auto")
    quality = fields.text("quality") or "auto"
    if quality in rules.ALL_QUALITIES and quality not in supported:
        raise errors.invalid_value("quality", f"The model '{rule.name}' does not support quality '{quality}'")
    if quality not in supported:
        raise errors.invalid_choice("quality", quality, supported)
    return "medium" if quality == "auto" else quality


def _output_format(fields: Fields, rule: ModelRule) -> str:
    chosen = fields.choice("output_format", rules.ALL_FORMATS, "png")
    if chosen not in rule.formats:
        raise errors.invalid_value(
            "output_format", f"The model '{rule.name}' does not support output format '{chosen}'."
        )
    return chosen


def _transparent(fields: Fields, rule: ModelRule, output_format: str) -> bool:
    background = fields.choice("background", ("transparent", "opaque", "auto"), "auto")
    if background != "transparent":
        return False
    if not rule.transparent:
        raise errors.invalid_value("background", "Transparent background is not supported for this model.")
    if output_format not in rules.TRANSPARENT_FORMATS:
        raise errors.invalid_value(
            "background",
            f"Transparent background is not supported for output format '{output_format}'. "
            "Use 'png' or 'webp'.",
        )
    return True


def _compression(fields: Fields, output_format: str) -> int | None:
    compression = fields.integer("output_compression", 0, 100)
    if compression not in (None, 100) and output_format not in rules.COMPRESSED_FORMATS:
        raise errors.invalid_value(
            "output_compression",
            f"Compression less than 100 is not supported for output format '{output_format}'.",
        )
    return compression


def _partial_images(fields: Fields, stream: bool) -> int:
    partial_images = fields.integer("partial_images", 0, rules.PARTIAL_IMAGES_MAX) or 0
    if partial_images and not stream:
        raise errors.invalid_value(
            "partial_images", "The 'partial_images' parameter is only supported when 'stream' is true."
        )
    return partial_images


def _input_fidelity(fields: Fields, rule: ModelRule) -> str:
    fidelity = fields.text("input_fidelity")
    if fidelity is None:
        return "low"
    if not rule.input_fidelity:
        raise errors.ApiError(
            400,
            f"The model '{rule.name}' does not support the 'input_fidelity' parameter.",
            kind=errors.USER_ERROR,
            param="input_fidelity",
            code="invalid_input_fidelity_model",
        )
    return fields.choice("input_fidelity", rule.input_fidelity, "low")


def _complexity(fields: Fields, rule: ModelRule) -> None:
    if fields.has("complexity") and not rule.complexity:
        raise errors.invalid_value(
            "complexity", f"The model '{rule.name}' does not support the 'complexity' parameter."
        )
    fields.choice("complexity", ("low", "medium", "high"), "high")


def _gif(fields: Fields, output_format: str) -> Gif | None:
    frames = fields.integer("frame_count", rules.FRAMES_MIN, rules.FRAMES_MAX)
    duration = fields.integer("frame_duration_ms", 1, 10**9)
    if output_format != "gif":
        for name in ("frame_count", "frame_duration_ms"):
            if fields.has(name):
                raise errors.invalid_value(
                    name, f"The '{name}' parameter is only supported when 'output_format' is 'gif'."
                )
        return None
    rounded = round((duration or rules.FRAME_MS_DEFAULT) / 10) * 10
    return Gif(frames or rules.FRAMES_DEFAULT, min(rounded, rules.FRAME_MS_MAX))


def _svg_model(fields: Fields, output_format: str) -> str:
    svg = fields.mapping("svg")
    if svg is None:
        return "sandbox-svg-author"
    if output_format != "svg":
        raise errors.invalid_value(
            "svg", "The 'svg' parameter is only supported when 'output_format' is 'svg'."
        )
    svg.allow(frozenset({"model", "reasoning"}))
    reasoning = svg.mapping("reasoning")
    if reasoning is not None:
        reasoning.choice("effort", rules.EFFORTS, "medium")
    model = svg.text("model")
    if not model:
        raise errors.missing("svg.model")
    return model


def _moving_and_vector_limits(fields: Fields, options: Options) -> None:
    if options.output_format not in ("gif", "svg"):
        return
    forbidden = {
        "stream": options.stream,
        # No partial_images here: without a stream they are refused for every format.
        "output_compression": fields.has("output_compression"),
        "mask": fields.has("mask") and options.output_format == "gif",
        "n": options.n > 1 and options.output_format == "svg",
    }
    for name, given in forbidden.items():
        if given:
            raise errors.invalid_value(
                name, f"The '{name}' parameter is not supported for output format '{options.output_format}'."
            )


def _size(fields: Fields, rule: ModelRule, gif: Gif | None) -> tuple[int, int] | None:
    text = fields.text("size")
    if text is None or text == "auto":
        return None
    if not rule.flexible_sizes and text not in rules.FIXED_SIZES:
        raise errors.invalid_choice("size", text, (*rules.FIXED_SIZES, "auto"))
    found = _SIZE.fullmatch(text)
    if found is None:
        raise _bad_size(text, "Expected 'auto' or WIDTHxHEIGHT.", errors.INVALID_REQUEST)
    width, height = int(found[1]), int(found[2])
    if rule.flexible_sizes:
        _check_flexible(text, width, height, gif)
    return width, height


def _check_flexible(text: str, width: int, height: int, gif: Gif | None) -> None:
    if width % rules.SIZE_MULTIPLE or height % rules.SIZE_MULTIPLE:
        raise _bad_size(text, "Width and height must be divisible by 16.", errors.INVALID_REQUEST)
    columns, rows = rules.gif_sheet(gif.frames) if gif else (1, 1)
    wide, tall = width * columns, height * rows
    if max(wide, tall) > rules.EDGE_MAX:
        raise _bad_size(text, f"The longest edge must be less than or equal to {rules.EDGE_MAX}.")
    if max(width, height) > rules.RATIO_MAX * min(width, height):
        raise _bad_size(text, "The aspect ratio must be between 1:3 and 3:1.")
    if wide * tall < rules.PIXELS_MIN:
        raise _bad_size(text, "Requested resolution is below the current minimum pixel budget.")
    if wide * tall > rules.PIXELS_MAX:
        raise _bad_size(text, "Requested resolution exceeds the current pixel budget.")


def _bad_size(text: str, reason: str, kind: str = errors.USER_ERROR) -> errors.ApiError:
    return errors.invalid_value("size", f"Invalid size '{text}'. {reason}", kind)
