"""A real project of every language is tested inside its image: one test passes, one fails, and after the diff that
mends the bug both pass."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from palestra.infra.images import definitions
from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox.doctor import why_not
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import Limits
from palestra.verifiers.junit import Report, compare, parse_junit

pytestmark = pytest.mark.slow
LIMITS = Limits(memory_bytes=1 << 30, processes=256, disk_bytes=512 << 20, seconds=120)
REPORT = "/tmp/report.xml"


@dataclass(frozen=True)
class Project:
    """Files by path; `wrong` stands in the file `buggy`, and `right` in its place mends it."""

    image: str
    buggy: str
    wrong: str
    right: str
    files: Mapping[str, str]


PYTHON = Project(
    "python",
    "clamp.py",
    "return min(x, low)",
    "return min(max(x, low), high)",
    {
        "clamp.py": "def clamp(x, low, high):\n    return min(x, low)\n",
        "tests/test_clamp.py": """
from clamp import clamp
def test_at_the_edge(): assert clamp(0, 0, 9) == 0
def test_inside(): assert clamp(5, 0, 9) == 5
""",
    },
)
JAVASCRIPT = Project(
    "javascript",
    "src/words.js",
    "text.split(' ')",
    "text.split(/\\s+/)",
    {
        "src/words.js": "exports.words = text => text.split(' ').length;\n",
        "test/words.js": """
const { expect } = require('chai');
const { words } = require('../src/words');
describe('words', () => {
    it('counts one', () => expect(words('a')).to.equal(1));
    it('takes <tabs> & "spaces"', () => expect(words('a b\\tc')).to.equal(3));
});
""",
    },
)
# Node's module system of today beside CommonJS, and promises.
MODULES = Project(
    "javascript",
    "index.js",
    "Promise.resolve(n)",
    "Promise.resolve(n * 2)",
    {
        "package.json": '{"type": "module"}\n',
        "index.js": "export const double = n => Promise.resolve(n);\n",
        "test/index.js": """
import assert from 'node:assert/strict';
import { double } from '../index.js';
describe('double', () => {
    it('of zero', async () => assert.equal(await double(0), 0));
    it('of two', async () => assert.equal(await double(2), 4));
});
""",
    },
)
TYPESCRIPT = Project(
    "typescript",
    "src/stack.ts",
    "this.items[0]",
    "this.items[this.items.length - 1]",
    {
        "src/stack.ts": """export class Stack<T> {
    private readonly items: T[] = [];
    push(item: T): this { this.items.push(item); return this; }
    get top(): T | undefined { return this.items[0]; }
}
""",
        "test/stack.test.ts": """
import { strict as assert } from 'assert';
import { Stack } from '../src/stack';
describe('Stack', () => {
    it('is empty at first', () => assert.equal(new Stack<number>().top, undefined));
    it('has the last on top', () => assert.equal(new Stack<number>().push(1).push(2).top, 2));
});
""",
    },
)
JAVA = Project(
    "java",
    "src/main/java/demo/Range.java",
    "at < to",
    "at <= to",
    {
        "src/main/java/demo/Range.java": """package demo;
public record Range(int from, int to) {
    public boolean holds(int at) { return from <= at && at < to; }
}
""",
        "src/test/java/demo/RangeTest.java": """package demo;
import static org.junit.jupiter.api.Assertions.*;
import org.junit.jupiter.api.Test;
class RangeTest {
    @Test void inside() { assertTrue(new Range(1, 3).holds(2)); }
    @Test void lastIsIn() { assertTrue(new Range(1, 3).holds(3), "3 of 1..3"); }
}
""",
    },
)
# JUnit 4 through the vintage engine, a resource, and a path with a space.
VINTAGE = Project(
    "java",
    "src/main/java/demo/Words.java",
    'getResourceAsStream("words.txt")',
    'getResourceAsStream("/words.txt")',
    {
        "src/main/java/demo/Words.java": """package demo;
public class Words {
    public static String first() throws java.io.IOException {
        try (var in = Words.class.getResourceAsStream("words.txt")) { return new String(in.readAllBytes()).trim(); }
    }
}
""",
        "src/main/resources/words.txt": "alpha\n",
        "src/test/java/old tests/WordsTest.java": """
