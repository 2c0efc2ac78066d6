"""Makes of a request what can be sent: options checked, pictures read, a place for the result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from anyio.to_thread import run_sync

from gpt_image_2_mcp.capabilities import COMPRESSED_FORMATS
from gpt_image_2_mcp.checks import check_form, check_markup, check_mask, check_options, check_overlays
from gpt_image_2_mcp.errors import ImageServerError, InvalidRequest, StorageError
from gpt_image_2_mcp.models import ImageJob, ImageReference, InputImage, Kind, Placement, Session
from gpt_image_2_mcp.ports import Clock, SourceLoader
from gpt_image_2_mcp.providers import OPENAI, Action, Provider, check_offer
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EditingRequest,
    GenerateRequest,
    Paid,
    RenderOptions,
    TurnOptions,
)
from gpt_image_2_mcp.roots import OutputDir


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a request says nothing. `output_dir` turns a request's folder into the one to use, or
    refuses it, and may block; `refusal` is why no paid call can be made at all; `local_paths`, whether a
    caller may choose a folder; `provider`, who makes the pictures; `confirm_above`, in micro-dollars, what a
    call may cost without a person's consent.
    """

    model: str
    output_dir: Callable[[str | None], OutputDir]
    sandbox: bool = False
    refusal: ImageServerError | None = None
    partial_images: int = 0
    local_paths: bool = True
    provider: Provider = OPENAI
    confirm_above: int | None = None


class Drafts:
    """What is checked and read here stands nowhere yet: no method sends, journals or writes anything."""

    def __init__(self, sources: SourceLoader, defaults: Defaults, clock: Clock) -> None:
        self._sources, self._defaults, self._clock = sources, defaults, clock

    def refuse_without_key(self, request: Paid) -> None:
        """A dry run needs no key.

        Raises:
            MissingKey: there is none.
        """
        if self._defaults.refusal and not request.dry_run:
            raise self._defaults.refusal

    def job(
        self, action: Action, prompt: str, options: RenderOptions, *images: InputImage | ImageReference
    ) -> ImageJob:
        """A call without anything laid on its pictures."""
        prices = self._defaults.provider.openai_prices
        return ImageJob(action, prompt, options, _numbered(images), openai_prices=prices)

    def turn_options(self, request: ContinueSessionRequest, session: Session) -> RenderOptions:
        """The options of a session's next turn, checked."""
        return self._checked(inherit(request, session), "edit")

    async def turn_job(self, prompt: str, options: RenderOptions, session: Session) -> ImageJob:
        """A session's next turn, on its last picture."""
        job = self.job("edit", prompt, options, await self._sources.load_stored(session.last.image))
        check_form(job)
        return job

    async def edit_job(self, request: EditingRequest, options: RenderOptions) -> ImageJob:
        """An edit with its pictures and what lies on the first of them, read and checked."""
        overlay = request.mask or request.markup
        images, overlays = await self._sources.load_all(request.images, [overlay] if overlay else [])
        job = self.job("edit", request.prompt, options, *images)
        first = images[0] if isinstance(images[0], InputImage) else None
        if request.mask:
            await run_sync(check_mask, overlays[0], first)
            job = replace(job, mask=replace(overlays[0], filename="mask.png"))
        elif request.markup:
            await run_sync(check_markup, overlays[0], first)
            job = replace(job, markup=replace(overlays[0], filename="markup.png"))
        check_form(job)
        return job

    def edit_options(self, request: EditingRequest) -> RenderOptions:
        """The options of a first edit, checked with what is laid on its picture."""
        options = self.options(request)
        mask, markup = request.mask is not None, request.markup is not None
        check_overlays(options, mask=mask, markup=markup, today=self._clock().date())
        return options

    def options(self, request: GenerateRequest | EditingRequest) -> RenderOptions:
        """What is to be sent for a request, with what the settings say where it says nothing."""
        self.refuse_without_key(request)
        chosen = request.model_dump(include=set(RenderOptions.model_fields), exclude_none=True)
        options = RenderOptions.model_validate({"model": self._defaults.model, **chosen})
        if isinstance(request, GenerateRequest):
            return self._checked(options, "generate")
        overlays = {"mask": request.mask, "markup": request.markup}
        return self._checked(options, "edit", [name for name, source in overlays.items() if source])

    def _checked(
        self, options: RenderOptions, action: Action, overlays: Collection[str] = ()
    ) -> RenderOptions:
        provider = self._defaults.provider
        options = options.model_copy(update={"model": provider.model_behind(options.model or "")})
        still = options.output_format not in ("gif", "svg")
        if options.partial_images is None and (options.n or 1) == 1 and still:
            options = options.model_copy(update={"partial_images": self._defaults.partial_images or None})
        check_options(options, self._clock().date(), dated=not provider.own_dates)
        check_offer(provider, action, options.model_dump(exclude_none=True), overlays)
        return options

    async def next_placement(self, token: str, session: Session, prefix: str | None, turn: int) -> Placement:
        try:
            return await self.placement(token, "session", str(session.output_dir), prefix, turn)
        except StorageError as error:
            raise StorageError(
                f"The folder of this session cannot be used any more: {error.message}",
                hint="Start a new session from its last picture, or set GPT_IMAGE_2_OUTPUT_DIR to that "
                "folder and restart the server; nothing was sent.",
            ) from None

    def folder(self, request: GenerateRequest | EditingRequest) -> str | None:
        """The folder that a request names, where its caller may choose one."""
        if request.output_dir and not self._defaults.local_paths:
            raise InvalidRequest(
                "`output_dir` is not taken from a client over HTTP.",
                hint="Leave it out; nothing was sent. "
                "GPT_IMAGE_2_HTTP_LOCAL_PATHS=1 in the server's settings allows it.",
            )
        return request.output_dir

    async def placement(
        self,
        token: str,
        kind: Kind,
        output_dir: str | None,
        prefix: str | None,
        turn: int | None = None,
    ) -> Placement:
        # Local time, as the original has it: people look for "the one I made at three".
        stamp = self._clock().astimezone().strftime("%Y%m%d-%H%M%S")
        chosen = await run_sync(self._defaults.output_dir, output_dir)
        return Placement(chosen.folder, kind, stamp, token, prefix, turn, chosen.root)


def turn_options(options: RenderOptions) -> TurnOptions:
    """The part of a job's options that a session keeps."""
    return TurnOptions.model_validate(options.model_dump(include=set(TurnOptions.model_fields)))


def inherit(request: ContinueSessionRequest, session: Session) -> RenderOptions:
    """A turn's options: the session's, with those that the turn sets in their place.

    A compression that the session set goes when the turn asks for a format that has none.
    """
    asked = request.model_dump(include=set(RenderOptions.model_fields), exclude_none=True)
    kept = session.options.model_dump(exclude_none=True)
    format_ = asked.get("output_format")
    if format_ and format_ not in COMPRESSED_FORMATS:
        kept.pop("output_compression", None)
    return RenderOptions.model_validate({**kept, **asked, "model": session.model})


def _numbered(images: Sequence[InputImage | ImageReference]) -> tuple[InputImage | ImageReference, ...]:
    """Neutral file names: what a person calls a file is not the API's business."""
    return tuple(
        replace(image, filename=f"image-{number}.{image.mime_type.removeprefix('image/')}")
        if isinstance(image, InputImage)
        else image
        for number, image in enumerate(images, start=1)
    )
