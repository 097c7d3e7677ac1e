"""The interpreter: answers of the host against programs run in the sandbox, verdicts, and a kernel that keeps state."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from palestra.envs.environment import SolverTools
from palestra.envs.interpreter.environment import KINDS, Interpreter
from palestra.envs.types import Task, ToolCall
from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox.sync import Sandboxes

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
Run = Callable[[str], str]


@pytest.fixture(scope="module", params=[DOCKER, "bwrap"])
def sandboxes(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    if why_not_debootstrap() is None:
        ensure_image("interpreter")
    with Sandboxes(request.param) as found:
        yield found


@pytest.fixture
def env(sandboxes: Sandboxes) -> Iterator[Interpreter]:
    found = Interpreter(sandboxes)
    found.start(found.propose(random.Random(1), 1))
    yield found
    found.close()


@pytest.fixture
def run(env: Interpreter) -> Run:
    return lambda code: env.call(ToolCall(name="python", arguments={"code": code})).text


def tasks_of_each_kind(level: int) -> Iterator[Task]:
    seen: set[str] = set()
    for seed in range(1000):
        task = Interpreter().propose(random.Random(f"{level}/{seed}"), level)
        if task.key["kind"] not in seen:
            seen.add(task.key["kind"])
            yield task
        if len(seen) == len(KINDS):
            return
    pytest.fail(f"never proposed: {set(KINDS) - seen}")


@pytest.mark.parametrize("level", list(Interpreter.levels))
def test_programs_in_the_sandbox_find_what_the_host_computed(sandboxes: Sandboxes, level: int) -> None:
    for task in tasks_of_each_kind(level):
        env = Interpreter(sandboxes)
        env.start(task)
        answer = env.solve(task, SolverTools(env))
        env.close()
        assert env.verify(task, answer, env.world).passed, (task.key["kind"], answer, task.key["answer"])
        wrong = {Interpreter().mutate(random.Random(seed), task, answer) for seed in range(200)}
        assert len(wrong) >= 5
        assert not [slip for slip in wrong if env.verify(task, slip, {}).passed]


def test_the_same_seed_gives_the_same_task() -> None:
    for level in Interpreter.levels:
        first, again = (Interpreter().propose(random.Random(level), level) for _ in range(2))
        assert first.id == again.id


def judged(wanted: str, given: Any) -> bool:
    env = Interpreter()
    task = env.task(
        seed=1, level=1, prompt="?", key={"answer": wanted, "names": wanted.isascii() and wanted[0].isalpha()}
    )
    return env.verify(task, given, {}).passed


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("-7/12", "-14/24"), ("12", 12), ("12", "12.0"), ("1234.50", "1234.5"), ("Abo, Cid", "abo,  CID."), ("3/2", 1.5)],
)
def test_the_same_value_written_otherwise_is_right(wanted: str, given: Any) -> None:
    assert judged(wanted, given)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        *(
            ("-7/12", "7/12"),
            ("12", True),
            ("12", None),
            ("12", [12]),
            ("12", "12 apples"),
            ("12", "1/0"),
            ("12", "nan"),
        ),
        *(
            ("12", "1e999999999"),
            ("12", "9" * 5000),
            ("12", {"answer": 12}),
            ("Abo, Cid", "Abo"),
            ("Abo, Cid", "Cid, Abo"),
        ),
        *(("12", "12.0000000001"), ("12", float("inf")), ("12", "١٣"), ("12", "")),
    ],
)
def test_anything_else_is_wrong(wanted: str, given: Any) -> None:
    assert not judged(wanted, given)


def test_names_stay_and_the_last_value_is_shown(run: Run) -> None:
    assert run("import math\nx = 41\ndef f(n): return n + 1") == "(no output)"
    assert run("print('so'); f(x)") == "so\n42"
    assert run("math.gcd(x + 1, 28)") == "14"


def test_an_error_shows_the_cell_alone_and_the_kernel_lives_on(run: Run) -> None:
    assert run("y = 5\n1 / 0").splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert 'File "<string>"' not in run("1 / 0")
    assert "SyntaxError" in run("1 +")
    assert "SystemExit" in run("raise SystemExit(0)")
    assert run("y") == "5"


def test_children_and_raw_descriptors_are_heard(run: Run) -> None:
    assert run("import os, subprocess\nos.write(2, b'raw ')\n_ = subprocess.run(['echo', 'child'])") == "raw child"


def test_long_output_loses_its_middle(run: Run) -> None:
    text = run("print('a' + 'x' * 10**6 + 'z')")
    assert len(text) < 9000
    assert text.startswith("ax")
    assert text.endswith("xz")
    assert "left out" in text


def test_a_kernel_that_dies_is_replaced_and_its_files_stay(run: Run) -> None:
    run("z = 1; open('/work/kept', 'w').write('here')")
    told = run("import os; os._exit(3)")
    assert told == "The kernel ended (exit code 3). The kernel was started again: all names are gone, files are kept."
    assert "NameError" in run("z")
    assert run("open('/work/kept').read()") == "'here'"


def test_a_long_cell_is_stopped(sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palestra.envs.interpreter.environment.CELL_SECONDS", 0.2)
    monkeypatch.setattr("palestra.envs.interpreter.session.PATIENCE", 0.2)
    env = Interpreter(sandboxes)
    env.start(env.propose(random.Random(1), 1))
    try:
        env.python("kept = 7")
        assert env.python("while True: pass") == "The cell was stopped after 0.2 seconds."
        assert env.python("kept") == "7"
        stubborn = "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass"
        assert env.python(stubborn).startswith("The cell did not end within 0.2 seconds. The kernel was started again")
        assert "NameError" in env.python("kept")
    finally:
        env.close()


def test_memory_is_bounded(run: Run) -> None:
    assert (
        "The kernel" in (told := run("x = bytearray(4 << 30); x[::4096] = b'1' * len(x[::4096])"))
        or "MemoryError" in told
    )
    assert run("1 + 1") == "2"


def test_the_kernels_voice_earns_nothing(sandboxes: Sandboxes) -> None:
    env = Interpreter(sandboxes)
    task = env.propose(random.Random(3), 2)
    for cheat in env.cheats(random.Random(1), task):
        env.start(task)
        for call in cheat.calls:
            env.call(call)
        answer = None if cheat.submit else cheat.answer
        assert env.verify(task, answer, env.finish(answer)).reward == 0.0
        env.close()
