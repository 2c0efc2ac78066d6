"""A key as a value that does not show itself."""

from __future__ import annotations


class Secret:
    """A key that prints as stars; `reveal()` is called to sign requests and to strike it out of texts."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"
