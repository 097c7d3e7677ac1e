"""Every mutation of real sources is handed to the real compiler or interpreter of its language, inside its image: all
but a few compile, and so does every function whose body was thrown away."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from palestra.envs.bugfix.speech.languages import SPEECHES
from palestra.envs.bugfix.types import applied
from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox.doctor import why_not
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import Limits

pytestmark = pytest.mark.slow
LIMITS = Limits(memory_bytes=2 << 30, processes=256, disk_bytes=512 << 20, output_bytes=8 << 20, seconds=300)
SOURCES = Path(__file__).with_name("sources")
MOST = 600


@dataclass(frozen=True)
class Compiler:
    """A source inside the image, or beside this file, and a command that names what in `m/` does not compile."""

    source: str
    check: str
    files: Mapping[str, str]
    share: float = 1.0


_PYTHON = """
import pathlib
for path in sorted(pathlib.Path("m").iterdir()):
    try:
        compile(path.read_bytes(), str(path), "exec")
    except SyntaxError as error:
        print(path.name, error)
"""
_NODE = """
const fs = require("fs"), vm = require("vm"), wrap = require("module").wrap;
for (const name of fs.readdirSync("m").sort()) {
  try { new vm.Script(wrap(fs.readFileSync("m/" + name, "utf8"))); } catch (error) { console.log(name, String(error)); }
}
"""
_TYPESCRIPT = """
const fs = require("fs"), ts = require("typescript");
for (const name of fs.readdirSync("m").sort()) {
  const options = { reportDiagnostics: true, compilerOptions: { target: "ES2020", module: "CommonJS" } };
  const found = ts.transpileModule(fs.readFileSync("m/" + name, "utf8"), options).diagnostics;
  if (found.length) console.log(name, ts.flattenDiagnosticMessageText(found[0].messageText, " "));
}
"""
_JAVA = """
import java.nio.file.*; import java.util.*; import javax.tools.*;
public class Check {
  public static void main(String[] arguments) throws Exception {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null);
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(Path.of("m"))) {
      for (Path folder : folders) {
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        var files = manager.getJavaFileObjects(folder.resolve("Scheduler.java"));
        boolean fine = compiler.getTask(null, manager, found, List.of("-proc:none", "-d", "out"), null, files).call();
        if (!fine) System.out.println(folder.getFileName() + " " + found.getDiagnostics().get(0).getMessage(null));
      }
    }
  }
}
"""
_GO = """
package main

import ("fmt"; "go/ast"; "go/importer"; "go/parser"; "go/token"; "go/types"; "os"; "sort")

func main() {
	entries, _ := os.ReadDir("m")
	names := []string{}
	for _, entry := range entries { names = append(names, entry.Name()) }
	sort.Strings(names)
	set := token.NewFileSet()
	known := importer.ForCompiler(set, "source", nil)
	for _, name := range names {
		file, err := parser.ParseFile(set, "m/" + name, nil, 0)
		if err == nil {
			config := types.Config{Importer: known}
			_, err = config.Check("m", set, []*ast.File{file}, nil)
		}
		if err != nil { fmt.Println(name, err) }
	}
}
"""
_GCC = 'for f in m/*; do {} -fsyntax-only "$f" 2> err || echo "${{f#m/}} $(grep -m1 error: err)"; done'
# The headers are read once: a compiler that reads them for every mutant takes a second for each.
_HEADERS = "grep '^#include' m/original > all.h; g++ -std=c++17 -x c++-header all.h -o all.h.gch; "
_PHP = 'for f in m/*; do php -l "$f" > out 2>&1 || echo "${f#m/} $(head -2 out)"; done'
NODE = "/usr/share/nodejs"
COMPILERS = {
    "python": Compiler("/usr/lib/python3.11/textwrap.py", "python3 check.py", {"check.py": _PYTHON}),
    "javascript": Compiler(f"{NODE}/mocha/lib/suite.js", "node check.js", {"check.js": _NODE}),
    "typescript": Compiler(
        f"{NODE}/@jridgewell/gen-mapping/src/gen-mapping.ts",
        f"NODE_PATH={NODE} node check.js",
        {"check.js": _TYPESCRIPT},
    ),
    "java": Compiler("Scheduler.java", "mkdir out && java Check.java", {"Check.java": _JAVA}, 0.95),
    "c": Compiler("ledger.c", _GCC.format("gcc -x c"), {}, 0.95),
    "cpp": Compiler("matrix.cpp", _HEADERS + _GCC.format("g++ -std=c++17 -include all.h -x c++"), {}, 0.95),
    "go": Compiler("/usr/share/go-1.19/src/text/tabwriter/tabwriter.go", "go run check.go", {"check.go": _GO}, 0.95),
    "php": Compiler("/usr/share/php/PHPUnit/Util/TestDox/NamePrettifier.php", _PHP, {}),
}


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    """A backend that isolates; skipped where there is none."""
    reason = why_not("bwrap") or why_not_debootstrap()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Sandboxes("bwrap") as found:
        yield found


@pytest.mark.parametrize("name", COMPILERS)
def test_mutants_and_emptied_functions_compile(sandboxes: Sandboxes, name: str) -> None:
    speech, compiler = SPEECHES[name], COMPILERS[name]
    ensure_image(speech.image)
    with sandboxes.lease(speech.image, LIMITS) as box:
        text = source(box, compiler)
        mutations = speech.mutations(text)
        step = max(1, len(mutations) // MOST + 1)
        mutants = {f"{index:05}": applied(text, [mutations[index]]) for index in range(0, len(mutations), step)}
        emptied = {function.name: speech.emptied(text, function.name) for function in speech.functions("f", text)}
        hollow = {f"e{index:04}": body for index, body in enumerate(emptied.values())}
        assert len(mutants) > 100
        assert len(hollow) > 5
        for path, script in compiler.files.items():
            box.write(path, script.encode())
        box.write("m.tar", packed({"original": text, **mutants, **hollow}, compiler))
        result = box.exec(f"tar xf m.tar && {compiler.check}")
        failed = {line.split()[0]: line for line in result.text.splitlines() if line.strip()}
    wrong = {key: failed[key] for key in failed if key in mutants}
    share = 1 - len(wrong) / len(mutants)
    told = "\n".join(f"{line} {mutations[int(key)]}"[:400] for key, line in wrong.items())
    print(f"{name}: {len(mutants)} of {len(mutations)} mutants, {share:.1%} compile\n{told}")
    assert result.exit_code == 0, result.text[-2000:]
    assert "original" not in failed, failed
    assert not [line for key, line in failed.items() if key in hollow]
    assert share >= compiler.share, told


def source(box: Sandbox, compiler: Compiler) -> str:
    """A source of the image, or one of our own."""
    if compiler.source.startswith("/"):
        return box.exec(["cat", compiler.source]).text
    return (SOURCES / compiler.source).read_text()


def packed(texts: Mapping[str, str], compiler: Compiler) -> bytes:
    """The texts as a tar; each in a folder of its own where the compiler wants the name of its class."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in texts.items():
            inner = f"/{compiler.source}" if compiler.source.endswith(".java") else ""
            info = tarfile.TarInfo(f"m/{name}{inner}")
            data = text.encode("utf-8", "surrogateescape")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
