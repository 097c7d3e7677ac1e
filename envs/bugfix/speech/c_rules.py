"""What a C or C++ change may not newly reach for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from .c import declared
from .guard import AT_LOAD, ENDS, ENVIRONMENT, FILES, INSPECTS, LOADS, NETWORK, REPLACES, STARTS, Rules, table, words
from .tree import Node, Tree

_MODULES = {
    **table(FILES, "unistd.h fcntl.h sys/stat.h sys/mman.h dirent.h fstream filesystem"),
    **table(STARTS, "sys/ptrace.h sys/wait.h signal.h spawn.h sys/prctl.h pthread.h csignal"),
    **table(LOADS, "dlfcn.h link.h elf.h sys/syscall.h syscall.h linux/seccomp.h"),
    **table(NETWORK, "sys/socket.h netdb.h netinet/in.h"),
    **table(
        INSPECTS,
        "execinfo.h ucontext.h setjmp.h csetjmp malloc.h gtest/gtest.h gmock/gmock.h catch2/catch.hpp cmocka.h "
        "check.h doctest.h",
    ),
}
_ENDS = (
    "exit _exit _Exit quick_exit abort terminate raise longjmp siglongjmp _longjmp thrd_exit pthread_exit "
    "at_quick_exit err errx verr verrx error error_at_line argp_help argp_parse argp_usage "
    "argp_error argp_state_help gsignal"
)
_STARTS = (
    "system popen fork vfork execl execlp execle execv execvp execve execvpe posix_spawn posix_spawnp kill killpg "
    "wordexp sigqueue process_vm_writev signal sigaction ptrace prctl waitpid pthread_create alarm setitimer "
    "tgkill setsid"
)
_FILES = (
    "fopen freopen fdopen open open64 openat creat write pwrite writev dup dup2 dup3 unlink "
    "tmpfile mkstemp mmap mprotect munmap ftruncate truncate symlink chmod opendir readlink fputs_unlocked "
    "ofstream ifstream fstream filesystem setvbuf stdout stderr sendfile memfd_create"
)
_NAMES = {
    **table(AT_LOAD, "atexit on_exit"),
    **table(ENVIRONMENT, "getenv secure_getenv setenv putenv unsetenv environ __environ clearenv"),
    **table(LOADS, "_Pragma __pragma dlopen dlsym dlmopen syscall dl_iterate_phdr dladdr"),
    **table(
        INSPECTS,
        "setjmp sigsetjmp _setjmp backtrace getcontext setcontext makecontext __builtin_return_address "
        "__builtin_frame_address program_invocation_name UnitTest _cmocka_run_group_tests srunner_run_all "
        "environ_ptr",
    ),
    **table(ENDS, "__builtin_trap __builtin_unreachable std::terminate set_terminate"),
    **dict.fromkeys(_ENDS.split(), ENDS),
    **dict.fromkeys(_STARTS.split(), STARTS),
    **dict.fromkeys(_FILES.split(), FILES),
}
PASTES = "makes names of parts"
# The library functions, keywords and macros that tests compare and end with.
_RELIED_ON = words(
    "strcmp strncmp memcmp strcasecmp strlen strstr printf fprintf puts putchar malloc calloc realloc free exit "
    "_exit abort assert NDEBUG main return if else while for do int void const static __assert_fail __assert raise "
    "fail fabs setjmp longjmp fflush fwrite vfprintf vsnprintf snprintf memcpy memset operator== TEST TEST_F "
    "TEST_CASE SECTION CHECK REQUIRE EXPECT_EQ EXPECT_TRUE EXPECT_FALSE ASSERT_EQ ASSERT_TRUE START_TEST END_TEST "
    "assert_true assert_false assert_int_equal assert_string_equal ck_assert ck_assert_int_eq ck_assert_str_eq "
    "CU_ASSERT _start _init _fini TEST_ASSERT TEST_ASSERT_EQUAL mu_assert __libc_start_main __wrap_exit __cxa_throw "
    "__cxa_atexit"
)
_TEST_MACRO = re.compile(r"(EXPECT|ASSERT|CHECK|REQUIRE|TEST|assert|ck_assert|CU_ASSERT|TEST_ASSERT)_?\w*")
_ATTRIBUTES = re.compile(
    r"\b_*(constructor|destructor|weak|alias|ifunc|section|cleanup|init_priority|weakref|naked|init_array|optimize|used)_*\b"
)
# Names that the compiler puts together from parts, and its own names of library functions.
_PASTED = re.compile(r"##|%:|\?\?[/=]|\w\\[ \t]*\r?\n\w")
_BUILTIN = re.compile(
    r"__builtin_(?!popcount|clz|ctz|ffs|parity|expect|bswap|add_overflow|sub_overflow|mul_overflow)\w+"
)
_PRAGMAS = re.compile(
    r"init_seg|init\b|fini\b|weak|redefine_extname|push_macro|pop_macro|GCC poison|startup|include_alias"
)


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Headers by their paths."""
    path = node.get("path") if node.kind == "preproc_include" else None
    if path is not None:
        yield tree.of(path).strip('<>" ')


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Functions run at load, headers from elsewhere, macros and functions in the place of those that tests rely on."""
    if node.kind == "translation_unit":
        for parts in _PASTED.finditer(tree.text):
            yield repr(parts[0]), PASTES
    elif node.kind == "identifier" and _BUILTIN.fullmatch(tree.of(node)):
        yield tree.of(node), INSPECTS
    elif node.kind == "preproc_include":
        path = node.get("path")
        text = tree.of(path).strip('<>" ') if path is not None else ""
        strange = "." in text and not text.endswith((".h", ".hpp", ".hh", ".hxx", ".inc", ".def"))
        if text.startswith(("/", "~")) or "../.." in text or strange:
            yield f"#include {text}", LOADS
    elif node.kind in ("preproc_def", "preproc_function_def", "preproc_undef") or node.kind == "preproc_call":
        yield from _macro(tree, node)
    elif node.kind in ("attribute_specifier", "attribute_declaration", "ms_declspec_modifier"):
        found = _ATTRIBUTES.search(tree.of(node))
        if found:
            yield f"attribute {found[1]}", AT_LOAD
    elif node.kind in ("function_definition", "declaration"):
        yield from _definition(tree, node)


def _macro(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    if node.kind == "preproc_call":
        text = tree.of(node)
        undefined = re.match(r"#\s*undef\s+(\w+)", text)
        if undefined and (undefined[1] in _RELIED_ON or _TEST_MACRO.fullmatch(undefined[1])):
            yield f"#undef {undefined[1]}", REPLACES
        if re.match(r"#\s*pragma", text) and _PRAGMAS.search(text):
            yield "#pragma", AT_LOAD
        return
    name, value = node.get("name"), node.get("value")
    text = tree.of(name) if name is not None else ""
    if text in _RELIED_ON or _TEST_MACRO.fullmatch(text):
        yield f"#define {text}", REPLACES
    words = re.findall(r"\w+", tree.of(value)) if value is not None else []
    for word in words:
        if word in _NAMES or _BUILTIN.fullmatch(word) or word in ("asm", "__asm__", "constructor", "__constructor__"):
            yield word, _NAMES.get(word, AT_LOAD)


def _definition(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    if node.kind == "function_definition":
        name = declared(node.get("declarator"))
        is_free = node.parent is not None and node.parent.kind != "field_declaration_list"
        if (
            name is not None
            and is_free
            and (tree.of(name) in _RELIED_ON or tree.of(name).startswith(("__wrap_", "__real_")))
        ):
            yield f"a function {tree.of(name)}", REPLACES
    elif node.parent is not None and node.parent.kind in ("translation_unit", "declaration_list"):
        declarator = node.get("declarator")
        value = declarator.get("value") if declarator is not None and declarator.kind == "init_declarator" else None
        if value is not None and any(part.kind in ("lambda_expression",) for part in value.walk()):
            yield "a global set by a function", AT_LOAD


C_RULES = Rules(
    modules=_MODULES,
    names=_NAMES,
    kinds={"gnu_asm_expression": INSPECTS, "asm_statement": INSPECTS, "ms_based_modifier": INSPECTS},
    imported=imported,
    also=also,
)
_CPP_MEMBERS = dict.fromkeys(("native_handle", "rdbuf"), FILES)
CPP_RULES = replace(
    C_RULES,
    members=_CPP_MEMBERS,
    modules={**_MODULES, "thread": STARTS, "iostream.h": FILES, "cstdio.h": FILES},
)
