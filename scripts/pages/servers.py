"""The servers that speak the Images API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpt_image_2_mcp.providers import HOSTS, PROVIDERS, Provider
from pages.markdown import NOTICE, table, yes

PROVIDERS_HEAD: Final = f"""\
# Servers that speak the Images API

{NOTICE}

What each kind of server does otherwise than OpenAI, as far as it is known; the sources and their dates stand
in `src/gpt_image_2_mcp/providers.py`. A server is known by the address in `OPENAI_BASE_URL`, or named by
`GPT_IMAGE_2_PROVIDER`.

"""
PROVIDERS_FOOT: Final = """
- *Options*: what it takes beside `prompt` and `model`. Another option that would change the picture is
  refused, unless it is `auto` or the default; `user`, `moderation` and `partial_images` are left out.
- *Mask*: whether a server looks for clear pixels, as OpenAI does, or for white ones; those are painted where
  the mask is clear.
- *Prices*: whether the tokens and prices of OpenAI hold.
- The base URL of Azure ends in `/openai/v1`. Its older addresses of single deployments are refused, with the
  one to use.
"""
_FORMS: Final = {
    "form": "form to `images/edits`",
    "input_references": "JSON to `images`, `input_references`",
    "ref_images": "JSON to `images/generations`, `ref_images`; with a mask, form to `images/inpainting`",
}


def providers_page() -> str:
    heads = ("Name", "Server", "Known by", "Key", "Edits", "Field", "Mask", "Options", "Streams", "Prices")
    return PROVIDERS_HEAD + table(heads, map(_provider, PROVIDERS)) + PROVIDERS_FOOT


def _provider(provider: Provider) -> Iterator[str]:
    options = "all" if provider.options is None else ", ".join(f"`{o}`" for o in sorted(provider.options))
    fewer = "; with a mask none" if provider.mask_options == frozenset() else ""
    formats = f"; edits as {' or '.join(provider.edit_formats)}" if provider.edit_formats else ""
    yield f"`{provider.name}`"
    yield provider.title
    yield ", ".join(f"`{pattern}`" for pattern, name in HOSTS if name == provider.name)
    yield f"`{provider.key_header}`{'' if provider.needs_key else ', if there is one'}"
    yield _FORMS[provider.edits]
    yield f"`{provider.image_field}`" if provider.edits == "form" else ""
    yield {"alpha": "clear", "white": "white", None: "no"}[provider.mask]
    yield f"{options}{fewer}{formats}"
    yield yes(provider.streams)
    yield yes(provider.openai_prices)
