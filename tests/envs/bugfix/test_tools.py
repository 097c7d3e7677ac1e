"""The agent's tools, and what is taken of its work."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from palestra.envs.bugfix.environment import BugFix
from palestra.envs.bugfix.knowledge import known
from palestra.envs.bugfix.projects import load
from palestra.envs.bugfix.submissions import counts, read_answer
from palestra.envs.errors import EnvError
from palestra.envs.types import Task, ToolCall
from palestra.infra.sandbox.sync import Sandboxes


class Python(BugFix):
    """Bugs in Python."""

    languages = ("python",)


@pytest.fixture(scope="module")
def task(sandboxes: Sandboxes) -> Task:
    return Python(sandboxes).propose(random.Random(5), 1)


@pytest.fixture
def env(sandboxes: Sandboxes, task: Task) -> Iterator[BugFix]:
    found = BugFix(sandboxes)
    found.start(task)
    yield found
    found.close()


def call(env: BugFix, name: str, **arguments: object) -> str:
    return env.call(ToolCall(name=name, arguments=dict(arguments))).text


def test_tools(env: BugFix, task: Task) -> None:
    path = sorted(task.key["patch"])[0]
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
    assert "NUL" in call(env, "shell", command="a\0b")
    assert "Error" in call(env, "delete_file", path="nothing.py")
    assert len(call(env, "shell", command="yes | head -c 300000")) < 10_000
    assert env.call(ToolCall(name="submit")).submitted
    assert env.answer == {"files": {}}


def test_nothing_hidden_or_correct_lies_in_the_agents_sandbox(env: BugFix, task: Task) -> None:
    project = known(task.world["project"]["digest"]).project
    for name in project.hidden:
        assert name not in call(env, "list_files")
        assert name.rpartition("/")[2] not in call(env, "shell", command="find / -name '*test_more*' 2>/dev/null")
    assert call(env, "shell", command="ls -A /tmp /grade; git log").count("canar") == 0


def test_the_working_tree_is_graded_without_an_answer(env: BugFix, task: Task) -> None:
    for path, text in task.key["patch"].items():
        call(env, "write_file", path=path, text=text)
    assert env.verify(task, None, env.finish(None)).passed


def test_new_and_deleted_sources_count_and_other_files_do_not(env: BugFix, task: Task) -> None:
    project = task.world["project"]["name"]
    assert call(env, "write_file", path=f"{project}/more.py", text="X = 1\n").startswith("Wrote")
    call(env, "shell", command=f"rm {project}/__init__.py; echo > notes.txt; echo > tests/test_new.py; echo 1 > x.bin")
    assert env.call(ToolCall(name="submit")).submitted
    assert env.answer == {"files": {f"{project}/more.py": "X = 1\n", f"{project}/__init__.py": None}}


def test_links_special_files_and_bytes_that_are_no_text_are_not_taken(env: BugFix, task: Task) -> None:
    project, path = task.world["project"]["name"], sorted(task.key["patch"])[0]
    command = (
        f"rm {path}; ln -s /etc/passwd {path}; mkfifo {project}/a.py; printf '\\377' > {project}/b.py; cd {project}"
    )
    command += "; ln -s /etc c.py; printf 'x = 1' > d.py; ln d.py e.py; head -c 3000000 /dev/zero > f.py"
    call(env, "shell", command=command)
    assert env.call(ToolCall(name="submit")).submitted
    taken = env.answer["files"]
    assert taken.pop(path) is None
    assert set(taken) <= {f"{project}/d.py", f"{project}/e.py"}


def test_files_with_old_dates_are_taken(env: BugFix, task: Task) -> None:
    path = sorted(task.key["patch"])[0]
    call(env, "shell", command=f"echo '# more' >> {path}; touch -d '2001-01-01' {path}")
    assert env.call(ToolCall(name="submit")).submitted
    assert env.answer["files"][path].endswith("# more\n")


def test_which_paths_count() -> None:
    about = known(load("python/ledger").digest)
    for path in ("ledger/loans.py", "ledger/new.py"):
        assert counts(about, path), path
    for path in (
        "tests/test_ledger.py",
        "tests/new.py",
        "conftest.py",
        "ledger/notes.txt",
        "ledger/../x.py",
        "/ledger/x.py",
        "ledger//x.py",
        "ledger/.x.py",
        "other/x.py",
        "ledger/loans.py/x.py",
        "ledger/node_modules/x.py",
        "ledger/a\nb.py",
        "ledger/" + "x" * 300 + ".py",
        "tests/test_more_ledger.py",
        "",
    ):
        assert not counts(about, path), path


def test_a_source_that_reaches_for_the_runner_is_refused_and_says_why() -> None:
    about = known(load("python/ledger").digest)
    text = about.project.files["ledger/loans.py"]
    answer = read_answer({"files": {"ledger/loans.py": text + "\nimport os\n"}}, about, {})
    assert answer.problem.startswith("ledger/loans.py: ")
    assert read_answer({"files": {"ledger/loans.py": text + "\nX = 1\n"}}, about, {}).problem == ""
    odd = read_answer({"files": {"ledger/loans.py": "\ud800"}}, about, {})
    assert odd.ignored == ("ledger/loans.py",)


def test_without_sandboxes_it_says_what_to_give(task: Task) -> None:
    with pytest.raises(EnvError, match="give it sandboxes"):
        BugFix().start(task)
