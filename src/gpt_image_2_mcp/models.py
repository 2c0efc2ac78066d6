"""The nouns between a request and its result: jobs, answers, files, sessions; all frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from gpt_image_2_mcp.contents import Content
from gpt_image_2_mcp.folders import slug
from gpt_image_2_mcp.image_formats.gif import Animation
from gpt_image_2_mcp.picture_names import image_id
from gpt_image_2_mcp.providers import Action
from gpt_image_2_mcp.requests import RenderOptions, TurnOptions
from gpt_image_2_mcp.sizes import Size

Route = Literal["images", "responses"]
Kind = Literal["image", "edit", "session", "import"]
"""What file names begin with."""


# Towards the API


@dataclass(frozen=True, slots=True)
class InputImage:
    """A picture to send: its bytes, what their header says, and where it was found, in words.

    `mark` is never equal for different contents, and equal for those that are read once more.
    """

    data: Content = field(repr=False)
    filename: str
    mime_type: str
    size: Size
    has_alpha: bool
    mark: str = field(repr=False, compare=False)
    origin: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A picture that OpenAI fetches itself: the id of a file there, or an https URL."""

    kind: Literal["file_id", "image_url"]
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One paid call: `options` hold what is set and always the model; `openai_prices` says whether its model
    costs what OpenAI takes for it.
    """

    action: Action
    prompt: str = field(repr=False)
    options: RenderOptions
    images: tuple[InputImage | ImageReference, ...] = ()
    mask: InputImage | None = None
    markup: InputImage | None = None
    openai_prices: bool = True

    @property
    def model(self) -> str:
        assert self.options.model is not None  # noqa: S101 - ImageService fills it in
        return self.options.model

    @property
    def count(self) -> int:
        return self.options.n or 1

    @property
    def in_json(self) -> bool:
        """Whether an edit must go as JSON: a form has no place for references, nor for `moderation`."""
        referred = any(isinstance(image, ImageReference) for image in self.images)
        return self.action == "edit" and (referred or self.options.moderation == "low")

    @property
    def files(self) -> tuple[InputImage, ...]:
        """All pictures whose bytes are sent."""
        overlays = [overlay for overlay in (self.mask, self.markup) if overlay]
        return (*(image for image in self.images if isinstance(image, InputImage)), *overlays)

    @property
    def partials(self) -> int:
        """How many pictures in the making are wanted: they go with one picture only."""
        return (self.options.partial_images or 0) if self.count == 1 else 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Folder and names of one call's pictures: `<kind>-<stamp>-<token>[-prefix][-turnN][-index].<format>`.

    `token` is hexadecimal and longer than the six digits a name shows, so that a taken name can grow. `root`
    is the real path that `folder` must lead below whenever it is written to; None in old journals.
    """

    folder: Path
    kind: Kind
    stamp: str
    token: str
    prefix: str | None = None
    turn: int | None = None
    root: Path | None = None

    def filename(self, format_: str, index: int, count: int, *, digits: int = 6) -> str:
        parts = [self.kind, self.stamp, self.token[:digits]]
        if self.prefix and (label := slug(self.prefix, 60).strip("-")):
            parts.append(label)
        if self.turn is not None:
            parts.append(f"turn{self.turn}")
        if count > 1:
            parts.append(str(index + 1))
        return f"{'-'.join(parts)}.{format_}"


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a request: its field, name, MIME type and size in bytes."""

    field: str
    filename: str
    mime_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RequestOutline:
    """A request as it would be sent, without the bytes of pictures. `path` counts from the base URL."""

    method: str
    path: str
    body: Mapping[str, Any] = field(repr=False)
    files: tuple[SentFile, ...] = ()


# Back from the API


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)


class InputTokens(_Said):
    text_tokens: NonNegativeInt = 0
    image_tokens: NonNegativeInt = 0


class OutputTokens(_Said):
    text_tokens: NonNegativeInt = 0
    image_tokens: NonNegativeInt = 0


class CachedTokens(_Said):
    cached_text_tokens: NonNegativeInt = 0
    cached_image_tokens: NonNegativeInt = 0


class Usage(_Said):
    """Tokens as the API billed them."""

    input_tokens: NonNegativeInt
    output_tokens: NonNegativeInt
    total_tokens: NonNegativeInt
    input_tokens_details: InputTokens | None = None
    output_tokens_details: OutputTokens | None = Field(default=None, exclude_if=lambda value: value is None)
    cached_tokens_details: CachedTokens | None = Field(default=None, exclude_if=lambda value: value is None)


class SvgUsage(_Said):
    """Tokens of the model that wrote a drawing, which are billed besides, at that model's rate."""

    model: str
    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    reasoning_tokens: NonNegativeInt = 0
    total_tokens: NonNegativeInt


