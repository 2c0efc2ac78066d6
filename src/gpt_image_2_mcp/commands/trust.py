"""What a person has typed is theirs to choose: the folders of it are open for one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gpt_image_2_mcp.commands.running import fail
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.requests import Arguments
from gpt_image_2_mcp.roots import folder_of, real_path
from gpt_image_2_mcp.settings import Settings
from gpt_image_2_mcp.sources.local import local_path


def trusting(settings: Settings, *requests: Arguments, output_dir: str | None = None) -> Settings:
    """Settings by which the inputs of the requests may be read, and pictures go to `output_dir`."""
    try:
        paths = (local_path(text, settings.working_dir) for each in requests for text in _inputs(each))
        folders = dict.fromkeys(real_path(path).parent for path in paths if path)
        chosen = folder_of(output_dir, settings.working_dir) if output_dir else settings.output_dir
    except ImageServerError as error:
        fail(error)
    return replace(settings, input_roots=(*settings.input_roots, *folders), output_dir=chosen)


def _inputs(request: Arguments) -> Iterator[str]:
    yield from getattr(request, "images", ())
    yield from filter(None, (getattr(request, name, None) for name in ("mask", "markup")))
