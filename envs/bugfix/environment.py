"""Repair a real bug in a repository of one of eight languages, judged by tests that the agent never sees."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, ClassVar

from ...infra.sandbox.sync import Sandbox, Sandboxes
from ...infra.sandbox.types import ExecResult
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import EnvError, ToolError
from ..tools import tool
from ..types import Answer, Cheat, Task, World
from .breaking import LEVELS
from .cheating import cheats_of
from .grading import grade, verdict
from .knowledge import Knowledge, known
from .mutants import Wrong
from .proposing import propose
from .recipes import completed
from .running import Changes, Workshop, run_tests, workshop
from .solving import solve_by_key
from .submissions import clock, harvest, read_answer

MAX_TEXT, MAX_LINES, MAX_LISTED, SHELL_SECONDS = 8_000, 400, 400, 60.0
_HIDDEN_PATHS = "-not -path '*/.*'"


class BugFix(Environment):
    """Find and repair the mistakes in a repository, in Python, Java, JavaScript, TypeScript, C, C++, Go or PHP."""

    id = "bugfix"
    version = "2"
    languages: ClassVar[tuple[str, ...]] = ("c", "cpp", "go", "java", "javascript", "php", "python", "typescript")
    image = "python"
    images: ClassVar[tuple[str, ...]] = languages
    levels = range(1, len(LEVELS) + 1)
    shell_tool: ClassVar[str] = "shell"
    system = (
        "You repair bugs in the repository in /work. Look at the code with the tools, change it with replace, "
        "write_file or the shell, check with run_tests, and call submit when the repair is complete."
    )

    def __init__(self, sandboxes: Any = None) -> None:
        super().__init__(sandboxes)
        self._box: Sandbox | None = None
        self._task: Task | None = None
        self._since = ""

    def propose(self, rng: random.Random, level: int) -> Task:
        """A project with a bug that its tests show; raises ProposeFailed where none is found, SandboxError."""
        if level not in self.levels:
            raise ValueError(f"{self.id} has levels 1 to {len(LEVELS)}, not {level}")
        seed = rng.getrandbits(32)
        return self.task(seed=seed, level=level, **propose(rng, self._shop(), self.languages, level))

    def solve(self, task: Task, tools: Any) -> Answer:
        """Repair each mistake where the key says it is, through the tools."""
        return solve_by_key(task, tools)

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """A wrong patch that was seen to fail; see `Wrong`."""
        return Wrong(task, _known(task), self._shop()).answer(rng)

    def secrets(self, task: Task, answer: Answer) -> Iterable[str]:
        """The repaired lines, with enough around them to stand nowhere in the broken tree."""
        readable = list(self.readable(task))
        for step in task.key["steps"]:
            for text in (step["new"], task.key["patch"][step["path"]]):
                if text and not any(text in other for other in readable):
                    yield text
                    break

    def readable(self, task: Task) -> Iterable[str]:
        """Every file of the agent's tree."""
        files = {**_known(task).project.files, **_broken(task)}
        return (text for _, text in sorted(files.items()) if text is not None)

    def cheats(self, rng: random.Random, task: Task) -> Iterable[Cheat]:
        """Attacks on the test runner of the task's language, from sources and from the shell."""
        return cheats_of(rng, task, _known(task))

    def start(self, task: Task) -> None:
        """Lease a sandbox and lay out the broken tree in it. Raises UnknownProject, SandboxError."""
        super().start(task)
        self._task = task
        self._box = self._shop().open(_known(task).project, _broken(task), owner=f"bugfix {task.id}")
        self._since = clock(self._box)

    def finish(self, answer: Answer) -> World:
        """Run all tests in a fresh sandbox, on the answer's sources or, without one, on the working tree's."""
        task, about = self._now(), _known(self._now())
        submission = read_answer({"files": self._changed()} if answer is None else answer, about, _broken(task))
        return grade(self._shop(), task, about.project, submission)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        """All tests must have run and passed, in a run whose report can be believed; what did not is named."""
        return verdict(task, world)

    def close(self) -> None:
        """Give the sandbox back."""
        if self._box is not None:
            self._box.close()
            self._box = None

    @tool
    def list_files(self) -> str:
        """List the files of the repository with their sizes in bytes."""
        result = self._run(f"find . -type f {_HIDDEN_PATHS} -printf '%P %s\\n' | sort | head -n {MAX_LISTED}")
        return _shortened(result.text, 2 * MAX_TEXT) or "There are no files."

    @tool
    def read_file(self, path: str, start: int = 1, lines: int = 200) -> str:
        """Show lines of a file with their numbers, at most 400 at a time."""
        if start < 1 or not 1 <= lines <= MAX_LINES:
            raise ToolError(f"start must be at least 1 and lines from 1 to {MAX_LINES}")
        text = self._read(path).encode("utf-8", "replace").decode().splitlines()
        if start > max(1, len(text)):
            raise ToolError(f"{path} has only {len(text)} lines")
        shown = [f"{number:4} {line}" for number, line in enumerate(text[start - 1 : start - 1 + lines], start=start)]
        return _shortened("\n".join([*shown, f"({len(text)} lines in all)"]), 3 * MAX_TEXT)

    @tool
    def search(self, pattern: str, folder: str = ".") -> str:
        """Find lines that match an extended regular expression, in all files below a folder."""
        result = self._run(["grep", "-rnIE", "--exclude-dir=.?*", "-m", "50", "-e", pattern, "--", folder])
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
    def write_file(self, path: str, text: str) -> str:
        """Write a whole file, new or in place of what is there."""
        self._write(path, text)
        return f"Wrote {len(text)} characters to {path}."

    @tool
    def delete_file(self, path: str) -> str:
        """Delete a file."""
        result = self._run(["rm", "--", path])
        if not result.ok:
            raise ToolError(f"cannot delete {path!r}: {_shortened(result.text, 300)}")
        return f"Deleted {path}."

    @tool
    def run_tests(self) -> str:
        """Compile what changed, run the visible tests and show which fail."""
        assert self._box is not None, "a tool was called before start or after close"
        project = _known(self._now()).project
        self._run(["rm", "-rf", "/tmp/report.xml"])
        ran = run_tests(self._box, project)
        if ran.report.problem or not ran.report.cases:
            why = ran.report.problem or "no test was found"
            return f"The tests did not run ({why}, {ran.ended.replace('_', ' ')}).\n{_shortened(ran.output, 3000)}"
        expected = set(project.suite.visible)
        bad = [case for case in ran.report.cases if case.outcome not in ("passed", "skipped")]
        missing = len(expected - {case.id for case in ran.report.cases})
        counts = f"{len(ran.report.cases) - len(bad)} passed, {len(bad)} failed"
        lines = [counts + (f", {missing} not run" if missing else "")]
        lines += [f"{case.outcome.upper()} {case.id}\n{_shortened(case.message, 800)}" for case in bad[:10]]
        return _shortened("\n".join(lines))

    @tool
    def shell(self, command: str) -> str:
        """Run a shell command in the repository; it may take 60 seconds."""
        result = self._run(command)
        ended = f"exit code {result.exit_code}" if result.ended == "exited" else result.ended.replace("_", " ")
        return f"({ended})\n{_shortened(result.text)}"

    @tool(submits=True)
    def submit(self) -> dict[str, dict[str, str | None]]:
        """Hand in the sources as they are now; this ends the work."""
        return {"files": self._changed()}

    def _shop(self) -> Workshop:
        if not isinstance(self.sandboxes, Sandboxes):
            raise EnvError(f"{self.id} runs code: give it sandboxes, e.g. BugFix(Sandboxes('auto'))")
        return workshop(self.sandboxes)

    def _now(self) -> Task:
        assert self._task is not None, "a tool was called before start"
        return self._task

    def _run(self, command: str | list[str]) -> ExecResult:
        assert self._box is not None, "a tool was called before start or after close"
        if any("\0" in part for part in ([command] if isinstance(command, str) else command)):
            raise ToolError("a NUL byte cannot be part of a command")
        env = completed(_known(self._now()).project.recipe).env
        return self._box.exec(command, env=env, timeout=SHELL_SECONDS)

    def _read(self, path: str) -> str:
        assert self._box is not None
        try:
            data = self._box.read(path)
        except OSError as error:
            raise ToolError(
                f"cannot read {path!r}: {error.strerror or error}; list_files shows what there is"
            ) from error
        return data.decode("utf-8", "surrogateescape")

    def _write(self, path: str, text: str) -> None:
        assert self._box is not None
        try:
            self._box.write(path, text.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError as error:
            raise ToolError("the text is not Unicode") from error
        except OSError as error:
            raise ToolError(f"cannot write {path!r}: {error.strerror or error}") from error

    def _changed(self) -> dict[str, str | None]:
        """Sources of the working tree that differ from the task's; a deleted one is None."""
        if self._box is None:
            return {}
        return harvest(self._box, _known(self._now()), _broken(self._now()), self._since)


def _known(task: Task) -> Knowledge:
    return known(task.world["project"]["digest"])


def _broken(task: Task) -> Changes:
    broken: Changes = task.world["broken"]
    return broken


def _shortened(text: str, limit: int = MAX_TEXT) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... ({len(text) - limit} characters left out) ...\n{text[-half:]}"
