"""What the prompts say: each makes of a few words the prompt and the options of one call of a tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gpt_image_2_mcp.errors import InvalidRequest

# Scene, subject, details, use and constraints, each on a line of its own; literal text in quotes; for edits,
# inputs by their numbers and more words on what to keep than on what to change: OpenAI's advice for GPT Image
# models as its users repeat it (nodetool-ai/nodetool, skill gpt-image-2-prompting, 2026).

Given = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Argument:
    """One blank of a prompt. `words` are what people mostly put there; `picture`: it takes a picture."""

    name: str
    description: str
    required: bool = False
    words: tuple[str, ...] = ()
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The call that a prompt comes to, which is an edit where there are pictures, and what to do `then`."""

    prompt: str
    then: str
    images: tuple[str, ...]
    options: Mapping[str, str | int]

    @property
    def tool(self) -> str:
        return "edit_image" if self.images else "generate_image"

    @property
    def arguments(self) -> dict[str, Any]:
        images = {"images": list(self.images)} if self.images else {}
        return {"prompt": self.prompt, **images, **self.options}


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """One prompt: name, texts, blanks, and what it suggests when they are filled in."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    suggest: Callable[[Given], Suggestion]


def _suggestion(text: str, then: str, given: Given, **defaults: str) -> Suggestion:
    """`text` without empty lines; of the options, those given before the defaults."""
    prompt = "\n".join(line for line in text.splitlines() if line)
    images = (given["image"],) if "image" in given else ()
    said = {name: given.get(name, word) for name, word in defaults.items()}
    options = {name: int(word) if word.isdecimal() else word for name, word in said.items()}
    return Suggestion(prompt, then, images, options)


def _product_photo(given: Given) -> Suggestion:
    setting = given.get("setting", _SETTINGS[0])
    keep = (
        "Keep the product of image 1 exactly: shape, proportions, colours, materials, label and its letters."
    )
    text = f"""\
Scene: {setting}, soft shadow under the product.
Subject: {given["product"]}, whole and in sharp focus, centred, with room around it.
Details: photorealistic, 85 mm lens at f/8, softbox light from the left, true colours, fine texture visible.
{keep if "image" in given else ""}
Use: product photograph for an online shop.
Constraints: one product; nothing that hides it, no hands, no watermark, no added text or logos."""
    then = "Ask whether light, angle or setting should change; if so, call edit_image with this picture."
    return _suggestion(text, then, given, size="1024x1024", quality="high")


def _infographic(given: Given) -> Suggestion:
    points = [point.strip() for point in given["points"].replace("\n", ";").split(";") if point.strip()]
    if not points:
        raise InvalidRequest("`points` must say something.", hint="Give texts, parted by semicolons.")
    numbered = "\n".join(f'{number}. "{point}"' for number, point in enumerate(points, start=1))
    text = f"""\
Scene: a clean infographic, {given.get("style", _INFOGRAPHIC_STYLES[0])}.
Title at the top, the largest text: "{given["title"]}"
Below it {len(points)} sections of equal weight in reading order, each one simple icon and its text:
{numbered}
Details: one sans-serif typeface, high contrast, generous margins, everything on a grid.
Use: on a slide and on a web page, readable at half its size.
Constraints: the texts in quotes verbatim, letter by letter, each once and without the quotes; no other \
words, numbers or watermark."""
    then = (
        "Read every word in the picture against the list. If one is wrong, call edit_image with this picture "
        "to change that text only and keep everything else."
    )
    return _suggestion(text, then, given, size="1024x1536", quality="high")


def _consistent_character(given: Given) -> Suggestion:
    style = given.get("style", _DRAWING_STYLES[0])
    if "image" not in given:
        return _character_sheet(given, style)
    text = f"""\
Scene: {given.get("scene", "a quiet place that suits the character")}.
Subject: the character of image 1: {given["character"]}.
Keep exactly as in image 1: face, eyes, hair, build, age, skin or fur, clothes with their colours and \
patterns, and the way it is drawn.
Change only the scene, the pose and the light on the character.
Use: one picture of a series, {style}.
Constraints: the character once; no new accessories, no text, no watermark."""
    then = "For the next scene give the same reference picture again, not this result: differences add up."
    return _suggestion(text, then, given, size="1536x1024", quality="high")


def _character_sheet(given: Given, style: str) -> Suggestion:
    text = f"""\
Scene: plain light grey background, even light.
Subject: {given["character"]}.
Details: three full-length views side by side, from the front, the side and behind; then the face, large.
Use: character sheet, the reference of a series, {style}.
Constraints: the same face, proportions, clothes and colours in all views; no text, no watermark."""
    then = (
        "Show it to me. Each scene that I then ask for is an edit_image of this picture, which keeps the "
        "character and changes only scene, pose and light."
    )
    return _suggestion(text, then, given, size="1536x1024", quality="high")


def _logo_variations(given: Given) -> Suggestion:
    start = "Starting from the logo of image 1, a" if "image" in given else "A"
    text = f"""\