import static org.junit.Assert.*;
import org.junit.Test;
public class WordsTest {
    @Test public void constructs() { assertNotNull(new demo.Words()); }
    @Test public void readsTheFirst() throws Exception { assertEquals("alpha", demo.Words.first()); }
}
""",
    },
)
C = Project(
    "c",
    "gcd.c",
    "return a;\n    return gcd(b, a - b);",
    "return a;\n    return gcd(b, a % b);",
    {
        "gcd.c": """#include "gcd.h"
unsigned gcd(unsigned a, unsigned b) {
    if (b == 0) return a;
    return gcd(b, a - b);
}
""",
        "gcd.h": "unsigned gcd(unsigned a, unsigned b);\n",
        # cmocka runs the one test it is told, so that ctest reports each by its name.
        "test_gcd.c": """
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "gcd.h"
static void of_zero(void **state) { (void)state; assert_int_equal(gcd(4, 0), 4); }
static void of_primes(void **state) { (void)state; assert_int_equal(gcd(7, 5), 1); }
int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_zero), cmocka_unit_test(of_primes)};
    if (count > 1) cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
""",
        "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.21)
project(gcd C)
enable_testing()
add_executable(test_gcd test_gcd.c gcd.c)
target_link_libraries(test_gcd cmocka)
foreach(name of_zero of_primes)
    add_test(NAME ${name} COMMAND test_gcd ${name})
endforeach()
""",
    },
)
CPP = Project(
    "cpp",
    "join.hpp",
    'out += ",";',
    'if (!out.empty()) out += ",";',
    {
        "join.hpp": """#pragma once
#include <string>
#include <vector>
inline std::string join(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& part : parts) {
        out += ",";
        out += part;
    }
    return out;
}
""",
        "test_join.cpp": """
#include <gtest/gtest.h>
#include "join.hpp"
TEST(Join, OfNothing) { EXPECT_EQ(join({}), ""); }
TEST(Join, OfTwo) { EXPECT_EQ(join({"a", "b"}), "a,b"); }
""",
        "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.21)
project(join CXX)
enable_testing()
find_package(GTest REQUIRED)
include(GoogleTest)
add_executable(test_join test_join.cpp)
target_link_libraries(test_join GTest::gtest_main)
gtest_discover_tests(test_join)
""",
    },
)
CATCH = Project(
    "cpp",
    CPP.buggy,
    CPP.wrong,
    CPP.right,
    {
        "join.hpp": CPP.files["join.hpp"],
        "test_join.cpp": """
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include "join.hpp"
TEST_CASE("of nothing") { CHECK(join({}) == ""); }
TEST_CASE("of two") { CHECK(join({"a", "b"}) == "a,b"); }
""",
        "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.21)
project(join CXX)
enable_testing()
find_package(Catch2 REQUIRED)
include(Catch)
add_executable(test_join test_join.cpp)
target_link_libraries(test_join Catch2::Catch2)
catch_discover_tests(test_join)
""",
    },
)
GO = Project(
    "go",
    "words/words.go",
    'strings.Split(text, " ")',
    "strings.Fields(text)",
    {
        "go.mod": "module example.org/words\n\ngo 1.19\n",
        "words/words.go": """// Package words counts.
package words

import "strings"

// Count tells how many words there are.
func Count(text string) int {
	return len(strings.Split(text, " "))
}
""",
        # net is the package that wants a C compiler where cgo is on.
        "words/words_test.go": """package words

import (
	"net"
	"testing"
)

func TestOne(t *testing.T) {
	if Count("a") != 1 {
		t.Fatal(net.IPv4zero)
	}
}

func TestSpaces(t *testing.T) {
	if got := Count("a  b "); got != 2 {
		t.Fatalf("Count = %d", got)
	}
}
""",
    },
)
PHP = Project(
    "php",
    "src/Slug.php",
    "strtolower($title)",
    "trim(preg_replace('/[^a-z]+/', '-', strtolower($title)), '-')",
    {
        "src/Slug.php": """<?php
function slug(string $title): string {
    return strtolower($title);
}
""",
        "tests/SlugTest.php": """<?php
require_once __DIR__ . '/../src/Slug.php';
final class SlugTest extends PHPUnit\\Framework\\TestCase {
    public function testOneWord(): void { $this->assertSame('hello', slug('Hello')); }
    public function testTwoWords(): void { $this->assertSame('hello-world', slug('Hello, world!')); }
}
""",
    },
)
PROJECTS = {
    "python": PYTHON,
    "javascript": JAVASCRIPT,
    "javascript-modules": MODULES,
    "typescript": TYPESCRIPT,
    "java": JAVA,
    "java-vintage": VINTAGE,
    "c": C,
    "cpp": CPP,
    "cpp-catch2": CATCH,
    "go": GO,
    "php": PHP,
}


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    reason = why_not_debootstrap() or why_not("bwrap")
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Sandboxes("bwrap") as sandboxes:
        yield sandboxes


