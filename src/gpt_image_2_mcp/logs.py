"""Logging to stderr, redacted; stdout belongs to JSON-RPC."""

from __future__ import annotations

import logging
import sys

from gpt_image_2_mcp.redaction import redact


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logging(*, debug: bool) -> None:
    """Our lines at INFO (DEBUG if asked), everybody else's at WARNING: libraries log bodies, with prompts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gpt_image_2_mcp").setLevel(logging.DEBUG if debug else logging.INFO)
