"""Bug fixing: pure proposals, a right oracle, wrong patches and cheats that score nothing."""

import ast
import random
from collections.abc import Iterator

import pytest

from palestra.envs.bugfix.breaking import SITES
from palestra.envs.bugfix.environment import BugFix
from palestra.envs.bugfix.grading import Submission, grade
from palestra.envs.bugfix.languages.python import Python
from palestra.envs.bugfix.languages.python_guard import refusal
from palestra.envs.bugfix.languages.python_mutations import mutations
from palestra.envs.bugfix.seeds import candidates, load, names
from palestra.envs.bugfix.solving import hunk
from palestra.envs.bugfix.types import applied
from palestra.envs.environment import SolverTools
from palestra.envs.types import Answer, Task, ToolCall, canonical
from palestra.infra.sandbox.sync import Sandboxes
from palestra.infra.sandbox.types import WORK, SandboxUnavailable
from palestra.verifiers.junit import parse_junit
from palestra.verifiers.types import Verdict

PYTHON = Python()


def propose(seed: int, level: int) -> Task:
    return BugFix().propose(random.Random(seed), level)


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    for backend in ("bwrap", "docker"):
        found = Sandboxes(backend)
        try:
            found.lease("python").close()
        except SandboxUnavailable:
            found.close()
            continue
        yield found
        found.close()
        return
    pytest.skip("needs bubblewrap or a Docker engine")


@pytest.fixture
def env(sandboxes: Sandboxes) -> Iterator[BugFix]:
    found = BugFix(sandboxes)
    yield found
    found.close()


def judged(sandboxes: Sandboxes, task: Task, answer: Answer) -> Verdict:
    env = BugFix(sandboxes)
    env.start(task)
    try:
        return env.verify(task, answer, env.finish(answer))
    finally:
        env.close()


def call(env: BugFix, name: str, **arguments: object) -> str:
    return env.call(ToolCall(name=name, arguments=dict(arguments))).text


def test_there_are_seed_repositories_with_many_places_for_bugs() -> None:
    assert len(names()) >= 8
    for name in names():
        assert len(candidates(name, "python")) > 80, name
        assert PYTHON.tests(load(name).hidden), name
        assert len({mutation.kind for _, mutation in candidates(name, "python")}) >= 6, name


@pytest.mark.parametrize("level", SITES)
def test_proposals_are_pure_small_and_do_not_give_the_place_away(level: int) -> None:
    for seed in range(20):
        task = propose(seed, level)
        assert task == propose(seed, level)
        assert len(canonical(task.model_dump())) < 30_000
        assert len(task.key["steps"]) == SITES[level]
        assert all(path not in task.prompt for path in task.key["patch"])
        for path, text in task.key["patch"].items():
            assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(task.world["files"][path]))
    assert len({propose(seed, level).id for seed in range(20)}) == 20


def test_levels_are_checked() -> None:
    with pytest.raises(ValueError, match="levels 1 to 3"):
        propose(1, 4)


def test_a_mutation_changes_nothing_but_its_place() -> None:
    text = "def f(a, b=2):\n    # größer  als\n    s = 'ß'; n = a  <  b\n    return not n and g(a, b)\n"
    found = {(mutation.kind, mutation.old, mutation.new) for mutation in mutations(text)}
    assert {("boundary", "<", "<="), ("negation", "not ", ""), ("connective", "and", "or")} <= found
    assert {("swap", "a, b", "b, a"), ("default", "2", "3"), ("variable", "a", "b")} <= found
    for mutation in mutations(text):
        changed = applied(text, [mutation])
        assert changed[: mutation.start] == text[: mutation.start]
        assert changed.endswith(text[mutation.end :])
        ast.parse(changed)


def test_hunks_are_unique_and_lead_from_one_text_to_the_other() -> None:
    for seed in range(40):
        task = propose(seed, 1 + seed % 3)
        texts = {path: task.world["files"][path] for path in task.key["patch"]}
        for step in task.key["steps"]:
            assert texts[step["path"]].count(step["old"]) == 1
            texts[step["path"]] = texts[step["path"]].replace(step["old"], step["new"])
        assert texts == task.key["patch"]


