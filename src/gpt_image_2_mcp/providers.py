"""What servers that speak the Images API differ in, as data, and which of them a base URL leads to.

Read from their sources and documents, each row with its date; of LiteLLM's proxy, OpenRouter's reference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal
from urllib.parse import urlsplit

from gpt_image_2_mcp.errors import ConfigurationError, InvalidRequest

Action = Literal["generate", "edit"]
ImageField = Literal["image[]", "image"]
"""The form field that input pictures stand in."""
IMAGE_FIELDS: Final[tuple[ImageField, ...]] = ("image[]", "image")

ALL_OPTIONS: Final = None
_UNSEEN: Final = frozenset({"model", "user", "safety_identifier", "moderation", "partial_images"})
"""What changes no finished picture: left out for a server that does not know it, and nobody is troubled."""
_AS_IF_UNSET: Final[dict[str, object]] = {"n": 1, "output_format": "png", "output_compression": 100}


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of server, and what the settings say of this one.

    `options` are those it takes beside prompt and model, None for all; `mask_options` those it takes with a
    mask, where these are fewer. `edits`: a form to `images/edits`; JSON with `input_references`; JSON with
    `ref_images`, and a form to `images/inpainting` where there is a mask. `mask` says what marks the area to
    change, clear pixels or white ones; None for no masks. `prefix` stands before the ids of OpenAI's models
    there. `deployments` pairs its names for models with the models' ids. `own_dates`: it serves models for as
    long as it likes, whatever OpenAI does.
    """

    name: str
    title: str
    key_header: Literal["Authorization", "api-key"] = "Authorization"
    needs_key: bool = True
    generations: str = "images/generations"
    edits: Literal["form", "input_references", "ref_images"] = "form"
    image_field: ImageField = "image[]"
    mask: Literal["alpha", "white"] | None = "alpha"
    options: frozenset[str] | None = ALL_OPTIONS
    mask_options: frozenset[str] | None = ALL_OPTIONS
    edit_formats: tuple[str, ...] | None = None
    json_edits: bool = False
    streams: bool = True
    responses: bool = False
    asks_for_base64: bool = False
    openai_prices: bool = False
    own_dates: bool = False
    prefix: str = ""
    note: str | None = None
    deployments: tuple[tuple[str, str], ...] = ()

    def taken(self, *, masked: bool) -> frozenset[str] | None:
        """The options it takes, with or without a mask; None for all."""
        known = [self.options, *([self.mask_options] if masked else [])]
        given = [options for options in known if options is not None]
        return frozenset.intersection(*given) if given else None

    def model_behind(self, name: str) -> str:
        """The id of the model that goes by `name` there; `name` itself where nothing else is known."""
        known = dict(self.deployments)
        return known.get(name) or (name.removeprefix(self.prefix) if self.prefix else name)

    def name_of(self, model: str) -> str:
        """What a model is called there: the first deployment of it."""
        deployed = [name for name, behind in self.deployments if behind == model]
        return deployed[0] if deployed else model if "/" in model else f"{self.prefix}{model}"


def check_offer(
    provider: Provider, action: Action, asked: Mapping[str, object], overlays: Collection[str] = ()
) -> None:
    """Refuse what would change the picture and the server does not do.

    `asked` are options by the API's names, `overlays` what lies on the first picture: mask, markup.

    Raises:
        InvalidRequest: names the server and the argument.
    """
    if "mask" in overlays and provider.mask is None:
        raise _refusal(provider, "mask")
    taken = provider.taken(masked="mask" in overlays)
    if "markup" in overlays and taken is not None:
        raise _refusal(provider, "markup")
    for name, value in asked.items():
        unset = value in (None, "auto") or value == _AS_IF_UNSET.get(name)
        if not (unset or name in _UNSEEN or taken is None or name in taken):
            raise _refusal(provider, name)
    format_ = asked.get("output_format")
    if action == "edit" and format_ and provider.edit_formats and format_ not in provider.edit_formats:
        raise InvalidRequest(
            f"{provider.title} saves no edit as {format_}, only as {' or '.join(provider.edit_formats)}.",
            hint="Choose one of those as `output_format`; nothing was sent.",
        )


def _refusal(provider: Provider, argument: str) -> InvalidRequest:
    return InvalidRequest(
        f"{provider.title}, which OPENAI_BASE_URL leads to, takes no `{argument}` with such a call.",
        hint="Leave it out; nothing was sent.",
    )


_DRAWING: Final = frozenset({"n", "size", "output_format"})
_ROUTED: Final = frozenset({*_DRAWING, "quality", "background", "output_compression"})

