"""What is known of eight languages: functions and their documentation, mutations and their places, sameness of
programs, emptied functions, tests and configuration by name. Real compilers judge in test_speech_compilers.py."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.envs.bugfix.speech.languages import SPEECHES
from palestra.envs.bugfix.types import applied

_PYTHON = '''
import os


class Böse:
    """A class."""

    def __init__(self, größe=3, *, fest=True):
        self.größe = größe
        self.fest = fest
        self.liste = []

    def füge(self, wert, zahl):
        """Adds a « wert ». More of it."""
        if wert is not None and zahl >= self.größe:  # größe < 3
            self.liste.append(f"ä {wert + 1}")
            self.größe += zahl // 2
        for i in range(len(self.liste) - 1):
            if not self._frei(i):
                continue
            zahl = min(zahl, self.liste[i])
        return zahl

    def _frei(self, i):
        return self.liste[i:] == [] or i == 0
'''
_JAVASCRIPT = """
'use strict';
/**
 * Adds "größe" to a list. Gives its length.
 * @param list where
 */
function füge(list, größe = 3) {
  if (list === null || größe <= 0) { return -1; } // größe < 3
  for (let i = 0; i < list.length; i++) {
    if (!list[i]) continue;
    größe += list[i] * 2;
    log(`ä ${größe + 1}`);
  }
  list.push(größe);
  größe -= 1;
  return list.length - 1;
}
class Böse extends Gut {
  constructor(a, b) { super(a); this.a = a; this.b = b; }
  /** Sums up. */
  get summe() { return this.a + this.b; }
  #geheim() { return this.a > 1 && this.b > 2; }
}
exports.füge = füge;
exports.twice = (x) => x * 2;
"""
_TYPESCRIPT = """
import type { A } from './ä';
interface Größe { weite: number }
/** Picks « the » first. Or nothing. */
export function pick<T>(list: T[], from: number = 0): T | undefined {
  if (list.length === 0 || from >= list.length) { return undefined; } // größe < 3
  return list[from + 1] ?? list[0];
}
export class Böse {
  constructor(private a: number, public b: number) { this.a = a + 1; }
  /** Sums up. */
  summe(c: number): number { let d: number = this.a + c; d += this.b; this.a = d; return d; }
  private geheim(): boolean { return !this.b && this.a > 1; }
}
"""
_JAVA = """
package ä;
/** Class. */
public class Böse {
    private int größe = 3, weite = 4;
    /** Adds « größe ». More of it. */
    public int füge(int[] list, int zahl) {
        if (list == null || zahl >= größe) { return -1; } // größe < 3
        for (int i = 0; i < list.length; i++) {
            if (list[i] < 0) continue;
            zahl += list[i] * 2;
        }
        this.größe = zahl;
        this.weite -= 1;
        return Math.min(zahl, weite);
    }
    boolean frei() { return !("ä" + größe).isEmpty(); }
}
"""
_C = """
#include <string.h>
struct s { int a; int b; };
/* Adds "größe". More of it. */
int fuege(struct s *x, const int *list, int n) {
    int i, sum = 0;
    if (x == NULL || n <= 0) { return -1; } // größe < 3
    for (i = 0; i < n; i++) {
        if (!list[i]) continue;
        sum += list[i] * 2;
    }
    x->a = sum; /* ä */
    x->b++;
    return x->a + strlen("ä");
}
static void leer(struct s *x) { memset(x, 0, sizeof *x); x->a = 1; }
"""
_CPP = """
#include <vector>
/// Class.
class Boese {
public:
    /// Adds « größe ». More of it.
    int fuege(const std::vector<int>& list, int n = 2) const {
        int sum = 0;
        for (std::size_t i = 0; i < list.size(); i++) { if (!list[i]) continue; sum += list[i] * n; } // größe < 3
        return sum - größe_;
    }
    void setze(int a);
private:
    int größe_ = 3, weite_ = 4;
};
void Boese::setze(int a) { if (a >= 0 && a != größe_) { this->größe_ = a; weite_ -= 1; } }
"""
_GO = """
package ä

