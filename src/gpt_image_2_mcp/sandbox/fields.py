"""Typed reading of a request's parameters, whether they came as JSON or as form fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.sandbox import errors

_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\]")


def kind_of(value: object) -> str:
    """A value's type in OpenAI's wording."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


@dataclass(frozen=True)
class Fields:
    """Named values; with `form` every value is text and numbers and truth values are read out of it.

    A JSON null counts as an absent parameter. `prefix` is put before a name in error messages.
    """

    values: Mapping[str, object]
    form: bool = False
    prefix: str = ""

    def value(self, name: str) -> object:
        return self.values.get(name)

    def has(self, name: str) -> bool:
        return self.value(name) is not None

    def path(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def allow(self, names: frozenset[str]) -> None:
        """Raise unknown_parameter for the first name outside `names`."""
        for name in self.values:
            if name not in names:
                raise errors.unknown_parameter(self.path(name))

    def text(self, name: str) -> str | None:
        found = self.value(name)
        if found is None or isinstance(found, str):
            return found
        raise errors.invalid_type(self.path(name), "a string", kind_of(found))

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        found = self.text(name)
        if found is None:
            return default
        if found not in choices:
            raise errors.invalid_choice(self.path(name), found, choices)
        return found

    def integer(self, name: str, low: int, high: int) -> int | None:
        found = self.value(name)
        if found is None:
            return None
        if self.form and isinstance(found, str):
            found = _whole_number(found)
        if isinstance(found, bool) or not isinstance(found, int):
            raise errors.invalid_type(self.path(name), "an integer", kind_of(found))
        if not low <= found <= high:
            raise errors.out_of_range(self.path(name), found, low, high)
        return found

    def boolean(self, name: str) -> bool:
        found = self.value(name)
        if found is None:
            return False
        if self.form and found in ("true", "false"):
            return found == "true"
        if not isinstance(found, bool):
            raise errors.invalid_type(self.path(name), "a boolean", kind_of(found))
        return found

    def mapping(self, name: str) -> "Fields | None":
        """The object under `name`, itself readable; in forms it is spelt `name[member]`."""
        found = self.value(name)
        if self.form and found is None:
            found = _nested(self.values, name)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise errors.invalid_type(self.path(name), "an object", kind_of(found))
        return Fields(found, self.form, f"{self.path(name)}.")


def _whole_number(text: str) -> int | str:
    digits = text.removeprefix("-")
    # A bound on the length keeps a hostile field from costing a long conversion.
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text


def _nested(values: Mapping[str, object], name: str) -> dict[str, object] | None:
    """The object spelt `name[member]`, `name[member][deeper]` and so on."""
    found: dict[str, object] = {}
    for key, value in values.items():
        if key.startswith(f"{name}["):
            *path, last = _BRACKETED.findall(key) or [""]
            place = found
            for member in path:
                inner = place.setdefault(member, {})
                if not isinstance(inner, dict):
                    raise errors.invalid_type(f"{name}.{member}", "an object", kind_of(inner))
                place = inner
            place[last] = value
    return found or None
