"""How each image tests a project, again and again and fast: commands for a shell, at the root of the tree.

`PREPARE` runs once per image in an empty sandbox and knows no project; `BUILD` once per project, on the correct tree;
`TEST` after files have changed: it compiles what that touches and writes JUnit XML to `{report}`. All products lie in
`/tmp/build`, so the tree stays clean, and where there are none `TEST` makes them. No result is taken from an earlier
run.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from ...infra.images import definitions
from .types import Recipe

PRODUCTS, CANARIES = "/tmp/build", "/tmp/canaries"

# A JVM that lives for a second needs no second compiler and no second collector.
_JAVA_FLAGS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
_LAUNCHER = "/usr/share/java/junit-platform-console-standalone.jar"
_JUNIT_MAIN, _WARM = "org.junit.platform.console.ConsoleLauncher", "/tmp/warm"
_JUNIT4 = "/usr/share/java/junit4.jar"

# The runner first, so that no module of the tree stands in for one of its own.
_PYTEST = "import os, sys, unittest, pytest; sys.path.insert(0, os.getcwd()); sys.exit(pytest.main(sys.argv[1:]))"
_GO_TEST = "gotestsum --format testname --junitfile {report} -- -vet=off -count=1 ./..."
_GO_STANDARD = (
    "bufio bytes container/heap container/list context encoding/csv encoding/json errors fmt io math math/rand os "
    "reflect regexp sort strconv strings sync testing text/template time unicode"
)
_CONSOLE = f"java {_JAVA_FLAGS} -XX:SharedArchiveFile={_WARM}/junit.jsa -cp {_LAUNCHER} {_JUNIT_MAIN}"
_JAVAC = "javac -J-XX:TieredStopAtLevel=1 -J-XX:+UseSerialGC -proc:none"
_JAVA_TEST = f"""
out={PRODUCTS}; mkdir -p $out
find . -name '*.java' -printf '"%p"\\n' | sort > $out/sources
rm -rf $out/classes $out/reports
{_JAVAC} -J-XX:SharedArchiveFile={_WARM}/javac.jsa -nowarn -g:source,lines,vars -encoding UTF-8 -d $out/classes \\
  -cp "{_LAUNCHER}:{_JUNIT4}:lib/*" @$out/sources || exit 3
{_CONSOLE} -cp "$out/classes:src/main/resources:src/test/resources$(printf ':%s' lib/*.jar)" \\
  --scan-classpath $out/classes --details none --disable-banner --reports-dir $out/reports
