"""What a Go change may not newly reach for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .guard import AT_LOAD, ENDS, FILES, INSPECTS, LOADS, NETWORK, REPLACES, STARTS, Rules, table
from .tree import Node, Tree

_MODULES = {
    **table(FILES, "os io/ioutil path/filepath io/fs embed log/syslog"),
    **table(STARTS, "os/exec os/signal syscall golang.org/x/sys"),
    **table(LOADS, "unsafe plugin C reflect debug/elf go/build internal"),
    **table(INSPECTS, "runtime runtime/debug runtime/pprof runtime/trace testing expvar flag"),
    **table(NETWORK, "net net/http net/rpc"),
    **table(ENDS, "log"),
}
_DOTTED = {
    **table(ENDS, "os.Exit log.Fatal log.Fatalf log.Fatalln runtime.Goexit syscall.Exit"),
    **table(
        INSPECTS,
        "os.Args os.Getenv os.Setenv os.Environ os.LookupEnv os.Unsetenv os.Clearenv runtime.Callers "
        "runtime.Caller runtime.Stack debug.SetMaxStack debug.SetPanicOnFault runtime.SetFinalizer runtime.GC "
        "flag.Set flag.CommandLine flag.Lookup",
    ),
    **table(
        FILES,
        "os.Create os.OpenFile os.WriteFile os.Open os.ReadFile os.Remove os.Rename os.RemoveAll os.NewFile "
        "os.Pipe os.Chdir os.Symlink os.Truncate os.Stdout os.Stderr os.Stdin",
    ),
    **table(STARTS, "os.StartProcess os.FindProcess syscall.Kill syscall.Exec exec.Command"),
    **table(LOADS, "unsafe.Pointer reflect.NewAt reflect.MakeFunc plugin.Open"),
}
_MEMBERS = {
    **table(ENDS, "FailNow SkipNow Goexit MainStart"),
    **table(INSPECTS, "UnsafeAddr UnsafePointer NewAt"),
}
_DIRECTIVE = re.compile(r"//(go:(linkname|cgo_\w+|embed|generate|nosplit|build|norace|wasmimport)|\s*\+build|export )")


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Packages by their paths."""
    path = node.get("path") if node.kind == "import_spec" else None
    if path is not None:
        yield tree.of(path).strip('"`')


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Functions run at load, variables set by functions at load, members of renamed packages, dot imports."""
    if node.kind == "function_declaration":
        name = node.get("name")
        text = tree.of(name) if name is not None else ""
        if text in ("init", "TestMain") or (text == "main" and node.parent is tree.root and not _is_main(tree)):
            yield f"func {text}", AT_LOAD
        if node.get("body") is None:
            yield "a function without a body", LOADS
    elif node.kind == "var_spec" and node.parent is not None and _is_global(node) and _runs(node):
        yield "a variable set by a function", AT_LOAD
    elif node.kind == "import_spec":
        name, path = node.get("name"), node.get("path")
        text = tree.of(path).strip('"`') if path is not None else ""
        if name is not None and name.kind == "dot" and text in _MODULES:
            yield f"import . {text}", _MODULES[text]
        if name is not None and name.kind in ("package_identifier", "blank_identifier") and text in _MODULES:
            yield f"import {tree.of(name)} {text}", _MODULES[text]
    elif node.kind == "source_file":
        for child in node.walk(frozenset({"block"})):
            found = _DIRECTIVE.match(tree.of(child)) if child.kind == "comment" else None
            if found:
                yield found[0].strip(), LOADS if "build" not in found[0] else REPLACES


def _is_main(tree: Tree) -> bool:
    return any(child.kind == "package_clause" and tree.of(child).endswith("main") for child in tree.root.children)


def _is_global(node: Node) -> bool:
    return node.above(frozenset({"source_file"}), frozenset({"block"})) is not None


def _runs(node: Node) -> bool:
    """Whether a value calls a function literal where it stands."""
    return any(
        part.kind == "call_expression"
        and (callee := part.get("function")) is not None
        and callee.kind == "func_literal"
        for part in node.walk()
    )


RULES = Rules(_MODULES, {}, _MEMBERS, _DOTTED, imported=imported, also=also)
