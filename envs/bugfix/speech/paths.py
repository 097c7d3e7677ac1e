"""Which files are tests or configure a runner or a build, by the conventions of a language."""

from __future__ import annotations

import re
from functools import lru_cache

from .guard import words

_FOLDERS = words(
    "test tests testing __tests__ __mocks__ spec specs testdata testsuite test-suite fixtures hidden unittest "
    "unittests vendor node_modules third_party site-packages bower_components .git .github .circleci .gitlab .mvn "
    ".yarn .husky gradle cmake androidTest integrationTest jmh benchmarks"
)
# Of all languages: a repository may mix them, and no source has these names.
_CONFIGURATION = re.compile(
    r"""
    (?:GNU)?[Mm]akefile(?:\..*)? | .*\.(?:mk|cmake|bazel|bzl|gradle|kts|am|ac|m4|in|toml|ini|cfg|ya?ml|lock|pth)
    | .*\.(?:sh|bat|xml)
    | CMakeLists\.txt | meson(?:_options|\.options)?(?:\.build|\.txt)? | configure | BUILD | WORKSPACE | Dockerfile.*
    | conftest\.py | setup\.py | noxfile\.py | sitecustomize\.py | usercustomize\.py | tasks\.py | requirements.*\.txt
    | __main__\.py | pytest\.py | unittest\.py | [Pp]ipfile.*
    | package(?:-lock)?\.json | tsconfig.*\.json | jsconfig.*\.json | deno\.jsonc? | bower\.json | lerna\.json
    | \.(?:mocha|nyc|babel|eslint|swc|c8|npm|yarn|jest|ava|tap|node-|php_cs|prettier|git|coverage|env).*
    | (?:jest|vitest|karma|babel|webpack|rollup|vite|ava|mocha|gulp|grunt|playwright|cypress|eslint)(?:\.|file\.).*
    | (?:Gulp|Grunt|Rake)file.* | mvnw.* | gradlew.* | junit-platform\.properties
    | go\.(?:mod|sum|work|work\.sum) | composer\.(?:json|lock) | phpunit.*\.(?:xml|dist) | phpunit | bootstrap\.php
    | \.phpunit.*
    """,
    re.X,
)
_TESTS = {
    "python": r"test_.*\.py|.*_tests?\.py|tests?\.py|.*\.doctest",
    "java": r"Test[A-Z0-9_].*\.java|.*(?:Test|Tests|TestCase|IT|ITCase|TestSuite)\.java|module-info\.java",
    "javascript": r".*[.\-_](?:test|tests|spec|specs)\.[cm]?jsx?|(?:test|tests|spec)\.[cm]?jsx?",
    "typescript": r".*[.\-_](?:test|tests|spec|specs)\.[cm]?[jt]sx?|(?:test|tests|spec)\.[cm]?[jt]sx?",
    "c": r"(?:test|check)[_\-].*\.[ch]|.*[_\-]tests?\.[ch]|tests?\.[ch]|.*Tests?\.[ch]|(?:cmocka|munit|unity.*)\.[ch]",
    "cpp": r"(?:test|check)[_\-].*|.*[_\-](?:tests?|unittest|spec)\.\w+|(?:.*T|t)ests?\.\w+|(?:catch.*|doctest)\.h.*",
    "go": r".*_test\.go|testmain\.go",
    "php": r".*Test\.php|.*TestCase\.php|.*\.phpt|.*Spec\.php|Tests?\.php",
}


def is_test(language: str, path: str) -> bool:
    """Whether a relative path is a test, or configures the runner or the build."""
    *folders, name = path.split("/")
    if any(folder in _FOLDERS or folder.lower() in _FOLDERS for folder in folders):
        return True
    return _CONFIGURATION.fullmatch(name) is not None or _pattern(language).fullmatch(name) is not None


@lru_cache(maxsize=16)
def _pattern(language: str) -> re.Pattern[str]:
    return re.compile(_TESTS[language])