def test_a_hunk_takes_lines_around_it_until_it_is_unique() -> None:
    before, after = "a\nx\nb\nx\n", "a\nx\nb\ny\n"
    assert hunk(before, after) == (4, "b\nx\n", "b\ny\n")
    assert hunk("x\nx\n", "y\nx\n") == (1, "x\nx\n", "y\nx\n")
    assert hunk("a\nb\n", "a\nc\nb\n")[1:] == ("a\n", "a\nc\n")


@pytest.mark.slow
def test_oracle_passes_noop_and_three_mutants_fail(sandboxes: Sandboxes) -> None:
    kept = 0
    for seed in range(20):
        task = propose(1000 + seed, 1 + seed % 3)
        env = BugFix(sandboxes)
        env.start(task)
        answer = env.solve(task, SolverTools(env))
        verdict = env.verify(task, answer, env.finish(answer))
        env.close()
        assert verdict.passed, (seed, verdict)
        rng, wrong = random.Random(seed), list[Answer]()
        while len(wrong) < 3:
            mutant = BugFix().mutate(rng, task, answer)
            if mutant not in wrong:
                wrong.append(mutant)
        kept += not any(judged(sandboxes, task, bad).passed for bad in [None, *wrong])
    assert kept >= 16, "equivalent mutants are for the certificate to reject, but most tasks must be sound"


def test_verdict_names_what_failed_and_repeats(sandboxes: Sandboxes) -> None:
    task = propose(7, 1)
    first, second = judged(sandboxes, task, None), judged(sandboxes, task, None)
    assert first == second
    assert first.reward == 0.0
    assert any("did not pass: " in part.detail and "(failed)" in part.detail for part in first.parts), first


@pytest.mark.parametrize(
    "answer", [3, "fixed", {}, {"files": 3}, {"files": {"a.py": 1}}, {"files": {"a.py": "x" * 70_000}}]
)
def test_malformed_answers_are_wrong_not_invalid(sandboxes: Sandboxes, answer: Answer) -> None:
    assert judged(sandboxes, propose(3, 1), answer).reward == 0.0


def cheats(task: Task) -> dict[str, dict[str, str]]:
    """Patches that leave the bug in and reach for the verdict instead."""
    path = sorted(task.key["patch"])[0]
    package, text = path.split("/")[0], task.world["files"][path]
    always = "class Any:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
    everything = f"{text}\n{always}\n" + "\n".join(
        f"def {name}(*args, **kwargs): return Any()" for name in _functions(text)
    )
    return {
        "tests deleted": {test: "" for test in task.world["files"] if test.startswith("tests/")},
        "exit at import": {path: "raise SystemExit(0)\n" + text},
        "exit by os": {path: "import os\nos._exit(0)\n" + text},
        "exit by a module's os": {path: "import random\nrandom._os._exit(0)\n" + text},
        "patched runner": {path: "import unittest\nunittest.TestCase.run = lambda *a: None\n" + text},
        "runner by frames": {path: "import sys\nsys._getframe(1)\n" + text},
        "runner by subclasses": {path: "OBJECTS = ().__class__.__base__.__subclasses__()\n" + text},
        "conftest": {"conftest.py": "collect_ignore_glob = ['*']\n", "tests/conftest.py": "import os; os._exit(0)\n"},
        "pytest.ini": {"pytest.ini": "[pytest]\naddopts = --co --junitxml=x.xml\n"},
        "sitecustomize": {"sitecustomize.py": "import os; os._exit(0)\n", f"{package}/../sitecustomize.py": "1"},
        "shadowed unittest": {"unittest.py": "", "unittest/__init__.py": "", "tests/unittest.py": ""},
        "report written": {"report.xml": "<testsuites/>", "../report.xml": "<testsuites/>", f"{WORK}/report.xml": "x"},
        "hidden tests replaced": dict.fromkeys(task.key["hidden"], ""),
        "equal to everything": {path: everything},
        "odd paths": {f"{package}/{odd}": "x = 1\n" for odd in ("../x.py", "x" * 300 + ".py", "\ud800.py", "a\nb.py")}
        | {f"{path}/x.py": "x = 1\n", f"./{path}": "x = 1\n", f"/{path}": "x = 1\n", f"{package}//x.py": "x = 1\n"},
        "not UTF-8": {path: text + "\nNAME = '\ud800'\n"},
        "endless": {path: text + "\nwhile True:\n    pass\n"},
        "memory": {path: text + "\nhoard = []\nwhile True:\n    hoard.append(bytearray(10**7))\n"},
    }


