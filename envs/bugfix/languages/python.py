"""Python repositories: packages at the root, unittest files in `tests/`."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..types import Files, Function, Mutation
from .python_guard import refusal
from .python_mutations import functions_of, mutations

_RUNNER = Path(__file__).with_name("python_runner.py")
# No dots in folders: a file can then never stand where a folder must be.
_SOURCE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*/)+[A-Za-z_][A-Za-z0-9_]*\.py")
_TEST_FOLDERS = ("tests", "hidden")


class Python:
    """See `Language` for what each method promises."""

    name = "python"
    image = "python"

    def mutations(self, text: str) -> Sequence[Mutation]:
        return mutations(text)

    def same_program(self, before: str, after: str) -> bool | None:
        try:
            changed = ast.parse(after)
        except (SyntaxError, ValueError):
            return None
        return ast.dump(ast.parse(before)) == ast.dump(changed)

    def functions(self, path: str, text: str) -> Sequence[Function]:
        found = []
        for name, node in functions_of(ast.parse(text)):
            public = not any(part.startswith("_") for part in name.split("."))
            doc = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            found.append(Function(path, name, doc, public, frozenset(_calls(node))))
        return found

    def emptied(self, text: str, function: str) -> str:
        nodes = dict(functions_of(ast.parse(text)))
        lines = text.splitlines(keepends=True)
        node = nodes[function]
        first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
        indent = " " * first.col_offset
        return "".join([*lines[: first.lineno - 1], f"{indent}return None\n", *lines[node.end_lineno :]])

    def is_source(self, path: str, files: Files) -> bool:
        return bool(_SOURCE.fullmatch(path)) and len(path) <= 100 and path.split("/")[0] in _packages(files)

    def refusal(self, before: str, after: str, files: Files) -> str:
        return refusal(before, after, _packages(files))

    def tests(self, files: Files) -> Sequence[str]:
        found = []
        for path, text in sorted(files.items()):
            if _is_test(path):
                found += [f"{path.removesuffix('.py').replace('/', '.')}.{name}" for name in _methods(text)]
        return found

    def test_command(self, paths: Sequence[str]) -> Sequence[str]:
        return ["python3", "-I", "-S", "-B", "-c", _runner(), ".", *sorted(path for path in paths if _is_test(path))]

    def harvest_command(self, files: Files) -> str:
        folders = " ".join(f"./{name}" for name in sorted(_packages(files)))
        return (
            f"find {folders} -type f -name '*.py' -size -65k -print0 | head -z -n 100 | sort -z | "
            "tar --create --null --files-from=- --file=-"
        )


@lru_cache(maxsize=1)
def _runner() -> str:
    return _RUNNER.read_text()


def _packages(files: Files) -> set[str]:
    """Top folders of the repository's own code."""
    return {path.split("/")[0] for path in files if "/" in path and path.split("/")[0] not in _TEST_FOLDERS}


def _is_test(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder in _TEST_FOLDERS and name.startswith("test_") and name.endswith(".py")


def _methods(text: str) -> list[str]:
    return [name for name, _ in functions_of(ast.parse(text)) if "." in name and name.split(".")[1].startswith("test")]


def _calls(node: ast.FunctionDef) -> set[str]:
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            found.add(part.func.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
    return found
