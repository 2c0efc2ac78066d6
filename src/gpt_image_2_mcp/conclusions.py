"""What a call gave, by the bytes first and by the answer's word second: pictures, settings, cost, notes."""

from __future__ import annotations

from gpt_image_2_mcp import pricing
from gpt_image_2_mcp.capabilities import PARTIAL_TOKENS, find_model
from gpt_image_2_mcp.cutouts import Backdrop
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.models import Answer, Completed, Operation, Receipt, StoredImage


def completed(
    operation: Operation,
    receipt: Receipt,
    answer: Answer,
    images: tuple[StoredImage, ...],
    damage: list[ImageServerError],
    backdrop: Backdrop,
) -> Completed:
    """The conclusion of one operation; `damage` is of pictures that could not be saved."""
    first, options, count = images[0], operation.options, operation.options.n or 1
    size = str(first.size) if first.size else answer.applied.size
    made = {"size": size, "output_format": first.format}
    made |= {"background": backdrop.background} if backdrop.background else {}
    applied = answer.applied.model_copy(update=made)
    spent = pricing.cost(operation.model, answer.usage, receipt.route)
    if answer.usage is None and receipt.route == "responses":
        spent = _published_output_price(operation, applied.quality, images, answer.partials)
    notes = [
        receipt.note,
        answer.note,
        _partials_note(operation, answer),
        *(f"One picture was lost: {error}" for error in damage),
        *backdrop.notes,
    ]
    if first.size and options.size not in (None, "auto", size):
        notes.append(f"Size {options.size} was asked for and {size} was made.")
    if len(images) != count and not damage and not receipt.note:
        notes.append(f"{count} picture(s) were asked for and {len(images)} came.")
    said = tuple(dict.fromkeys(note for note in notes if note))
    return Completed(images, applied, answer.usage, spent, receipt.route, said, answer.svg_usage)


def _partials_note(operation: Operation, answer: Answer) -> str | None:
    asked = operation.options.partial_images
    if not (asked or answer.partials):
        return None
    return (
        f"{answer.partials} of {asked or 0} partial pictures came; each costs {PARTIAL_TOKENS} output tokens."
    )


def _published_output_price(
    operation: Operation, quality: str | None, images: tuple[StoredImage, ...], partials: int
) -> int | None:
    model = find_model(operation.model)
    if model is None or model.tokens.factors:
        return None
    sizes = (image.size for image in images)
    counts = [pricing.output_tokens(model, quality or "", size) if size else None for size in sizes]
    known = [count.expected for count in counts if count is not None]
    if len(known) != len(images):
        return None
    return int((sum(known) + PARTIAL_TOKENS * partials) * model.prices.image_out)
