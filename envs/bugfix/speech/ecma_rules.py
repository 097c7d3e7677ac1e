"""What a JavaScript or TypeScript change may not newly reach for."""

from __future__ import annotations

from collections.abc import Iterator

from .guard import ENDS, ENVIRONMENT, FILES, INSPECTS, LOADS, NETWORK, REPLACES, STARTS, Rules, table, words
from .tree import Node, Tree

_PLAIN_MODULES = {
    **table(FILES, "fs fs-extra graceful-fs glob rimraf tmp"),
    **table(STARTS, "child_process cluster worker_threads execa shelljs cross-spawn"),
    **table(LOADS, "module vm v8 repl wasi esm proxyquire rewire"),
    **table(
        INSPECTS,
        "inspector async_hooks diagnostics_channel perf_hooks trace_events mocha chai assert sinon jest vitest "
        "tap ava ts-node power-assert test",
    ),
    **table(ENVIRONMENT, "process os"),
    **table(NETWORK, "net http https http2 dgram tls"),
}
_MODULES = {**_PLAIN_MODULES, **{f"node:{name}": what for name, what in _PLAIN_MODULES.items()}}
_NAMES = {
    **table(ENVIRONMENT, "process Deno Bun"),
    **table(
        INSPECTS,
        "globalThis global __filename __dirname describe beforeEach afterEach mocha Mocha chai jest",
    ),
    **table(LOADS, "eval Function WebAssembly importScripts"),
}
_MEMBERS = {
    **table(ENDS, "exit reallyExit exitCode _exiting"),
    **table(STARTS, "kill dlopen _linkedBinding"),
    **table(LOADS, "mainModule _load _compile _extensions createRequire getBuiltinModule"),
    **table(INSPECTS, "__proto__ callee caller prepareStackTrace __defineGetter__"),
    **table(FILES, "writeFileSync appendFileSync readFileSync openSync unlinkSync"),
}
_DOTTED = {
    **table(
        INSPECTS,
        "require.cache require.main require.extensions require.resolve module.parent module.children module.paths "
        "module.require module.constructor",
    ),
    **table(REPLACES, "Reflect.construct Reflect.setPrototypeOf Object.setPrototypeOf"),
    **table(ENVIRONMENT, "process.env"),
    **table(ENDS, "process.on process.once process.abort process.emit"),
    **table(FILES, "process.stdout process.stderr process.argv"),
}
_BUILTINS = words(
    "Object Array String Number Boolean Function Symbol Promise Map Set WeakMap Date RegExp Error Math JSON Reflect "
    "console assert expect it describe test before after should setTimeout setImmediate clearTimeout process "
    "globalThis global require TypeError RangeError Buffer BigInt Intl"
)
_REDEFINES = frozenset({"Object.defineProperty", "Object.defineProperties", "Object.assign", "Reflect.defineProperty"})


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Modules that `import`, `export from`, `require` and `import()` name."""
    source = node.get("source") if node.kind in ("import_statement", "export_statement") else None
    if source is not None:
        yield tree.of(source).strip("'\"`")
    if node.kind == "import_require_clause":
        text = node.get("source") or node.of_kind("string")
        if text is not None:
            yield tree.of(text).strip("'\"`")
    if node.kind == "call_expression" and _loads(tree, node):
        arguments = node.get("arguments")
        if arguments is not None and arguments.inner and arguments.inner[0].kind == "string":
            yield tree.of(arguments.inner[0]).strip("'\"`")


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Modules of computed names, constructors called as functions, builtins that are given new members."""
    if node.kind == "call_expression":
        yield from _call(tree, node)
    elif node.kind in ("assignment_expression", "augmented_assignment_expression"):
        left = node.get("left")
        root = _root(left)
        if left is not None and root is not None and root.kind == "identifier" and tree.of(root) in _BUILTINS:
            if left is not root:
                yield f"{tree.of(left)} =", REPLACES
            elif tree.of(root) in ("it", "test", "expect", "assert", "describe", "require", "before", "after"):
                yield f"{tree.of(root)} =", REPLACES
    elif node.kind == "string_fragment" and tree.of(node) in ("process", "constructor", "__proto__", "globalThis"):
        up = node.parent.parent if node.parent is not None else None
        if up is not None and up.kind == "subscript_expression":
            yield f"[{tree.of(node)!r}]", INSPECTS
    elif "property_identifier" in node.kind and tree.of(node) == "constructor" and not _asks_for_class(node):
        yield ".constructor", LOADS
    elif node.kind == "subscript_expression" and (index := node.get("index")) is not None:
        if index.kind == "binary_expression" and all(part.kind == "string" for part in index.inner):
            yield "a member of a computed name", INSPECTS
    elif node.kind == "identifier" and tree.of(node) in _BUILTINS and _is_aliased(node):
        yield f"{tree.of(node)} by another name", REPLACES
    elif node.kind == "with_statement":
        yield "with", INSPECTS


def _asks_for_class(node: Node) -> bool:
    """Whether a `constructor` is a method, or is compared, made another of or asked for its name only."""
    member, up = node.parent, node.parent.parent if node.parent is not None else None
    if node.kind == "shorthand_property_identifier_pattern":
        return False
    if member is None or member.kind not in ("member_expression", "pair_pattern"):
        return True
    return up is not None and (
        up.kind in ("binary_expression", "new_expression") or (up.kind == "member_expression" and node.field != "key")
    )


def _is_aliased(node: Node) -> bool:
    parent = node.parent
    return parent is not None and (
        (parent.kind == "variable_declarator" and node.field == "value")
        or (parent.kind == "assignment_expression" and node.field == "right")
    )


def _call(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    function, arguments = node.get("function"), node.get("arguments")
    if function is None or arguments is None:
        return
    inner = arguments.inner
    if _loads(tree, node) and inner and inner[0].kind != "string":
        yield "a module of a computed name", LOADS
    text = "".join(tree.of(function).split()) if function.end - function.start < 60 else ""
    if text.endswith(".constructor.constructor") or (text.endswith(".constructor") and not text.startswith("this.")):
        yield ".constructor()", LOADS
    if text in _REDEFINES and inner:
        root = _root(inner[0])
        if root is not None and root.kind == "identifier" and tree.of(root) in _BUILTINS:
            yield f"{text} of {tree.of(inner[0])}", REPLACES
    if text in ("setTimeout", "setInterval") and inner and inner[0].kind in ("string", "template_string"):
        yield f"{text} of a text", LOADS


def _loads(tree: Tree, node: Node) -> bool:
    function = node.get("function")
    return function is not None and (function.kind == "import" or tree.of(function) in ("require", "module.require"))


def _root(node: Node | None) -> Node | None:
    while node is not None and node.kind in ("member_expression", "subscript_expression", "parenthesized_expression"):
        node = node.get("object") or node.children[0]
    return node


RULES = Rules(_MODULES, _NAMES, _MEMBERS, _DOTTED, imported=imported, also=also)
