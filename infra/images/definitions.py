"""Image definitions: one small TOML file per image, and the content address made from it."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
# Part of every address: raise it when build.py makes something else from the same definition.
RECIPE = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


class ImageError(Exception):
    """Root of what `infra.images` raises."""


class UnknownImage(ImageError, ValueError):
    """No definition has this name."""


class BadDefinition(ImageError, ValueError):
    """A definition file says something that cannot be built."""


class BuildFailed(ImageError):
    """The build did not succeed; the message has the tool's last words."""


@dataclass(frozen=True, slots=True)
class ImageDefinition:
    """What an image holds: Debian packages of one suite on top of the essential ones."""

    name: str
    description: str
    suite: str
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of the SHA-256 of what decides the content (not of the description)."""
        content = {**asdict(self), "packages": sorted(self.packages), "description": "", "recipe": RECIPE}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def tag(self) -> str:
        """`name:digest`."""
        return f"{self.name}:{self.digest}"

    @property
    def reference(self) -> str:
        """The engine's name for it."""
        return f"palestra/{self.tag}"


def names() -> tuple[str, ...]:
    """The images that can be built."""
    return tuple(sorted(file.stem for file in HERE.glob("*.toml")))


def load(name: str) -> ImageDefinition:
    """The definition of an image. Raises UnknownImage, BadDefinition."""
    if name not in names():
        raise UnknownImage(f"unknown image {name!r}: choose one of {', '.join(names())}")
    return parse(name, (HERE / f"{name}.toml").read_text())


def parse(name: str, text: str) -> ImageDefinition:
    """A definition from its TOML text. Raises BadDefinition."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadDefinition(f"image {name!r}: {error}") from error
    unknown = set(table) - {"description", "suite", "packages"}
    if unknown:
        raise BadDefinition(
            f"image {name!r}: unknown key {sorted(unknown)[0]!r}; known are description, suite, packages"
        )
    suite, packages = table.get("suite"), table.get("packages", [])
    if not isinstance(packages, list):
        raise BadDefinition(f"image {name!r}: packages must be a list of Debian package names")
    for value in (suite, *packages):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise BadDefinition(f"image {name!r}: {value!r} is not a Debian suite or package name")
    return ImageDefinition(name, str(table.get("description", "")), str(suite), tuple(packages))