Subject: {start} new logo for {given.get("business", given["name"])}.
The only text, verbatim, letter by letter, without the quotes: "{given["name"]}"
Details: {given.get("style", _LOGO_STYLES[0])}; flat vector look, at most three solid colours, strong \
silhouette, legible at 32 pixels.
Use: brand mark on a plain white background, centred, with room around it.
Constraints: one logo; no mock-up, gradients, shadows or small text, nothing like an existing \
brand, no watermark."""
    then = "Show me all of them with their ids; then start_edit_session with the one I choose."
    return _suggestion(text, then, given, n="4", size="1024x1024", quality="medium")


def _restore_photo(given: Given) -> Suggestion:
    wish = given.get("colours", "keep")
    if wish not in _COLOURS:
        raise InvalidRequest(f"`colours` must be {' or '.join(_COLOURS)}.")
    text = f"""\
Restore the photograph of image 1.
Change: remove scratches, dust, stains, creases, tears and fading; recover contrast and sharpness.
{_COLOURS[wish]}
{f"Also: {given['damage']}." if "damage" in given else ""}
Keep exactly: every person's face, expression, age, hair and pose; clothes, background, framing, \
perspective and the grain of the film.
Where something is lost, fill it in from what is beside it and invent nothing.
Constraints: a photograph and no painting; no beautifying, no new people or objects, no text, no border."""
    then = "Compare the faces with the original, and say openly what was filled in."
    return _suggestion(text, then, given, size="auto", quality="high")


_SETTINGS: Final = (
    "seamless white studio background",
    "oak table by a window",
    "dark slate under one spotlight",
)
_INFOGRAPHIC_STYLES: Final = (
    "flat design with two accent colours",
    "drawn by hand on paper",
    "dark, with neon lines",
)
_DRAWING_STYLES: Final = (
    "storybook illustration",
    "3D animated film",
    "ink and watercolour",
    "photorealistic",
)
_LOGO_STYLES: Final = ("one simple symbol beside the name", "monogram", "wordmark only", "emblem in a circle")
_COLOURS: Final = {
    "keep": "Keep its colours, or its black and white, as they were when it was new.",
    "colourise": "Colour it as a photograph of its time would be: skin, cloth and sky plausible and muted.",
}
_SIZE: Final = Argument("size", "Size.", words=("1024x1024", "1536x1024", "1024x1536", "auto"))
_QUALITY: Final = Argument("quality", "low for a draft.", words=("low", "medium", "high", "auto"))


def _picture(what: str, *, required: bool = False) -> Argument:
    return Argument("image", f"{what}: its path, URL or image:// address.", required, picture=True)


PROMPTS: Final = (
    PromptSpec(
        "product_photo",
        "Product photo",
        "A shop's photograph of a product, from a description or from a snapshot.",
        (
            Argument("product", "What it is, with material and colour.", required=True),
            _picture("A snapshot of it"),
            Argument("setting", "Where it stands.", words=_SETTINGS),
            _SIZE,
            _QUALITY,
        ),
        _product_photo,
    ),
    PromptSpec(
        "infographic",
        "Infographic with exact text",
        "An infographic with a title and points that are spelled as given.",
        (
            Argument("title", "The title, exactly.", required=True),
            Argument("points", "The texts of its sections, exactly, parted by semicolons.", required=True),
            Argument("style", "How it looks.", words=_INFOGRAPHIC_STYLES),
            _SIZE,
            _QUALITY,
        ),
        _infographic,
    ),
    PromptSpec(
        "consistent_character",
        "Consistent character",
        "A character sheet; or, given one, its character in a new scene.",
        (
            Argument("character", "Who it is: build, face, hair, clothes, colours.", required=True),
            _picture("The sheet, or another picture of the character"),
            Argument("scene", "Where it is and what it does; takes the picture."),
            Argument("style", "How it is drawn.", words=_DRAWING_STYLES),
            _SIZE,
            _QUALITY,
        ),
        _consistent_character,
    ),
    PromptSpec(
        "logo_variations",
        "Logo variations",
        "Several logos with a name spelled as given, to choose from.",
        (
            Argument("name", "The name on it, exactly.", required=True),
            Argument("business", "What it stands for."),
            Argument("style", "How it looks.", words=_LOGO_STYLES),
            _picture("The present logo"),
            Argument("n", "How many; each is billed.", words=("2", "3", "4", "6")),
            _SIZE,
            _QUALITY,
        ),
        _logo_variations,
    ),
    PromptSpec(
        "restore_photo",
        "Restore a photograph",
        "A damaged or faded photograph made whole, its faces kept as they are.",
        (
            _picture("The photograph", required=True),
            Argument("damage", "What else to mend."),
            Argument("colours", "Whether it is coloured.", words=tuple(_COLOURS)),
            _SIZE,
            _QUALITY,
        ),
        _restore_photo,
    ),
)