ended=$?
{{ echo '<testsuites>'; grep -hv '^<?xml' $out/reports/*.xml; echo '</testsuites>'; }} > {{report}}
exit $ended
"""
# The classes of compiler and launcher, loaded once: a virtual machine that finds the archive starts with them.
_JAVA_WARM = f"""
mkdir -p {_WARM} && cd {_WARM}
cat > ATest.java <<'END'
import java.util.*;
import java.util.stream.*;
import static org.junit.jupiter.api.Assertions.*;

class ATest {{
    enum Kind {{ ONE, TWO }}
    record Pair<T extends Comparable<T>>(T left, Kind kind) {{ }}

    @org.junit.jupiter.api.Test
    void a() {{
        Map<Kind, List<Pair<String>>> found = Stream.of(new Pair<>("x", Kind.ONE), new Pair<>("y", Kind.TWO))
            .filter(pair -> pair.left() != null)
            .collect(Collectors.groupingBy(Pair::kind, TreeMap::new, Collectors.toList()));
        for (Kind kind : Kind.values()) {{
            switch (kind) {{ case ONE -> assertEquals(1, found.get(kind).size()); default -> assertTrue(true); }}
        }}
        assertThrows(IllegalStateException.class, () -> {{ throw new IllegalStateException("no " + found); }});
    }}
}}
END
{_JAVAC} -J-XX:ArchiveClassesAtExit={_WARM}/javac.jsa -cp {_LAUNCHER} -d classes ATest.java
java {_JAVA_FLAGS} -XX:ArchiveClassesAtExit={_WARM}/junit.jsa -cp {_LAUNCHER} {_JUNIT_MAIN} -cp classes \\
  --scan-classpath classes --details none --disable-banner --reports-dir reports
"""
_CMAKE_BUILD = f"""
if [ ! -e {PRODUCTS}/CMakeCache.txt ]; then
  [ ! -e {CANARIES}/canary.cmake ] || set -- -DCMAKE_PROJECT_TOP_LEVEL_INCLUDES={CANARIES}/canary.cmake
  cmake -G Ninja -S . -B {PRODUCTS} "$@" || exit 3
fi
cmake --build {PRODUCTS} || exit 3
"""
_CTEST = f"""
[ ! -e {CANARIES}/tests.cmake ] || cat {CANARIES}/tests.cmake >> {PRODUCTS}/CTestTestfile.cmake
ctest --test-dir {PRODUCTS} --no-tests=error --timeout 20 --output-junit {{report}}
"""
# The whole tree is transpiled by one process; what is made later, or does not parse, when it is asked for.
_TYPESCRIPT = f"""
out={PRODUCTS}/js; rm -rf $out; mkdir -p $out
cat > {PRODUCTS}/hook.cjs <<'END'
const fs = require('fs'), path = require('path'), {{ execFileSync }} = require('child_process');
const options = process.env.TRANSPILE.split(' ');
require.extensions['.ts'] = (module, file) => {{
  const made = path.join('{PRODUCTS}/js', path.relative('.', file)).replace(/ts$/, 'js');
  const text = fs.existsSync(made) ? fs.readFileSync(made) : execFileSync('esbuild', [...options, file]);
  module._compile(String(text), file);
}};
END
export TRANSPILE='--format=cjs --platform=node --target=node18 --sourcemap=inline --log-level=error'
find . -name node_modules -prune -o -name '*.ts' ! -name '*.d.ts' -print0 \\
  | xargs -0 esbuild $TRANSPILE --outbase=. --outdir=$out
mocha --enable-source-maps --recursive --require {PRODUCTS}/hook.cjs --extension ts \\
  --reporter xunit --reporter-option output={{report}}
"""
# What hands out objects of the runner, or starts programs, whatever name it is called by; the runner needs none of it.
_PHP_WITHOUT = (
    "debug_backtrace,debug_print_backtrace,exec,system,passthru,shell_exec,popen,pcntl_exec,pcntl_fork,posix_kill"
)
_PHPUNIT = f"""
[ -e phpunit.xml ] || [ -e phpunit.xml.dist ] || set -- tests
php -d disable_functions={_PHP_WITHOUT} "$(command -v phpunit)" --do-not-cache-result --log-junit {{report}} "$@"
"""

PREPARE: Mapping[str, str] = {"go": f"go build {_GO_STANDARD}", "java": _JAVA_WARM}
BUILD: Mapping[str, str] = {
    "c": _CMAKE_BUILD,
    "cpp": _CMAKE_BUILD,
    "go": "go test -vet=off -count=1 -run='^$' ./... > /dev/null",
}
TEST: Mapping[str, str] = {
    "c": _CMAKE_BUILD + _CTEST,
    "cpp": _CMAKE_BUILD + _CTEST,
    "go": _GO_TEST,
    "php": _PHPUNIT,
    "java": _JAVA_TEST,
    "typescript": _TYPESCRIPT,
    "python": f"python3 -P -c '{_PYTEST}' -p no:cacheprovider -q --tb=short --junitxml={{report}}",
}

# Code made of text would be out of sight of the rules about sources.
_NO_CODE_OF_TEXT = {"NODE_OPTIONS": "--disallow-code-generation-from-strings"}
FENCED: Mapping[str, Mapping[str, str]] = {"javascript": _NO_CODE_OF_TEXT, "typescript": _NO_CODE_OF_TEXT}


def completed(recipe: Recipe) -> Recipe:
    """The recipe with the image's commands and variables where it leaves them empty. Raises ValueError for an image
    that runs no tests."""
    image = definitions.load(recipe.image)
    test = recipe.test or TEST.get(recipe.image) or _of_image(image)
    build = recipe.build or ("" if recipe.test else BUILD.get(recipe.image, ""))
    return replace(recipe, test=test, build=build, env={**image.env, **FENCED.get(recipe.image, {}), **recipe.env})


def _of_image(image: definitions.ImageDefinition) -> str:
    """The image's own command; `{report}` is put in later, so the place is passed through."""
    command = image.junit_command("{report}")
    return command.replace("'{report}'", "{report}") if isinstance(command, str) else _joined(command)


def _joined(argv: tuple[str, ...]) -> str:
    return " ".join(part if "{report}" in part else shlex.quote(part) for part in argv)