class AppliedOptions(_Said):
    """What upstream or the bytes say was done; null where neither does."""

    size: str | None
    quality: str | None
    background: str | None
    output_format: str | None


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """Where one picture's base64 text stands in a spooled body, in bytes; `end` is exclusive."""

    body: Path
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Answers on disk: which route they came by and where they are; `torn` says that some may break off.

    `fetched` are pictures that the answer named by their addresses, by their places in it: base64 texts too.
    `images_per_minute` is the account's limit, where an answer came just now and named it.
    """

    route: Route
    bodies: tuple[Path, ...]
    note: str | None = None
    torn: bool = False
    fetched: tuple[tuple[int, Path], ...] = ()
    images_per_minute: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bodies of one job say; `partials` counts the pictures in the making that came along, `away`
    those that are named by an address and have not been fetched.
    """

    pictures: tuple[EncodedPicture, ...]
    applied: AppliedOptions
    usage: Usage | None
    note: str | None = None
    partials: int = 0
    svg_usage: SvgUsage | None = None
    away: int = 0


@dataclass(frozen=True, slots=True)
class PartialPicture:
    """A picture in the making: the bytes of its file."""

    data: bytes = field(repr=False)
    mime_type: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture under its final name; `sha256` is of the file.

    `size` is None for a drawing, which has no pixels. `animation` is known of what an operation made; the
    catalogue and sessions do not keep it.
    """

    path: Path
    size_bytes: int
    mime_type: str
    size: Size | None
    sha256: str
    animation: Animation | None = None

    @property
    def format(self) -> str:
        """As the API calls it: `image/svg+xml` is svg."""
        return self.mime_type.removeprefix("image/").partition("+")[0]


@dataclass(frozen=True, slots=True)
class CataloguedImage:
    """A picture of ours as the catalogue has it; `title` is the prompt, or the origin of an imported one."""

    operation_id: str
    number: int
    title: str = field(repr=False)
    image: StoredImage
    made_at: datetime

    @property
    def id(self) -> str:
        return image_id(self.operation_id, self.number)

    @property
    def full_id(self) -> str:
        """The id with all of the operation's, which tells pictures apart that share the short one."""
        return f"{self.operation_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class Completed:
    """A paid call that ended with a stored picture or more. `cost` is in micro-dollars, None if unknown."""

    images: tuple[StoredImage, ...]
    applied: AppliedOptions
    usage: Usage | None
    cost: int | None
    route: Route
    notes: tuple[str, ...] = ()
    svg_usage: SvgUsage | None = None


# Sessions


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of a session; `number` counts from 1."""

    number: int
    prompt: str = field(repr=False)
    image: StoredImage
    made_at: datetime


@dataclass(frozen=True, slots=True)
class SessionStep:
    """What an operation adds to a session when it is done: the first turn makes the session."""

    session_id: str
    number: int
    options: TurnOptions
    filename_prefix: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """An iterative edit. `options` are those of its last turn, which the next one inherits."""

    id: str
    created_at: datetime
    updated_at: datetime
    model: str
    options: TurnOptions
    output_dir: Path
    filename_prefix: str | None
    last: Turn


# The operation

State = Literal["reserved", "sent", "received", "done", "released", "unknown"]
OPEN_STATES: Final = ("reserved", "sent", "received")
_DOING: Final[dict[State, str]] = {
    "reserved": "about to be sent",
    "sent": "the picture is being made",
    "received": "the picture is being saved",
    "done": "saved",
    "released": "refused",
    "unknown": "the outcome is unknown",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the journal keeps it; `code` names its class in the error tree."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A paid call and how it stands.

    `fingerprint` is equal for identical calls of one client; `server` names the process that took the call;
    `estimate` is in micro-dollars; `attempts` counts POSTs; `phase` says in words what it is waiting for.
    An `import` is no call: it is done when it is entered, and its prompt says where the picture is from.
    A `received` operation with a failure has its answer, but its pictures could not be stored yet.
    """

    id: str
    state: State
    action: Action | Literal["import"]
    prompt: str = field(repr=False)
    options: RenderOptions
    placement: Placement
    fingerprint: str
    server: str
    created_at: datetime
    changed_at: datetime
    step: SessionStep | None = None
    estimate: int | None = None
    attempts: int = 0
    phase: str = ""
    completed: Completed | None = None
    failure: Failure | None = None

    @property
    def model(self) -> str:
        return self.options.model or ""

    @property
    def wants_drawing(self) -> bool:
        """Whether it asks for a file that is drawn by whoever opens it."""
        format_: str | None = self.options.output_format
        return format_ == "svg"

    @property
    def doing(self) -> str:
        """What is being waited for, in words."""
        return self.phase or _DOING[self.state]

    @property
    def is_settled(self) -> bool:
        """Whether waiting longer changes nothing: it ended, or it needs a person to make room on a disk."""
        return self.state not in OPEN_STATES or (self.state == "received" and self.failure is not None)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Seconds that such calls take: the quartiles of what is known, all equal where one figure is."""

    low: float
    usual: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a call stands while it is waited for: its age in seconds, and what it waits for in words."""

    elapsed_s: float
    doing: str
    expected: Expectation | None
