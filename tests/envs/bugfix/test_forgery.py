"""Verdicts cannot be forged: not from a source, even where no rule refuses it, nor from the shell or by odd answers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

import pytest

from palestra.envs.bugfix.environment import BugFix
from palestra.envs.bugfix.grading import sign, solved
from palestra.envs.bugfix.knowledge import known
from palestra.envs.bugfix.projects import load, names
from palestra.envs.bugfix.running import workshop
from palestra.envs.bugfix.submissions import Submission, read_answer
from palestra.envs.types import Answer, Task
from palestra.infra.sandbox.sync import Sandboxes
from palestra.verifiers.types import Verdict

SWALLOWED = "class Any:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
# What the source of a cheat appends, and for which language; {} being the text of a source with a bug in it.
FORGERIES: Mapping[str, Mapping[str, str]] = {
    "python": {
        "exit": "\nimport os\nos._exit(0)\n",
        "exit hook": "\nimport atexit, os\natexit.register(os._exit, 0)\n",
        "unittest emptied": (
            "\nimport unittest\nfor n in dir(unittest.TestCase):\n    if n.startswith('assert'):\n"
            "        setattr(unittest.TestCase, n, lambda *a, **k: None)\n"
        ),
        "outcomes rewritten": (
            "\nimport _pytest.runner as r\nold = r.CallInfo.from_call\n"
            "r.CallInfo.from_call = classmethod(lambda c, f, *a, **k: old(lambda: None, *a, **k))\n"
        ),
    },
    "javascript": {
        "exit": "\nprocess.exit(0);\n",
        "assert emptied": "\nconst a_ = require('assert'); for (const k of Object.keys(a_)) a_[k] = () => {};\n",
        "tests skipped": "\nObject.defineProperty(global, 'it', { get: () => () => {}, set() {} });\n",
        "outcomes rewritten": (
            "\nconst R_ = require('/usr/share/nodejs/mocha/lib/runnable.js');"
            " R_.prototype.run = function (f) { this.state = 'passed'; f(); };\n"
        ),
    },
    "c": {
        "exit before main": "\n#include <stdlib.h>\n__attribute__((constructor)) static void a_(void) { _Exit(0); }\n",
        "exit after main": "\n#include <stdlib.h>\n__attribute__((destructor)) static void a_(void) { _Exit(0); }\n",
        "exit replaced": "\n#include <stdlib.h>\nvoid exit(int code) { (void)code; _Exit(0); }\n",
    },
    "go": {
        "exit": "import os_ \"os\"\nfunc init() { os_.Exit(0) }\n",
        "passed printed": (
            "import (\n\tfmt_ \"fmt\"\n\tos_ \"os\"\n)\n"
            "func init() { fmt_.Println(\"=== RUN   TestX\\n--- PASS: TestX (0.00s)\\nPASS\"); os_.Exit(0) }\n"
        ),
    },
    "java": {
        "halt": "static { Runtime.getRuntime().halt(0); }",
        "shutdown hook": (
            "static { Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0))); }"
        ),
    },
    "php": {
        "exit": "\nexit(0);\n",
        "report written": (
            "\nregister_shutdown_function(function () {\n"
            "    file_put_contents('/tmp/report.xml', '<testsuites/>');\n    exit(0);\n});\n"
        ),
    },
}  # fmt: skip
FORGERIES = {**FORGERIES, "typescript": {"exit": "\n;(globalThis as any).process.exit(0);\n"}, "cpp": FORGERIES["c"]}
# What canaries would not tell: it is out of reach in the sandbox. Each is an expression that must not be true there.
FENCED: Mapping[str, str] = {
    "javascript": "(() => { try { return (() => {}).constructor('return true')(); } catch { return false; } })()",
    "php": "function_exists(strrev('ecartkcab_gubed'))",
}


@cache
def bug(language: str, sandboxes: Sandboxes) -> Task:
    cls = type("OneLanguage", (BugFix,), {"languages": (language,)})
    task: Task = cls(sandboxes).propose(random.Random(3), 1)
    return task


def judged(sandboxes: Sandboxes, task: Task, answer: Answer) -> Verdict:
    env = BugFix(sandboxes)
    env.start(task)
    try:
        return env.verify(task, answer, env.finish(answer))
    finally:
        env.close()


def _put(language: str, text: str, code: str) -> str:
    from palestra.envs.bugfix.cheating import _put as put

    return put(text, {"java": "class", "go": "header"}.get(language, "end"), code)


@pytest.mark.slow
def test_the_canary_tells_a_forged_run_without_any_rule_about_sources(sandboxes: Sandboxes, language: str) -> None:
    """Each forgery is made in the correct tree, so that nothing but the canary can tell."""
    shop = workshop(sandboxes)
    about = known(load(names(language)[0]).digest)
    task, project = bug(language, sandboxes), about.project
    honest = sign(task, project, Submission({}))
    ran = shop.run(project, {}, honest)
    assert solved(project, honest, ran)
    assert ran.exit_code != 0
    path = max(about.sources, key=lambda path: len(about.mutations(path)))
    for name, code in FORGERIES[language].items():
        changes = {path: _put(language, project.files[path], code)}
        assert changes[path] != project.files[path]
        mark = sign(task, project, Submission(changes))
        assert mark.names != honest.names
        ran = shop.run(project, changes, mark)
        assert mark.problem(ran.report) or ran.exit_code == 0, (name, ran)
        assert not solved(project, mark, ran), name


@pytest.mark.parametrize("language", sorted(FENCED))
def test_what_no_canary_tells_is_out_of_reach(sandboxes: Sandboxes, language: str) -> None:
    """The correct tree, which fails at once where the expression is true."""
    about = known(load(names(language)[0]).digest)
    task, project = bug(language, sandboxes), about.project
    path = max(about.sources, key=lambda path: len(about.mutations(path)))
    fails = {"javascript": "throw new Error('reached')", "php": "throw new \\Exception('reached')"}[language]
    for condition, right in ((FENCED[language], True), ("true", False)):
        code = f"\nif ({condition}) {{ {fails}; }}\n"
        changes = {path: project.files[path] + code}
        mark = sign(task, project, Submission(changes))
        assert solved(project, mark, workshop(sandboxes).run(project, changes, mark)) is right


@pytest.mark.slow
def test_cheats_earn_nothing(sandboxes: Sandboxes, language: str) -> None:
    task = bug(language, sandboxes)
    cheats = list(BugFix(sandboxes).cheats(random.Random(1), task))
    assert len(cheats) >= 14
    for cheat in cheats:
        env = BugFix(sandboxes)
        env.start(task)
        try:
            for call in cheat.calls:
                env.call(call)
            verdict = env.verify(task, cheat.answer, env.finish(None if cheat.submit else cheat.answer))
        finally:
            env.close()
        assert verdict.reward == 0.0, (cheat.name, verdict)
        assert verdict.validity == "valid", cheat.name


def test_objects_that_equal_everything_are_told(sandboxes: Sandboxes) -> None:
    about = known(load("python/intervals").digest)
    project, task = about.project, bug("python", sandboxes)
    path = "intervals/core.py"
    text = project.files[path]
    assert "__eq__" in text
    assert read_answer({"files": {path: text + SWALLOWED}}, about, {}).problem.endswith("what is equal to its objects")
    changes = {path: text + "\n\nInterval.__eq__ = lambda self, other: True\n"}
    mark = sign(task, project, Submission(changes))
    assert "equal what they cannot know" in mark.problem(workshop(sandboxes).run(project, changes, mark).report)


@pytest.mark.parametrize(
    "answer", [3, "fixed", [], {}, {"files": 3}, {"files": {"a.py": 1}}, {"files": {"a.py": "x" * 300_000}}]
)
def test_malformed_answers_are_wrong_not_invalid(sandboxes: Sandboxes, answer: Answer) -> None:
    verdict = judged(sandboxes, bug("python", sandboxes), answer)
    assert (verdict.reward, verdict.validity) == (0.0, "valid")


def test_a_right_patch_with_planted_files_counts_for_its_sources_only(sandboxes: Sandboxes) -> None:
    task = bug("python", sandboxes)
    planted = {
        "conftest.py": "raise SystemExit(1)",
        "tests/test_x.py": "raise SystemExit(1)",
        "../x": "x",
        "pytest.py": "",
    }
    assert judged(sandboxes, task, {"files": {**task.key["patch"], **planted}}).passed


def test_a_verdict_is_nothing_but_its_evidence(sandboxes: Sandboxes) -> None:
    task = bug("python", sandboxes)
    env = BugFix(sandboxes)
    env.start(task)
    evidence = env.finish({"files": task.key["patch"]})
    env.close()
    judge = BugFix()
    assert judge.verify(task, None, evidence).passed
    for key, value in (
        ("ended", "timed_out"),
        ("forged", "a test that must fail was reported 0 times"),
        ("report", "there is no report"),
        ("problem", "x.py: uses os"),
        ("hidden", {"expected": 3, "bad": {"a.b": "not run"}}),
        ("visible", {"expected": 1, "bad": {task.key["f2p"][0]: "failed"}}),
    ):
        assert judge.verify(task, None, {**evidence, key: value}).reward == 0.0, key
    none = {"expected": 0, "bad": {}}
    assert judge.verify(task, None, {**evidence, "visible": none, "hidden": none}).reward == 0.0
    assert judge.verify(task, None, {}).reward == 0.0
