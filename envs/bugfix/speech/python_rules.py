"""What a Python change may not newly reach for."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .guard import (
    AT_LOAD,
    ENDS,
    ENVIRONMENT,
    FILES,
    INSPECTS,
    LOADS,
    NETWORK,
    REPLACES,
    STARTS,
    Rules,
    table,
    words,
)
from .tree import Node, Tree

# Modules of the standard library that neither lead out of the process nor into its insides.
_PLAIN = words(
    "__future__ abc array ast asyncio base64 binascii bisect calendar cmath collections colorsys contextlib "
    "contextvars copy csv dataclasses datetime decimal difflib enum errno fractions functools graphlib hashlib heapq "
    "hmac html ipaddress itertools json keyword locale logging math numbers operator pprint queue random re reprlib "
    "secrets statistics string stringprep struct textwrap threading time token typing unicodedata urllib uuid warnings "
    "weakref zlib zoneinfo"
)
_MODULES = {
    **dict.fromkeys(sys.stdlib_module_names - _PLAIN, LOADS),
    **table(ENVIRONMENT, "os posix nt sys site sysconfig platform"),
    **table(
        FILES,
        "io _io pathlib shutil tempfile glob fileinput mmap fcntl zipfile tarfile sqlite3 dbm shelve linecache "
        "gzip bz2 lzma selectors",
    ),
    **table(
        LOADS,
        "importlib imp runpy pkgutil zipimport code codeop marshal pickle _pickle cPickle ctypes _ctypes cffi "
        "timeit cProfile profile",
    ),
    **table(
        INSPECTS,
        "inspect gc builtins __main__ traceback trace pdb bdb dis types unittest pytest _pytest nose doctest "
        "tracemalloc faulthandler pluggy",
    ),
    **table(
        STARTS,
        "subprocess multiprocessing concurrent pty signal _posixsubprocess _thread _signal resource sched "
        "distutils setuptools",
    ),
    **table(NETWORK, "socket socketserver http urllib.request asyncio.subprocess ftplib"),
    **table(LOADS, "logging.config"),
    **table(AT_LOAD, "atexit"),
}
_NAMES = {
    **table(ENDS, "exit quit SystemExit KeyboardInterrupt BaseException GeneratorExit"),
    **table(LOADS, "eval exec compile __import__ __loader__ __spec__"),
    **table(FILES, "open input"),
    **table(INSPECTS, "globals locals vars breakpoint __builtins__ attrgetter methodcaller unittest pytest"),
    **table(ENVIRONMENT, "sys _sys os _os builtins posix"),
    **table(REPLACES, "setattr delattr"),
}
_MEMBERS = {
    **table(ENDS, "_exit abort _Exit"),
    **table(
        STARTS,
        "fork forkpty execv execve execl execvp posix_spawn popen Popen system spawnl spawnv killpg check_output "
        "check_call ProcessPoolExecutor create_subprocess_exec create_subprocess_shell",
    ),
    **table(ENVIRONMENT, "sys _sys os _os builtins environ putenv unsetenv setrecursionlimit"),
    **table(FILES, "write_text write_bytes read_text read_bytes unlink rmtree FileHandler"),
    **table(
        LOADS,
        "import_module exec_module load_module meta_path path_hooks addaudithook make_dataclass new_class "
        "get_type_hints get_annotations ForwardRef _evaluate dictConfig fileConfig",
    ),
    **table(
        INSPECTS,
        "attrgetter methodcaller Formatter get_field settrace setprofile _getframe _current_frames get_objects "
        "get_referrers currentframe excepthook unraisablehook f_back f_globals f_locals f_builtins tb_frame tb_next "
        "gi_frame cr_frame ag_frame __traceback__ with_traceback gi_code co_code",
    ),
}
_DUNDERS = {
    **table(
        INSPECTS,
        "__globals__ __builtins__ __subclasses__ __code__ __closure__ __bases__ __mro__ __base__ __self__ "
        "__wrapped__ __func__ __getattribute__ __traceback__ __context__ __dict__ __kwdefaults__ __defaults__ "
        "__init_subclass__ __setattr__ __delattr__",
    ),
    **table(LOADS, "__import__ __loader__ __spec__ __reduce__ __reduce_ex__ __path__"),
}
_DOTTED = {
    **table(
        FILES,
        "os.remove os.rename os.replace os.open os.write os.dup2 os.dup os.truncate os.fdopen os.chmod os.chdir "
        "os.link os.symlink os.mkfifo io.open",
    ),
    **table(STARTS, "os.kill os.getppid os.setsid signal.signal signal.alarm"),
    **table(ENDS, "sys.exit threading.main_thread"),
    **table(INSPECTS, "sys.modules sys.path sys.argv sys.stdout sys.stderr sys.flags"),
    **table(ENVIRONMENT, "os.getenv os.environ"),
}
_OVERRIDDEN = words("__getattribute__ __del__ __prepare__ pytest_configure load_tests")


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Modules that an import names; relative ones are the repository's own."""
    if node.kind == "import_statement":
        for name in node.all("name"):
            target = name.get("name") if name.kind == "aliased_import" else name
            if target is not None:
                yield tree.of(target)
    elif node.kind in ("import_from_statement", "future_import_statement"):
        module = node.get("module_name")
        if module is not None and module.kind == "dotted_name":
            yield tree.of(module)


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Names that are imported from a module, special methods that are reached by their names, `getattr` by a name that
    is computed, classes made of computed names, and attributes of modules and classes that are replaced.
    """
    if node.kind == "import_from_statement":
        yield from _imported_names(tree, node)
    elif node.kind == "attribute":
        yield from _attribute(tree, node)
    elif node.kind == "identifier" and tree.of(node) == "getattr" and not _is_called(node):
        yield "getattr as a value", INSPECTS
    elif node.kind == "keyword_pattern":
        text = tree.of(node.inner[0])
        if what := _DUNDERS.get(text) or _MEMBERS.get(text):
            yield f".{text}", what
    elif node.kind == "string_content":
        text = tree.of(node).strip()
        if text in _DUNDERS or text in ("_getframe", "modules", "_exit", "f_back", "f_globals"):
            yield repr(text), INSPECTS
    elif node.kind == "call":
        yield from _reflection(tree, node)
    elif node.kind == "function_definition":
        own = node.get("name")
        if own is not None and tree.of(own) in _OVERRIDDEN:
            yield tree.of(own), REPLACES
        if own is not None and tree.of(own).startswith("pytest_"):
            yield tree.of(own), REPLACES


def _imported_names(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    absolute = (module := node.get("module_name")) is not None and module.kind == "dotted_name"
    for name in node.all("name"):
        target = name.get("name") if name.kind == "aliased_import" else name
        text = tree.of(target) if target is not None else ""
        if what := _NAMES.get(text) or _MEMBERS.get(text) or (_MODULES.get(text) if absolute else None):
            yield text, what


def _attribute(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Special names, and modules that an imported module has imported."""
    name, holder = node.get("attribute"), node.get("object")
    text = tree.of(name) if name is not None else ""
    if text in _DUNDERS:
        yield text, _DUNDERS[text]
    elif text in _MODULES and holder is not None and tree.of(holder).partition(".")[0] in _imports(tree):
        yield f"{tree.of(holder)}.{text}", _MODULES[text]


