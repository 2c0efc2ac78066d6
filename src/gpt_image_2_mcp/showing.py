"""How much of its pictures an answer shows: a word of settings and of calls alike."""

from __future__ import annotations

from typing import Literal

Inline = Literal["auto", "preview", "full", "none"]
"""How pictures stand in a result: whole if that fits and else small, small, whole, or not at all."""