@pytest.fixture
def box(sandboxes: Sandboxes, project: Project) -> Iterator[Sandbox]:
    ensure_image(project.image)
    with sandboxes.lease(project.image, LIMITS) as box:
        for path, text in project.files.items():
            box.write(path, text.encode())
        yield box


def _tested(box: Sandbox, project: Project) -> tuple[Report, bool]:
    """(what the image's JUnit command reported, whether it ended with 0)."""
    result = box.exec(definitions.load(project.image).junit_command(REPORT))
    assert result.ended == "exited", result.text
    report = parse_junit(box.read(REPORT))
    assert not report.problem, f"{report.problem}: {result.text}"
    return report, result.exit_code == 0


def _diff(project: Project) -> bytes:
    before = project.files[project.buggy]
    assert before.count(project.wrong) == 1
    after = before.replace(project.wrong, project.right)
    names = (f"a/{project.buggy}", f"b/{project.buggy}")
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), *names)).encode()


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS.keys())
def test_junit_before_and_after_the_diff(project: Project, box: Sandbox) -> None:
    before, ended_well = _tested(box, project)
    assert sorted(outcome == "passed" for outcome in before.outcomes().values()) == [False, True], before
    assert not ended_well
    applied = box.exec(["git", "apply", "-"], stdin=_diff(project))
    assert applied.ok, applied.text
    after, ended_well = _tested(box, project)
    assert ended_well
    changed = compare(before, after)
    assert (len(changed.f2p), len(changed.p2p)) == (1, 1), changed
    assert (changed.p2f, changed.f2f, changed.missing, changed.new) == ((), (), (), ())
    assert box.exec(["patch", "-p1", "--reverse"], stdin=_diff(project)).ok
    assert box.read(project.buggy).decode() == project.files[project.buggy]


@pytest.mark.parametrize("project", [C, CPP, JAVA, GO], ids=lambda project: project.image)
def test_what_does_not_compile_passes_nothing(project: Project, box: Sandbox) -> None:
    box.write(project.buggy, b"}{")
    result = box.exec(definitions.load(project.image).junit_command(REPORT))
    assert result.ended == "exited"
    assert result.exit_code != 0
    written = box.exec(["cat", REPORT])
    assert "passed" not in parse_junit(written.stdout).outcomes().values()


@pytest.mark.parametrize("project", [PYTHON, PHP, JAVA, C, GO], ids=lambda project: project.image)
def test_a_run_leaves_nothing_in_the_working_directory(project: Project, box: Sandbox) -> None:
    before = box.exec(["find", "/work"]).stdout
    _tested(box, project)
    assert box.exec(["find", "/work"]).stdout == before


@pytest.mark.parametrize("project", [JAVA], ids=["java"])
def test_java_trusts_debians_certificates_and_uses_its_class_archive(box: Sandbox) -> None:
    listed = box.exec(["keytool", "-list", "-cacerts", "-storepass", "changeit"])
    assert listed.ok, listed.text
    assert listed.text.count("trustedCertEntry") > 100
    assert box.exec(["java", "-Xshare:on", "-version"]).ok
