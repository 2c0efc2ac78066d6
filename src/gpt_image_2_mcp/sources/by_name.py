"""Pictures that are named: by their id, the latest result, the clipboard, the newest of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp.models import StoredImage
from gpt_image_2_mcp.picture_names import CLIPBOARD, DOWNLOAD, LATEST, SCREENSHOT, id_in
from gpt_image_2_mcp.ports import Catalogue
from gpt_image_2_mcp.sources.clipboard import Clipboard
from gpt_image_2_mcp.sources.newest import download_folders, newest_picture, screenshot_folders

_FOLDERS: Final = {SCREENSHOT: screenshot_folders, DOWNLOAD: download_folders}


@dataclass(frozen=True, slots=True)
class ByName:
    """What the names stand for at this moment."""

    catalogue: Catalogue
    clipboard: Clipboard

    async def find(self, source: str) -> StoredImage | Path | bytes | None:
        """A picture of ours, a path to read, or a picture's bytes; None where `source` is no name.

        Raises:
            ImageNotFound: no picture of ours has that id.
            InputError: there is nothing by that name now.
        """
        if id_ := id_in(source):
            return (await self.catalogue.find(id_)).image
        word = source[:40].lower()
        if word == LATEST:
            return (await self.catalogue.latest()).image
        if word == CLIPBOARD:
            return await self.clipboard.read()
        if word in _FOLDERS:
            return await run_sync(lambda: newest_picture(_FOLDERS[word](), word.partition(":")[2]))
        return None