OPENAI: Final = Provider(
    "openai", "OpenAI", json_edits=True, responses=True, openai_prices=True
)  # openai package 3.54.0 types, 2026-11-22
COMPATIBLE: Final = Provider(
    # A server that nothing is known of gets what OpenAI gets, by the forms that every server has.
    "compatible",
    "The server",
    responses=True,
    openai_prices=True,
)
PROVIDERS: Final = (
    OPENAI,
    Provider(
        # v1 API; learn.microsoft.com and LiteLLM 1.109.1, 2026-11-22. Whether it takes `image[]` is disputed
        # (new-api PR 5331 against LiteLLM): GPT_IMAGE_2_IMAGE_FIELD switches it. Its Responses tool wants a
        # header of its own and is reported not to stream.
        "azure",
        "Azure OpenAI",
        key_header="api-key",
        own_dates=True,
        openai_prices=True,
    ),
    Provider(
        # examples/server/routes_openai.cpp, 2026-08-19. The mask is loaded as one channel of luminance.
        "stable-diffusion.cpp",
        "stable-diffusion.cpp",
        needs_key=False,
        own_dates=True,
        mask="white",
        options=frozenset({*_DRAWING, "output_compression"}),
        edit_formats=("png", "jpeg"),
        streams=False,
        note="stable-diffusion.cpp draws with the model that it was started with, whatever `model` says.",
    ),
    Provider(
        # core/http/endpoints/openai/image.go and inpainting.go, 2026-08-22. Its documents name
        # /v1/images/edits, which has no route. Inpainting draws 512x512 and answers with an address.
        "localai",
        "LocalAI",
        needs_key=False,
        own_dates=True,
        edits="ref_images",
        image_field="image",
        mask="white",
        options=frozenset({"n", "size"}),
        mask_options=frozenset(),
        streams=False,
        asks_for_base64=True,
    ),
    Provider(
        # vllm_omni/entrypoints/openai, 0.30.0. 400 where `model` is not the served one.
        "vllm-omni",
        "vLLM-Omni",
        needs_key=False,
        own_dates=True,
        mask=None,
        options=_DRAWING,
        streams=False,
        asks_for_base64=True,
    ),
    Provider(
        # multimodal_gen/runtime/entrypoints/openai/image_api.py, 0.5.23. It takes a mask and does not look at
        # it. Without `response_format` some models answer with addresses, or 400 where no storage is set up.
        "sglang",
        "SGLang",
        needs_key=False,
        own_dates=True,
        mask=None,
        options=_ROUTED,
        streams=False,
        asks_for_base64=True,
    ),
    Provider(
        # proxy 1.109.1: 422 where both image fields come; forwards what it does not know.
        "litellm",
        "LiteLLM",
        responses=True,
        openai_prices=True,
    ),
    Provider(
        # POST /api/v1/images (openrouter.ai/docs, 2026-11-22): no routes of the Images API.
        "openrouter",
        "OpenRouter",
        generations="images",
        edits="input_references",
        mask=None,
        options=_ROUTED,
        streams=False,
        prefix="openai/",
    ),
    COMPATIBLE,
)
NAMES: Final = tuple(provider.name for provider in PROVIDERS)

# Ports tell nothing, LocalAI's 8080, vLLM's 8000 and SGLang's 30000 are everybody's; nor does a path: others
# than Azure end theirs in /openai/v1 and want a Bearer token (Groq).
HOSTS: Final = (
    ("api.openai.com", "openai"),
    ("*.api.openai.com", "openai"),
    ("*.openai.azure.com", "azure"),
    ("*.services.ai.azure.com", "azure"),
    ("*.cognitiveservices.azure.com", "azure"),
    ("openrouter.ai", "openrouter"),
)
_AZURE_PATH: Final = "/openai/v1"


def named(name: str) -> Provider:
    """The row of that name; raises KeyError."""
    return {provider.name: provider for provider in PROVIDERS}[name]


def provider_at(base_url: str) -> Provider:
    """The server that an address tells by itself; `compatible` where it does not."""
    host = (urlsplit(base_url).hostname or "").lower()
    for pattern, name in HOSTS:
        if fnmatchcase(host, pattern):
            return named(name)
    return COMPATIBLE


def check_address(base_url: str) -> None:
    """Refuse an address of Azure that leads to no API of theirs that we speak.

    Raises:
        ConfigurationError: names the address to use.
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    classic = "/openai/deployments/" in f"{path}/"
    if classic or (provider_at(base_url).name == "azure" and not path.endswith(_AZURE_PATH)):
        what = "is the older address of one deployment" if classic else "is no address of Azure's v1 API"
        raise ConfigurationError(
            f"OPENAI_BASE_URL {what}.",
            hint=f"Set it to https://{parts.hostname}{_AZURE_PATH} and name the deployment in "
            "GPT_IMAGE_2_DEPLOYMENTS, such as my-images=gpt-image-2; then restart.",
        )
