"""`palestra env new`: write a plugin package from the templates beside this file."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ...envs.registry import BUILTIN
from ..errors import BadRequest

HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40


@dataclass(frozen=True)
class Names:
    """The names in a plugin package, all made from one."""

    name: str

    @property
    def module(self) -> str:
        """The Python module; its prefix keeps it apart from any other package."""
        return "palestra_" + self.name.replace("-", "_")

    @property
    def cls(self) -> str:
        """The class."""
        return "".join(part.capitalize() for part in re.split("[_-]", self.name))


def check_name(name: str) -> Names:
    """The names for a new environment; BadRequest where `name` cannot be one."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} cannot name an environment: use small letters, digits and single - or _ between them, "
            f"at most {_LONGEST}"
        )
    if name in BUILTIN:
        raise BadRequest(f"{name!r} is a built-in environment: choose another name")
    names = Names(name)
    if keyword.iskeyword(names.cls) or names.cls in ("Environment", "Task", "Verdict", "Answer", "World", "Any"):
        raise BadRequest(
            f"{name!r} would make a class {names.cls}, a name that means something else: choose another name"
        )
    return names


def write_plugin(name: str, parent: Path) -> list[Path]:
    """Write the package `parent/name`; returns its files. BadRequest where it is there already or cannot be written."""
    names = check_name(name)
    folder = parent / name
    if folder.exists():
        raise BadRequest(f"{folder} is there already: choose another name, or another place with --dir")
    targets = {
        "pyproject.toml.tmpl": folder / "pyproject.toml",
        "environment.py.tmpl": folder / f"{names.module}.py",
        "test_environment.py.tmpl": folder / f"test_{names.module}.py",
        "README.md.tmpl": folder / "README.md",
    }
    texts = {target: _fill(template, names) for template, target in targets.items()}
    try:
        folder.mkdir(parents=True)
        for target, text in texts.items():
            target.write_text(text, "utf-8")
    except OSError as error:
        raise BadRequest(
            f"cannot write {folder} ({error.strerror or error}): choose another place with --dir"
        ) from error
    return list(texts)


def _fill(template: str, names: Names) -> str:
    text = (HERE / template).read_text("utf-8")
    return Template(text).substitute(name=names.name, module=names.module, cls=names.cls)
