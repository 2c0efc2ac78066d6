"""Nothing inside is ever dialled: not by a fixed list of URLs, and not by ten thousand generated ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sources.loader import Sources
from tests.sources.inside import (
    FIXED,
    FIXED_WITH_SPACES,
    NAMES,
    PUBLIC,
    Case,
    as_the_c_library,
    generate,
    is_inside,
)
from tests.support.pictures import picture
from tests.support.sites import Asked, Network, Piece, redirect, serve

pytestmark = pytest.mark.anyio
GENERATED, PARTS = 10_000, 4
URLS = [*FIXED, *FIXED_WITH_SPACES]
FIRST = "https://public-0.example/"
PNG = picture()


class Outside(Network):
    """Plays one case at a time: redirects through its hops to a picture, and counts.

    It resolves as a C library would, odd spellings included.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(self._next)
        self._hops: list[str] = []
        self._sources = Sources(folder, self.fetcher(), Roots.of(folder))

    async def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            found = NAMES.get(host.lower().rstrip("."), as_the_c_library(host))
            self.names[host] = [list(PUBLIC) if found is None else found]
        return await super().resolve(host, port)

    async def gives_a_picture(self, case: Case) -> bool:
        """Load the case's URL as a tool would; nothing inside may be dialled, whatever comes of it."""
        self.names = {name: [list(answer) for answer in answers] for name, answers in case.names.items()}
        self._hops = list(case.hops)
        for kept in (self.resolved, self.dialled, self.asked):
            kept.clear()
        try:
            await self._sources.load(case.url)
            given = True
        except InputError:
            given = False
        assert [dial for dial in self.dialled if is_inside(dial[0]) or dial[1] != 443] == [], case
        assert self.open == [], case
        return given

    def _next(self, _asked: Asked) -> list[Piece]:
        return redirect(self._hops.pop(0)) if self._hops else serve(200, PNG)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


async def test_a_picture_outside_is_given(outside: Outside) -> None:
    """So that what is refused below is refused for what it is."""
    assert await outside.gives_a_picture(Case(FIRST, hops=("/a", "//public-1.example/b")))
    assert await outside.gives_a_picture(Case("https://[2606:2800:21f:cb07::1]/"))


def test_the_list_is_long_and_says_nothing_twice() -> None:
    assert len(URLS) == len(set(URLS)) >= 200


@pytest.mark.parametrize("url", URLS)
async def test_a_url_that_leads_inside_is_refused_undialled(url: str, outside: Outside) -> None:
    assert not await outside.gives_a_picture(Case(url))
    assert outside.dialled == []


@pytest.mark.parametrize("url", [url for url in URLS if not re.search(r"[\r\n\0]", url)])
async def test_a_redirect_that_leads_inside_is_not_followed(url: str, outside: Outside) -> None:
    given = await outside.gives_a_picture(Case(FIRST, hops=(url,)))

    # What names no host is a path of the site that redirects.
    if re.match(r"([a-z+]+:)?//[^/]", url, re.IGNORECASE):
        assert not given
        assert len(outside.dialled) == 1


@pytest.mark.parametrize("seed", range(PARTS))
async def test_ten_thousand_generated_urls_reach_nothing_inside(seed: int, outside: Outside) -> None:
    dialled = resolved = 0
    for case in generate(GENERATED // PARTS, seed):
        assert not await outside.gives_a_picture(case), case
        assert len(outside.resolved) <= len(outside.asked) + 1, case
        dialled += bool(outside.dialled)
        resolved += bool(outside.resolved)

    # They are not all refused at the first glance: names are resolved, public sites on the way are asked.
    assert min(dialled, resolved) > GENERATED // PARTS // 4
