"""The sandbox: an Images API that answers like the real one and calls no model."""

from typing import TYPE_CHECKING

from gpt_image_2_mcp.sandbox.faults import FAULT_MODES, Faults

if TYPE_CHECKING:
    from gpt_image_2_mcp.sandbox.app import create_app

__all__ = ["FAULT_MODES", "Faults", "create_app"]


def __getattr__(name: str) -> object:
    """Load the web application only when it is asked for: a command line needs the fault names alone."""
    if name == "create_app":
        from gpt_image_2_mcp.sandbox.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
