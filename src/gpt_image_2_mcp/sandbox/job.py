"""One checked request as work to do: its pictures, their encoding and their token usage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import anyio
import pybase64
from anyio.to_thread import run_sync

from gpt_image_2_mcp.sandbox import rules, usage
from gpt_image_2_mcp.sandbox.encode import draw_svg, encode, encode_gif
from gpt_image_2_mcp.sandbox.inputs import EditInputs
from gpt_image_2_mcp.sandbox.options import Options
from gpt_image_2_mcp.sandbox.paint import (
    Commission,
    coarse,
    nearest_fixed_size,
    paint,
    paint_edit,
    paint_frames,
)

NOT_BASE64: Final = "!!! this is not base64 !!!"


@dataclass(frozen=True)
class Job:
    """What to make: options, inputs for an edit, and the sandbox's seed."""

    options: Options
    inputs: EditInputs | None
    seed: int

    @property
    def size(self) -> tuple[int, int]:
        """The size of the answer: `auto` made concrete."""
        if self.options.size is not None:
            return self.options.size
        if self.options.gif is not None:
            return 512, 512
        return (1024, 1024) if self.inputs is None else nearest_fixed_size(self.inputs.sizes[0])

    @property
    def size_text(self) -> str:
        return "{}x{}".format(*self.size)

    def settings(self) -> dict[str, object]:
        """The settings as an answer reports them."""
        return {
            "size": self.size_text,
            "quality": self.options.quality,
            "background": self.options.background,
            "output_format": self.options.output_format,
        }

    def usage(self, count: int, partials: int = 0) -> dict[str, object]:
        """Usage of `count` pictures and of all the partial ones sent with them."""
        columns, rows = rules.gif_sheet(self.options.gif.frames) if self.options.gif else (1, 1)
        width, height = self.size
        return usage.request_usage(
            self.options.model,
            self.options.prompt,
            # A GIF's frames are made on one sheet and, by third parties, billed as a picture of its size.
            rendered=[(width * columns, height * rows)] * count,
            quality=self.options.quality,
            inputs=self.inputs.sizes if self.inputs else (),
            input_fidelity=self.options.input_fidelity,
            partials=partials,
        )

    def svg_usage(self) -> dict[str, object] | None:
        """Token usage of the SVG's author, where there is one; plausible numbers."""
        if self.options.output_format != "svg":
            return None
        text_in = usage.text_tokens(self.options.prompt)
        return {
            "model": self.options.svg_model,
            "input_tokens": text_in,
            "output_tokens": 900,
            "reasoning_tokens": 256,
            "total_tokens": text_in + 900,
        }

    def _commission(self, index: int) -> Commission:
        options = self.options
        return Commission(self.seed, options.prompt, self.size, index, options.transparent)

    def render(self, index: int) -> bytes:
        """The finished picture number `index`. It takes time: see `rendered`."""
        options, commission = self.options, self._commission(index)
        if options.output_format == "svg":
            return draw_svg(commission)
        if options.gif is not None:
            materials = self.inputs.materials if self.inputs else None
            return encode_gif(paint_frames(commission, options.gif.frames, materials), options.gif.frame_ms)
        *_, last = self.steps(index, 0)
        return last

    def steps(self, index: int, partials: int) -> Iterator[bytes]:
        """Picture number `index` as it grows: `partials` unfinished versions and the finished one."""
        commission = self._commission(index)
        inputs = self.inputs
        picture = paint(commission) if inputs is None else paint_edit(commission, inputs.materials)
        for step in range(partials):
            yield encode(
                coarse(picture, step, partials), self.options.output_format, self.options.compression
            )
        yield encode(picture, self.options.output_format, self.options.compression)


def to_base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")


async def rendered(job: Job, index: int, painters: anyio.CapacityLimiter) -> str:
    """Picture number `index` as base64, made in a worker thread."""
    return await run_sync(lambda: to_base64(job.render(index)), limiter=painters)


async def rendered_steps(job: Job, index: int, painters: anyio.CapacityLimiter) -> list[str]:
    """The partial pictures and then the finished one, as base64."""
    partials = job.options.partial_images
    return await run_sync(lambda: [to_base64(data) for data in job.steps(index, partials)], limiter=painters)