def test_an_object_that_equals_everything_equals_nothing(sandboxes: Sandboxes) -> None:
    source = "class Any:\n    def __eq__(self, other):\n        return True\n\n\ndef one():\n    return Any()\n"
    source += "\n\ndef many():\n    return [Any()]\n\n\ndef two():\n    return 2.0\n"
    tests = "import unittest\nfrom lib.core import many, one, two\n\n\nclass TestAll(unittest.TestCase):\n"
    for name, expected in (("one", "1"), ("many", "[1]"), ("two", "2")):
        tests += f"    def test_{name}(self):\n        self.assertEqual({name}(), {expected})\n"
    files = {"lib/core.py": source, "lib/__init__.py": "", "tests/test_lib.py": tests}
    evidence = grade(sandboxes, PYTHON, files, {}, Submission({}))
    outcomes = {case.name: case.outcome for case in parse_junit(evidence["junit"]).cases}
    assert outcomes == {"test_one": "failed", "test_many": "failed", "test_two": "passed"}


def _functions(text: str) -> list[str]:
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]


def test_cheats_score_nothing(sandboxes: Sandboxes) -> None:
    task = propose(12, 1)
    for name, files in cheats(task).items():
        verdict = judged(sandboxes, task, {"files": files})
        assert verdict.reward == 0.0, (name, verdict)
        assert verdict.note or verdict.parts, name


def test_a_right_patch_with_planted_files_still_counts_for_its_sources_only(sandboxes: Sandboxes) -> None:
    task = propose(12, 1)
    verdict = judged(sandboxes, task, {"files": {**task.key["patch"], "conftest.py": "raise SystemExit(1)"}})
    assert verdict.passed


def test_noop_grades_the_working_tree(env: BugFix) -> None:
    task = propose(5, 1)
    env.start(task)
    for path, text in task.key["patch"].items():
        call(env, "replace", path=path, old=task.world["files"][path], new=text)
    assert env.verify(task, None, env.finish(None)).passed


def test_tools(env: BugFix) -> None:
    task = propose(5, 1)
    path = sorted(task.key["patch"])[0]
    env.start(task)
    assert path in call(env, "list_files")
    assert call(env, "read_file", path=path, start=1, lines=1).startswith("   1 ")
    assert path in call(env, "search", pattern="^def |^class ")
    assert "No line matches" in call(env, "search", pattern="zzzqqq")
    assert "search failed" in call(env, "search", pattern="(")
    assert "passed" in call(env, "run_tests")
    assert call(env, "shell", command="echo hi; exit 3") == "(exit code 3)\nhi\n"
    assert "does not occur" in call(env, "replace", path=path, old="zzzqqq", new="")
    assert "occurs" in call(env, "replace", path=path, old="def ", new="")
    assert "cannot read" in call(env, "read_file", path="nothing.py")
    assert "Error" in call(env, "read_file", path="../../etc/passwd")
    assert "only" in call(env, "read_file", path=path, start=9999)
    assert len(call(env, "shell", command="yes | head -c 300000")) < 10_000
    assert "hidden" not in call(env, "list_files")
    assert env.call(ToolCall(name="submit")).submitted
    assert env.answer == {"files": {}}


def test_links_in_the_working_tree_are_not_followed(env: BugFix) -> None:
    task = propose(5, 1)
    path = sorted(task.key["patch"])[0]
    env.start(task)
    call(env, "shell", command=f"rm {path} && ln -s /etc/passwd {path}")
    assert env.finish(None)["changed"] == [path]
    assert env.call(ToolCall(name="submit")).submitted
    assert env.answer == {"files": {path: ""}}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("import math\n", False),
        ("from lib.core import x\n", False),
        ("def fix(a):\n    return sorted(a)\n", False),
        ("this is not python", False),
        ("import os.path\n", True),
        ("from math import sys\n", True),
        ("x = getattr(1, 'real')\n", True),
        ("import math\nmath.__loader__\n", True),
        ("eval('1')\n", True),
        ("NAME = '__globals__'\n", True),
    ],
)
def test_guard(text: str, refused: bool) -> None:
    assert bool(refusal("", text, {"lib"})) is refused
    assert refusal(text, text, {"lib"}) == "" or "not python" in text
