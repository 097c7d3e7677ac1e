"""What a PHP change may not newly reach for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .guard import AT_LOAD, ENDS, ENVIRONMENT, FILES, INSPECTS, LOADS, NETWORK, REPLACES, STARTS, Rules, table
from .tree import Node, Tree

_MODULES = {
    **table(INSPECTS, "PHPUnit Composer Mockery Prophecy SebastianBergmann"),
    **table(LOADS, "FFI"),
}
_CALLS = {
    **table(ENDS, "register_shutdown_function pcntl_exec posix_kill pcntl_signal pcntl_alarm"),
    **table(STARTS, "exec system passthru shell_exec proc_open popen pcntl_fork mail"),
    **table(
        LOADS,
        "eval create_function assert_options dl str_rot13 base64_decode hex2bin "
        "convert_uudecode gzinflate gzuncompress spl_autoload_register unserialize",
    ),
    **table(ENVIRONMENT, "ini_set ini_alter ini_restore putenv getenv set_include_path chdir set_time_limit"),
    **table(
        FILES,
        "fopen fwrite fputs file_put_contents file_get_contents file unlink rename copy tempnam tmpfile touch "
        "chmod symlink link opendir scandir glob readfile rmdir mkdir stream_wrapper_register "
        "stream_filter_register ftruncate",
    ),
    **table(
        REPLACES,
        "ob_start ob_end_clean ob_get_clean ob_clean output_add_rewrite_var set_error_handler "
        "set_exception_handler error_reporting restore_error_handler runkit_function_redefine uopz_set_return "
        "override_function class_alias",
    ),
    **table(
        INSPECTS,
        "debug_backtrace debug_print_backtrace get_defined_vars get_declared_classes get_defined_functions "
        "get_included_files extract parse_str func_overload",
    ),
    **table(NETWORK, "fsockopen socket_create curl_exec curl_init stream_socket_client"),
    **table(AT_LOAD, "declare_ticks register_tick_function header_register_callback"),
}
_CLASSES = {
    **table(
        INSPECTS,
        "ReflectionClass ReflectionMethod ReflectionProperty ReflectionFunction ReflectionObject "
        "ReflectionNamedType Reflection ReflectionExtension TestCase Assert TestResult WeakMap",
    ),
    **table(FILES, "SplFileObject SplFileInfo DirectoryIterator SplTempFileObject ZipArchive"),
    **table(LOADS, "Closure FFI"),
}
_GLOBALS = {
    **table(INSPECTS, "$GLOBALS"),
    **table(ENVIRONMENT, "$_SERVER $_ENV $argv $argc"),
}
_KINDS = {
    **table(LOADS, "include_expression include_once_expression require_expression require_once_expression"),
    **table(ENDS, "exit_statement"),
    **table(STARTS, "shell_command_expression"),
    **table(AT_LOAD, "declare_statement_ticks"),
    **table(INSPECTS, "dynamic_variable_name"),
}
_HIGHER = frozenset(
    {"call_user_func", "call_user_func_array", "array_map", "usort", "array_walk", "array_filter", "is_callable"}
)
_TEXTS = frozenset({"string", "encapsed_string", "binary_expression", "heredoc", "nowdoc", "function_call_expression"})
_RELIED_ON = frozenset({"TestCase", "Assert", "Constraint", "TestResult"})


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Names with their namespaces, in `use` and elsewhere."""
    if node.kind in ("qualified_name", "namespace_name"):
        yield tree.of(node).lstrip("\\")


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Functions by name, also as texts that are called; classes; superglobals; calls of computed functions."""
    if node.kind == "function_call_expression":
        yield from _call(tree, node)
    elif node.kind == "variable_name" and tree.of(node) in _GLOBALS:
        yield tree.of(node), _GLOBALS[tree.of(node)]
    elif node.kind == "name" and node.parent is not None:
        text = tree.of(node)
        parent = node.parent.kind
        if parent == "expression_statement" and text.lower() == "die":
            yield "die", ENDS
        if parent in ("object_creation_expression", "scoped_call_expression", "class_constant_access_expression"):
            if node is node.parent.inner[0] and text in _CLASSES and text not in ("Closure", "Assert"):
                yield text, _CLASSES[text]
        elif parent in ("qualified_name", "base_clause") and text in _CLASSES and node is node.parent.inner[-1]:
            yield text, _CLASSES[text]
        elif parent == "class_declaration" and text in _RELIED_ON:
            yield f"a class {text}", REPLACES
    elif node.kind == "function_definition":
        name = node.get("name")
        if name is not None and (
            tree.of(name).lower() in _CALLS or tree.of(name) in ("assert", "count", "strcmp", "in_array")
        ):
            yield f"a function {tree.of(name)}", REPLACES
    elif (
        node.kind == "string_content"
        and tree.of(node).lower() in _CALLS
        and len(tree.of(node)) > 4
        and _is_callable(tree, node)
    ):
        yield repr(tree.of(node)), _CALLS[tree.of(node).lower()]
    elif node.kind == "binary_expression" and _joins_words(tree, node):
        yield "a name put together from parts", LOADS
    elif node.kind == "object_creation_expression" and node.inner and node.inner[0].kind == "variable_name":
        yield "new of a computed class", LOADS


def _call(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    function = node.get("function")
    if function is None:
        return
    text = tree.of(function).lstrip("\\").lower()
    if text == "die":
        yield "die", ENDS
    elif function.kind in ("name", "qualified_name") and text.rpartition("\\")[2] in _CALLS:
        name = text.rpartition("\\")[2]
        yield f"{name}()", _CALLS[name]
    elif text in _HIGHER and any(_is_computed(part) for part in node.inner[-1].inner):
        yield f"{text}() of a computed name", LOADS
    elif function.kind == "variable_name" and not _holds_function(tree, node, tree.of(function)):
        yield f"{tree.of(function)}(), a function of a computed name", LOADS
    elif function.kind in ("string", "encapsed_string", "binary_expression") or (
        function.kind == "parenthesized_expression" and any("string" in part.kind for part in function.walk())
    ):
        yield "a function of a computed name", LOADS


def _is_computed(argument: Node) -> bool:
    return bool(argument.inner) and argument.inner[-1].kind == "binary_expression"


def _joins_words(tree: Tree, node: Node) -> bool:
    """Whether two texts are joined that are parts of a name."""
    texts = [tree.of(part).strip("'\"") for part in node.inner if part.kind in ("string", "encapsed_string")]
    return len(texts) == 2 and all(re.fullmatch(r"[\w\\]+", text) for text in texts)


def _holds_function(tree: Tree, node: Node, variable: str) -> bool:
    """Whether a variable is a parameter here, or is given closures and what calls and members return, and no texts."""
    given = [part.get("right") for part in tree.root.walk() if _sets(tree, part, variable)]
    return all(value is not None and value.kind not in _TEXTS for value in given)


def _sets(tree: Tree, node: Node, variable: str) -> bool:
    left = node.get("left") if node.kind in ("assignment_expression", "augmented_assignment_expression") else None
    return left is not None and tree.of(left) == variable


def _is_callable(tree: Tree, node: Node) -> bool:
    """Whether a text may become a function: an argument, or the value of a variable."""
    outer = node.parent
    up = outer.parent if outer is not None else None
    return up is not None and up.kind in (
        "argument",
        "assignment_expression",
        "array_element_initializer",
        "return_statement",
    )


_MEMBERS = table(INSPECTS, "getTrace getTraceAsString")
RULES = Rules(_MODULES, {}, _MEMBERS, {}, _KINDS, imported=imported, also=also)
