"""The rules of the house, checked: imports run down the floors, between our own modules they are relative, files stay
readable.

Run as a script (`python tests/house/floors.py [ROOT]`): prints each breach as `file:line: what` and exits 1 if there
is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

BELOW = {
    "services": {"policy", "synth", "rollout", "envs", "verifiers", "infra", "kernels"},
    "policy": {"rollout", "envs", "verifiers", "infra", "kernels"},
    "synth": {"rollout", "envs", "verifiers", "infra"},
    "rollout": {"envs", "verifiers", "infra"},
    "envs": {"verifiers", "infra"},
    "verifiers": {"infra"},
    "infra": set(),
    "kernels": set(),
}
"""What each folder may import besides itself."""
MAX_LINES = 600
MAX_FUNCTION_LINES = 70
BARE = ("kernels", "verifiers")
"""Folders that must have no `__init__.py`: PyPI packages of those names have to win over a bare folder on the path."""


def breaches(root: Path) -> Iterator[str]:
    """Every breach of the rules below `root`, a line each."""
    for folder in BELOW:
        link = root / "src" / "palestra" / folder
        if link.resolve() != (root / folder).resolve():
            yield f"{link}: must be a link to ../../{folder}"
        for path in sorted((root / folder).rglob("*.py")):
            yield from _file_breaches(root, folder, path)
    for folder in BARE:
        if (root / folder / "__init__.py").exists():
            yield f"{folder}/__init__.py: must not exist"


def _file_breaches(root: Path, folder: str, path: Path) -> Iterator[str]:
    relative = path.relative_to(root)
    text = path.read_text()
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield f"{relative}:1: {lines} lines; split it (at most {MAX_LINES})"
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno
            if length > MAX_FUNCTION_LINES:
                yield f"{relative}:{node.lineno}: {node.name} has {length} lines (at most {MAX_FUNCTION_LINES})"
        for target in _targets(node, relative):
            if target.startswith("="):
                yield f"{relative}:{node.lineno}: absolute import of {target[1:]}; use a relative one"  # type: ignore[attr-defined]
            elif target != folder and target in BELOW and target not in BELOW[folder]:
                yield f"{relative}:{node.lineno}: {folder} may not import {target}: imports run down the floors"  # type: ignore[attr-defined]


def _targets(node: ast.AST, relative: Path) -> Iterator[str]:
    """The top folders a node imports; absolute imports of ours are marked with `=`."""
    if isinstance(node, ast.Import):
        yield from (f"={alias.name}" for alias in node.names if alias.name.split(".")[0] == "palestra")
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0 and (node.module or "").split(".")[0] == "palestra":
            yield f"={node.module}"
        elif node.level > 0:
            package = list(relative.parts[:-1])
            base = package[: len(package) - (node.level - 1)]
            names = node.module.split(".") if node.module else [alias.name for alias in node.names]
            yield base[0] if base else names[0]


def main(root: Path) -> int:
    """Print the breaches; 1 if there are any."""
    found = list(breaches(root))
    for line in found:
        print(line)
    print(f"floors: {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]))
