"""Repair a real bug in a small repository, judged by tests that the agent never sees."""

from __future__ import annotations

import random
from typing import Any

from ...infra.sandbox.sync import Sandbox
from ...infra.sandbox.types import ExecResult
from ...verifiers.checks import all_of, check
from ...verifiers.junit import Report, not_passed, parse_junit
from ...verifiers.types import Part, Verdict
from ..environment import Environment
from ..errors import EnvError, ToolError
from ..tools import tool
from ..types import Answer, Task, World
from .breaking import Bug, choose_bug
from .grading import LIMITS, grade, harvest, lay_out, read_answer
from .issue import write_issue
from .mutants import wrong_answer
from .seeds import LANGUAGES, load, names
from .solving import hunk, solve_by_key
from .types import Files, Language

MAX_TEXT, MAX_LINES, SHELL_SECONDS = 8_000, 400, 20.0


class BugFix(Environment):
    """Find and repair the mistake in a small Python repository."""

    id = "bugfix"
    version = "1"
    image = "python"
    levels = range(1, 4)
    system = (
        "You repair bugs in a repository at /work. Look at the code with the tools, change it with replace or the "
        "shell, check with run_tests, and call submit when the repair is complete."
    )

    def __init__(self, sandboxes: Any = None) -> None:
        super().__init__(sandboxes)
        self._box: Sandbox | None = None
        self._task: Task | None = None

    def propose(self, rng: random.Random, level: int) -> Task:
        """A seed repository with `level` mistakes in it; raises ProposeFailed where none fit."""
        if level not in self.levels:
            raise ValueError(f"bugfix has levels 1 to 3, not {level}")
        seed = rng.getrandbits(32)
        repository = load(rng.choice(names()))
        bug = choose_bug(rng, repository.name, "python", level)
        return self.task(
            seed=seed,
            level=level,
            prompt=write_issue(rng, bug, level),
            world={"repo": repository.name, "language": bug.language, "files": {**repository.files, **bug.broken()}},
            key=_key(bug, repository.files, repository.hidden),
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        """Repair each mistake where the key says it is, through the tools."""
        return solve_by_key(task, tools)

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """A plausible wrong patch; see `wrong_answer`."""
        return wrong_answer(rng, task)

    def start(self, task: Task) -> None:
        """Lease a sandbox and lay out the repository in it. Raises SandboxError."""
        super().start(task)
        self._task = task
        if self.sandboxes is None:
            raise EnvError("bugfix runs code: give it sandboxes, e.g. BugFix(Sandboxes('auto'))")
        language = _language(task)
        self._box = self.sandboxes.lease(language.image, LIMITS, owner=f"bugfix {task.id}")
        lay_out(self._box, task.world["files"])

    def finish(self, answer: Answer) -> World:
        """Run all tests in a fresh sandbox, on the answer's sources or, without one, on the working tree's."""
        assert self._task is not None, "finish before start"
        assert self.sandboxes is not None
        task, language = self._task, _language(self._task)
        files: Files = task.world["files"]
        if answer is None:
            answer = {"files": self._changed()}
        return grade(self.sandboxes, language, files, task.key["hidden"], read_answer(answer, files, language))

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        """All tests must have run and passed; what did not is named."""
        report = parse_junit(world.get("junit", ""))
        language = _language(task)
        problem = world.get("problem", "")
        if problem:
            return all_of([check("answer", False, problem)])
        parts = [
            check("answer", True, f"changed: {', '.join(world.get('changed', [])) or 'nothing'}"),
            _ran(report, world),
        ]
        for name, files in (("visible tests", task.world["files"]), ("hidden tests", task.key["hidden"])):
            parts.append(_tests(name, report, tuple(language.tests(files))))
        return all_of(parts)

    def close(self) -> None:
        """Give the sandbox back."""
        if self._box is not None:
            self._box.close()
            self._box = None

    @tool
    def list_files(self) -> str:
        """List the files of the repository with their sizes in bytes."""
        result = self._run(
            "find . -type f -not -path '*/.*' -not -name '*.pyc' -printf '%P %s\\n' | sort | head -n 200"
        )
        return _shortened(result.text) or "There are no files."

    @tool
    def read_file(self, path: str, start: int = 1, lines: int = 200) -> str:
        """Show lines of a file with their numbers, at most 400 at a time."""
        if start < 1 or not 1 <= lines <= MAX_LINES:
            raise ToolError(f"start must be at least 1 and lines from 1 to {MAX_LINES}")
        text = self._read(path).splitlines()
        if start > max(1, len(text)):
            raise ToolError(f"{path} has only {len(text)} lines")
        shown = [f"{number:4} {line}" for number, line in enumerate(text[start - 1 : start - 1 + lines], start=start)]
        return _shortened("\n".join([*shown, f"({len(text)} lines in all)"]), 3 * MAX_TEXT)

    @tool
    def search(self, pattern: str) -> str:
        """Find lines that match an extended regular expression, in all files."""
        result = self._run(["grep", "-rnIE", "--exclude-dir=.?*", "-m", "50", "-e", pattern, "."])
        if result.exit_code > 1:
            raise ToolError(f"search failed: {_shortened(result.text, 300)}")
        return _shortened(result.text) or "No line matches."

    @tool
    def replace(self, path: str, old: str, new: str) -> str:
        """Replace a text that occurs exactly once in a file; whitespace must match."""
        text = self._read(path)
        count = text.count(old) if old else 0
        if count != 1:
            found = "is empty" if not old else "does not occur" if count == 0 else f"occurs {count} times"
            raise ToolError(
                f"old {found} in {path}: copy it from read_file, without line numbers, with enough lines around it"
            )
        self._write(path, text.replace(old, new))
        return f"Replaced in {path}, line {text[: text.index(old)].count(chr(10)) + 1}."

    @tool
    def run_tests(self) -> str:
        """Run the visible tests and show which fail."""
        language = _language(self._now())
        files: Files = self._now().world["files"]
        result = self._run(list(language.test_command(list(files))))
        report = parse_junit(result.stdout)
        if report.problem or not report.cases:
            return f"The tests did not run ({report.problem or 'no test was found'}).\n{_shortened(result.text, 2000)}"
        bad = [case for case in report.cases if case.outcome != "passed"]
        missing = len(set(language.tests(files)) - {case.id for case in report.cases})
        lines = [
            f"{len(report.cases) - len(bad)} passed, {len(bad)} failed" + (f", {missing} not run" if missing else "")
        ]
        lines += [f"{case.outcome.upper()} {case.id}\n{case.message}" for case in bad[:10]]
        return _shortened("\n".join(lines))

    @tool
    def shell(self, command: str) -> str:
        """Run a shell command in the repository; it may take 20 seconds."""
        result = self._run(command)
        ended = f"exit code {result.exit_code}" if result.ended == "exited" else result.ended.replace("_", " ")
        return f"({ended})\n{_shortened(result.text)}"

    @tool(submits=True)
    def submit(self) -> dict[str, dict[str, str]]:
        """Hand in the sources as they are now; this ends the work."""
        return {"files": self._changed()}

    def _now(self) -> Task:
        assert self._task is not None, "a tool was called before start"
        return self._task

    def _run(self, command: str | list[str]) -> ExecResult:
        assert self._box is not None, "a tool was called before start or after close"
        if (isinstance(command, str) and "\0" in command) or (
            not isinstance(command, str) and any("\0" in part for part in command)
        ):
            raise ToolError("a NUL byte cannot be part of a command")
        return self._box.exec(command, timeout=SHELL_SECONDS)

    def _read(self, path: str) -> str:
        assert self._box is not None
        try:
            data = self._box.read(path)
        except OSError as error:
            raise ToolError(
                f"cannot read {path!r}: {error.strerror or error}; list_files shows what there is"
            ) from error
        return data.decode("utf-8", "replace")

    def _write(self, path: str, text: str) -> None:
        assert self._box is not None
        try:
            self._box.write(path, text.encode("utf-8", "replace"))
        except OSError as error:
            raise ToolError(f"cannot write {path!r}: {error.strerror or error}") from error

    def _changed(self) -> dict[str, str]:
        """Sources of the working tree that differ from the task's, a deleted one as an empty text."""
        files: Files = self._now().world["files"]
        if self._box is None:
            return {}
        language = _language(self._now())
        found = harvest(self._box, language, files)
        gone = {path: "" for path in files if language.is_source(path, files) and path not in found}
        changed = {
            path: text for path, text in found.items() if language.is_source(path, files) and files.get(path) != text
        }
        return {**changed, **gone}


def _language(task: Task) -> Language:
    return LANGUAGES[task.world["language"]]


def _key(bug: Bug, fixed: Files, hidden: Files) -> dict[str, Any]:
    """The repaired files, the hidden tests, and the replacements that repair one mistake after the other."""
    steps = []
    for number, (path, mutation) in enumerate(bug.sites):
        line, old, new = hunk(bug.broken(keep=number)[path], bug.broken(keep=number + 1)[path])
        place = {"path": path, "kind": mutation.kind, "function": mutation.function, "line": line}
        steps.append({**place, "old": old, "new": new})
    return {"patch": {path: fixed[path] for path in bug.broken()}, "hidden": dict(hidden), "steps": steps}


def _ran(report: Report, world: World) -> Part:
    ended = world.get("ended", "")
    if ended != "exited":
        return check("tests ran", False, f"the run was stopped: {ended or 'it never began'}")
    return check("tests ran", not report.problem, report.problem or f"{len(report.cases)} tests reported")


def _tests(name: str, report: Report, expected: tuple[str, ...]) -> Part:
    bad = not_passed(report, expected)
    detail = (
        f"all {len(expected)} passed"
        if not bad
        else f"{len(bad)} of {len(expected)} did not pass: {', '.join(bad[:8])}"
    )
    return check(name, bool(expected) and not bad, detail)


def _shortened(text: str, limit: int = MAX_TEXT) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... ({len(text) - limit} characters left out) ...\n{text[-half:]}"
