"""What a changed Python source may not reach for, because it runs in one process with the tests that judge it."""

from __future__ import annotations

import ast
from collections.abc import Iterable

_MODULES = frozenset(
    [
        "__future__",
        "bisect",
        "collections",
        "copy",
        "decimal",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "math",
        "re",
        "string",
    ]
)
_NAMES = frozenset(
    [
        "eval",
        "exec",
        "compile",
        "open",
        "input",
        "breakpoint",
        "globals",
        "locals",
        "vars",
        "getattr",
        "setattr",
        "delattr",
        "attrgetter",
        "methodcaller",
        "sys",
        "os",
        "_sys",
        "_os",
        "builtins",
        "inspect",
        "gc",
        "types",
        "unittest",
    ]
)
_DUNDERS = frozenset(
    [
        "__init__",
        "__class__",
        "__name__",
        "__doc__",
        "__len__",
        "__eq__",
        "__ne__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
        "__hash__",
        "__repr__",
        "__str__",
        "__contains__",
        "__iter__",
        "__next__",
        "__getitem__",
        "__setitem__",
        "__add__",
        "__sub__",
        "__mul__",
        "__bool__",
        "__all__",
    ]
)


def refusal(before: str, after: str, packages: Iterable[str]) -> str:
    """The first thing in `after`, but not in `before`, that could reach the test runner; "" when there is none.

    A text that is not Python is not refused: its tests will fail.
    """
    try:
        tree = ast.parse(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    known = {name for name, _ in _reached(ast.parse(before), frozenset())} if before else set()
    for name, what in _reached(tree, _MODULES | frozenset(packages)):
        if name not in known:
            return f"line {what} uses {name!r}, which repository code may not use"
    return ""


def _reached(tree: ast.Module, modules: frozenset[str]) -> Iterable[tuple[str, int]]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for name in _modules(node):
            if name not in modules:
                yield name, line
        for name in _identifiers(node):
            dunder = name.startswith("__") and name.endswith("__") and name not in _DUNDERS
            if name in _NAMES or dunder:
                yield name, line


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [(node.module or "").partition(".")[0]]
    return []


def _identifiers(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.alias):
        return node.name.split(".")
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [word for word in (node.value.strip(),) if word.startswith("__")]
    return []