type Böse struct{ Größe, Weite int }

// Füge adds « größe ». More of it.
func (b *Böse) Füge(list []int, zahl int) int {
	if list == nil || zahl >= b.Größe { // größe < 3
		return -1
	}
	for i := 0; i < len(list)-1; i++ {
		if list[i] < 0 {
			continue
		}
		zahl += list[i] * 2
	}
	b.Größe = zahl
	b.Weite--
	return zahl
}

func frei(s string) bool { return !(s == "ä") && len(s) > 1 }
"""
_PHP = """<?php
namespace Ä;
class Böse {
    private $größe = 3;
    private $weite = 4;
    /** Adds « größe ». More of it. */
    public function füge(?array $list, int $zahl = 2): int {
        if ($list === null || $zahl >= $this->größe) { return -1; } // größe < 3
        for ($i = 0; $i < count($list); $i++) {
            if (!$list[$i]) { continue; }
            $zahl += $list[$i] * 2;
            $text = "ä $zahl";
        }
        $this->größe = $zahl;
        $this->weite -= 1;
        return min($zahl, $this->weite);
    }
    private function frei(): bool { return $this->größe > 1 && !$this->weite; }
}
"""
SOURCES = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "java": _JAVA,
    "c": _C,
    "cpp": _CPP,
    "go": _GO,
    "php": _PHP,
}
# name, first sentence, public
DOCUMENTED = {
    "python": ("Böse.füge", "Adds a « wert ».", True),
    "javascript": ("füge", 'Adds "größe" to a list.', True),
    "typescript": ("pick", "Picks « the » first.", True),
    "java": ("Böse.füge", "Adds « größe ».", True),
    "c": ("fuege", 'Adds "größe".', True),
    "cpp": ("Boese.fuege", "Adds « größe ».", True),
    "go": ("Böse.Füge", "Füge adds « größe ».", True),
    "php": ("Böse.füge", "Adds « größe ».", True),
}
PRIVATE = {"python": "Böse._frei", "java": "Böse.frei", "c": "leer", "go": "frei", "php": "Böse.frei"} | {
    "javascript": "Böse.#geheim",
    "typescript": "Böse.geheim",
}
CALLS = {"python": {"append", "min", "_frei"}, "javascript": {"push", "log"}, "java": {"min"}, "c": {"strlen"}} | {
    "php": {"count", "min"},
    "go": {"len"},
    "cpp": {"size"},
}
BRACED = [name for name in SOURCES if name != "python"]


@pytest.mark.parametrize("name", SOURCES)
def test_every_mutation_stands_where_it_says(name: str) -> None:
    speech, text = SPEECHES[name], SOURCES[name]
    found = speech.mutations(text)
    assert len(found) >= 25
    assert list(found) == sorted(set(found))
    known = {function.name for function in speech.functions("f", text)}
    for mutation in found:
        assert text[mutation.start : mutation.end] == mutation.old
        assert mutation.line == text.count("\n", 0, mutation.start) + 1
        assert mutation.function in known
        assert speech.same_program(text, applied(text, [mutation])) is False, mutation


@pytest.mark.parametrize("name", SOURCES)
def test_kinds_are_many_and_texts_and_comments_stay(name: str) -> None:
    text = SOURCES[name]
    found = SPEECHES[name].mutations(text)
    kinds = {mutation.kind for mutation in found}
    assert {"boundary", "comparison", "connective", "constant", "variable", "field", "arithmetic"} <= kinds
    assert kinds & {"update", "dropped", "null-check", "off-by-one"}
    quiet = [match.span() for match in re.finditer(r"(//|#|/\*\*?) größe < 3|\"ä[^\"]*\"|`ä[^`]*`", text)]
    assert quiet
    for mutation in found:
        inside = [span for span in quiet if span[0] <= mutation.start < span[1]]
        assert not inside, mutation


@pytest.mark.parametrize("name", SOURCES)
def test_functions_are_known_by_name_documentation_and_calls(name: str) -> None:
    functions = {function.name: function for function in SPEECHES[name].functions("src/f", SOURCES[name])}
    wanted, doc, public = DOCUMENTED[name]
    assert functions[wanted].doc == doc
    assert functions[wanted].public is public
    assert functions[wanted].path == "src/f"
    assert CALLS.get(name, set()) <= functions[wanted].calls
    if name in PRIVATE:
        assert functions[PRIVATE[name]].public is False


@pytest.mark.parametrize("name", SOURCES)
def test_layout_and_comments_are_no_change(name: str) -> None:
    speech, text = SPEECHES[name], SOURCES[name]
    mark = "#" if name == "python" else "//"
    head, _, rest = text.partition("\n")
    for other in (
        f"{head}\n{mark} new\n{rest}",
        text.replace("\n\n", "\n\n\n"),
        text.replace(" < 3", " < 4"),
        text + "\n",
    ):
        assert other != text or "\n\n" not in text
        assert speech.same_program(text, other) is True
    assert speech.same_program(text, text.replace("    ", "  ").replace("\t", "  ")) is True


@pytest.mark.parametrize("name", BRACED)
def test_a_source_reflowed_at_every_brace_is_the_same(name: str) -> None:
    text = re.sub(r"//.*", "", SOURCES[name])
    flowed = re.sub(r"\{\n\s*", "{ ", text) if name != "go" else re.sub(r"[ \t]+", " ", text)
    assert flowed != text
    assert SPEECHES[name].same_program(SOURCES[name], flowed) is True


def test_indentation_and_line_ends_that_mean_something_are_a_change() -> None:
    python, script, go = SPEECHES["python"], SPEECHES["javascript"], SPEECHES["go"]
    assert python.same_program("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n") is False
    assert script.same_program("function f() { return a; }", "function f() { return\na; }") is False
    assert script.same_program("a = b;\n", "a = b\n") is True
    assert script.same_program("let a = 'x y';", "let a = 'x  y';") is False
    assert go.same_program("package a\nvar x = 1\n", "package a\n\n\nvar x  =  1\n") is True


@pytest.mark.parametrize("name", SOURCES)
def test_a_new_syntax_error_is_told(name: str) -> None:
    text = SOURCES[name]
    assert SPEECHES[name].same_program(text, f"{text}\n) ) (( [") is None
    assert SPEECHES[name].same_program(f"{text}\n) ) (( [", f"{text}\n) ) (( [") is True


@pytest.mark.parametrize("name", SOURCES)
def test_an_emptied_function_has_lost_its_body_and_no_other(name: str) -> None:
    speech, text = SPEECHES[name], SOURCES[name]
    functions = speech.functions("f", text)
    assert len(functions) >= 2
    for function in functions:
        hollow = speech.emptied(text, function.name)
        assert speech.same_program(text, hollow) is False
        left = {item.name: item for item in speech.functions("f", hollow)}
        assert set(left) == {item.name for item in functions}
        assert not left[function.name].calls - {"super", "new"}
        assert all(left[item.name].calls == item.calls for item in functions if item.name != function.name)
    with pytest.raises(KeyError):
        speech.emptied(text, "no_such_function")


def test_a_go_package_that_only_one_body_uses_stays_in_use() -> None:
    text = 'package a\n\nimport "strings"\n\nfunc f(s string) (int, error) {\n\treturn strings.Count(s, "a"), nil\n}\n'
    hollow = SPEECHES["go"].emptied(text, "f")
    assert hollow.index("return *new(int), *new(error)") < hollow.index("strings.Count")


def test_python_mutants_compile_and_keep_the_rest() -> None:
    text = Path(textwrap.__file__).read_text()
    speech = SPEECHES["python"]
    for mutation in speech.mutations(text):
        ast.parse(applied(text, [mutation]))
    for function in speech.functions("f", text):
        ast.parse(speech.emptied(text, function.name))


def test_the_functions_of_the_standard_library_are_those_that_ast_finds() -> None:
    text = Path(inspect.__file__).read_text()
    wanted = set()
    for node in ast.parse(text).body:
        inner = [(f"{node.name}.", item) for item in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        wanted |= {f"{prefix}{item.name}" for prefix, item in inner if isinstance(item, ast.FunctionDef)}
    assert {function.name for function in SPEECHES["python"].functions("f", text)} >= wanted


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(SOURCES)), data=st.data())
def test_no_text_is_too_strange(name: str, data: st.DataObject) -> None:
    """Sources with a piece cut out, doubled or replaced by anything, lone surrogates among it."""
    text = SOURCES[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 80)))
    junk = data.draw(st.one_of(st.text(max_size=20), st.just(text[start:end] * 2), st.just("\udc80\ud800")))
    broken = text[:start] + junk + text[end:]
    speech = SPEECHES[name]
    for mutation in speech.mutations(broken):
        assert broken[mutation.start : mutation.end] == mutation.old
        applied(broken, [mutation])
    for function in speech.functions("f", broken):
        speech.emptied(broken, function.name)
    assert speech.same_program(text, broken) in (True, False, None)
    assert speech.same_program(broken, broken) is True
    assert isinstance(speech.refusal(text, broken), str)


@pytest.mark.parametrize("name", SOURCES)
def test_deep_nesting_does_not_exhaust_the_stack(name: str) -> None:
    text = SOURCES[name] + "x = " + "(" * 3000 + "1" + ")" * 3000 + ";\n"
    speech = SPEECHES[name]
    speech.mutations(text)
    speech.functions("f", text)
    assert speech.same_program(text, text) is True
    assert isinstance(speech.refusal("", text), str)


TESTS = {
    "python": ["tests/test_a.py", "pkg/test_b.py", "pkg/a_test.py", "conftest.py", "tox.ini", "setup.cfg"],
    "java": ["src/test/java/a/B.java", "src/main/java/BTest.java", "pom.xml", "build.gradle"],
    "javascript": ["test/a.js", "lib/a.test.js", "lib/a.spec.mjs", "package.json", ".mocharc.yml", "node_modules/i.js"],
    "typescript": ["src/a.spec.ts", "tsconfig.json", "__tests__/a.ts", "jest.config.ts"],
    "c": ["tests/a.c", "test_a.c", "CMakeLists.txt", "Makefile", "a_test.c", "meson.build"],
    "cpp": ["test/a.cpp", "a_test.cc", "CMakeLists.txt", "cmake/Find.cmake"],
    "go": ["a_test.go", "go.mod", "vendor/a/b.go", "testdata/x.go"],
    "php": ["tests/ATest.php", "src/ATest.php", "phpunit.xml.dist", "composer.json", "vendor/a/b.php"],
}  # fmt: skip
SOURCE_PATHS = {
    "python": ["pkg/a.py", "src/pkg/latest.py", "contest.py", "pkg/attest/x.py"],
    "java": ["src/main/java/a/B.java", "Contest.java", "Latest.java"],
    "javascript": ["lib/a.js", "index.js", "src/latest.js", "src/request.mjs"],
    "typescript": ["src/a.ts", "src/manifest.ts"],
    "c": ["src/a.c", "a.h", "latest.c", "checksum.c"],
    "cpp": ["src/a.cpp", "include/a.hpp"],
    "go": ["a.go", "internal/latest.go"],
    "php": ["src/A.php", "src/Contest.php", "index.php"],
}


@pytest.mark.parametrize("name", TESTS)
def test_tests_and_configuration_are_known_by_their_paths(name: str) -> None:
    speech = SPEECHES[name]
    assert [path for path in TESTS[name] if not speech.is_test(path)] == []
    assert [path for path in SOURCE_PATHS[name] if speech.is_test(path)] == []