def _imports(tree: Tree) -> set[str]:
    """Names that imports bind."""
    statements = [part for part in tree.root.walk() if part.kind in ("import_statement", "import_from_statement")]
    bound = [name.get("alias") or name for statement in statements for name in statement.all("name")]
    return {tree.of(name).partition(".")[0] for name in bound}


def _is_called(node: Node) -> bool:
    parent = node.parent
    return parent is not None and (
        (parent.kind == "call" and node.field == "function") or node.field == "attribute" or node.field == "name"
    )


def _reflection(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    function, arguments = node.get("function"), node.get("arguments")
    if function is None or arguments is None:
        return
    inner, text = arguments.inner, tree.of(function)
    if (text == "type" and (len(inner) > 1 or any("splat" in part.kind for part in inner))) or (
        len(inner) > 2
        and (text.startswith("type(") or text.endswith(("__class__", "type.__new__", "type.__call__")))
        and (inner[1].kind == "tuple" or "dict" in inner[2].kind or text.startswith("type(type(") or "type." in text)
    ):
        yield "a class made by a call", LOADS
    if len(inner) > 2 and inner[0].kind == "identifier" and tree.of(inner[0]) == "type":
        yield "type as a value", LOADS
    if text != "getattr":
        return
    if len(inner) > 1 and (inner[1].kind != "string" or "{" in tree.of(inner[1])):
        yield "getattr of a computed name", INSPECTS
    if any("splat" in part.kind for part in inner):
        yield "getattr of a computed name", INSPECTS
    if inner and tree.of(inner[0]).startswith("__"):
        yield f"getattr of {tree.of(inner[0])}", INSPECTS


RULES = Rules(modules=_MODULES, names=_NAMES, members=_MEMBERS, dotted=_DOTTED, imported=imported, also=also)
