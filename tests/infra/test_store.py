"""The store: exactly-once rows, pages, crashes, full disks, other databases, and PostgreSQL."""

import math
import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from palestra.infra.store import (
    Certificate,
    Job,
    Metric,
    Rollout,
    Run,
    Store,
    StoreConflict,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreVersion,
    Task,
    Turn,
    Verdict,
    pack_f32,
    pack_i32,
    unpack_f32,
    unpack_i32,
)
from palestra.infra.store.columns import plain_json

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/s.db") as store:
        yield store


def rollout(id: str, sample: int = 0, **more: Any) -> Rollout:
    values: dict[str, Any] = {"job_id": "job", "task_id": "task", "policy_id": "oracle", "outcome": "answered"} | more
    return Rollout(id=id, sample=sample, **values)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_integers_survive_packing(values: list[int]) -> None:
    assert unpack_i32(pack_i32(values)) == values
    assert len(pack_i32(values)) == 4 * len(values)


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_floats_survive_packing(values: list[float]) -> None:
    assert unpack_f32(pack_f32(values)) == values


def test_packing_is_little_endian_and_refuses_what_does_not_fit() -> None:
    assert pack_i32([1, -2]) == b"\x01\0\0\0\xfe\xff\xff\xff"
    assert pack_f32([1.0]) == b"\0\0\x80\x3f"
    assert math.isnan(unpack_f32(pack_f32([math.nan]))[0])
    assert unpack_i32(None) == unpack_f32(None) == []
    with pytest.raises(ValueError, match="2147483648 does not fit"):
        pack_i32([2**31])


def test_rows_come_back_as_they_went_in(store: Store) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    store.add(
        Verdict(id="v", rollout_id="r", reward=0.5, parts=[{"name": "a", "score": 0.5}], created_at=at),
        Turn(rollout_id="r", index=1, thinking="t", tool_calls=[{"name": "f"}], completion_tokens=pack_i32([1])),
        rollout("r", answer={"a": [1, None]}, tokens=pack_i32([1, 2]), reward=0.5),
    )
    found = store.get(Rollout, "r")
    assert found is not None
    assert found.answer == {"a": [1, None]}
    assert unpack_i32(found.tokens) == [1, 2]
    verdict = store.get(Verdict, "v")
    assert verdict is not None
    assert verdict.created_at == at
    assert verdict.created_at.tzinfo is UTC
    assert store.get(Rollout, "none") is None
    assert store.page(Turn, rollout_id="r")[0][0].results == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.characters(codec=None, categories=None)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)) | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        ),
        max_leaves=6,
    ),
)
def test_whatever_a_policy_emits_can_be_stored(store: Store, words: str, value: Any) -> None:
    row = rollout("x", job_id=None, error=words, answer=value)
    row.id = os.urandom(8).hex()
    store.add(row)
    found = store.get(Rollout, row.id)
    assert found is not None
    assert found.answer == plain_json(value)
    assert found.error is not None
    assert len(found.error) == len(words)


def test_add_is_all_or_nothing(store: Store) -> None:
    store.add(Run(id="a", kind="train"))
    with pytest.raises(StoreConflict, match=r"runs\.id"):
        store.add(Run(id="b", kind="train"), Run(id="a", kind="train"))
    assert store.get(Run, "b") is None
    with pytest.raises(StoreConflict):
        store.add(Turn(rollout_id="nowhere", index=0))
    with pytest.raises(TypeError, match="no column 'colour'"):
        Run(kind="train", colour="red")


def test_add_once_stores_one_rollout_per_job_task_and_sample(store: Store) -> None:
    first = rollout("r1")
    assert store.add_once(first, Turn(rollout_id="r1", index=0), Verdict(rollout_id="r1", reward=1.0))
    assert first.seq == 1
    assert not store.add_once(rollout("r2"), Turn(rollout_id="r2", index=0))
    assert store.add_once(rollout("r3", sample=1))
    assert store.add_once(rollout("r4", job_id="other"))
    assert (store.count(Rollout), store.count(Turn), store.count(Verdict)) == (3, 1, 1)
    assert store.finished("job") == {("task", 0), ("task", 1)}


def test_add_once_leaves_nothing_if_what_comes_with_it_fails(store: Store) -> None:
    twice = [Turn(rollout_id="r", index=0), Turn(rollout_id="r", index=0)]
    with pytest.raises(StoreConflict):
        store.add_once(rollout("r"), *twice)
    assert store.count(Rollout) == 0


def test_certificates_are_one_per_task_and_verifier_version(store: Store) -> None:
    assert store.add_once(Certificate(task_id="t", verifier_version="1", accepted=True))
    assert not store.add_once(Certificate(task_id="t", verifier_version="1", accepted=False))
    assert store.add_once(Certificate(task_id="t", verifier_version="2", accepted=False))


def test_update_and_metrics(store: Store) -> None:
    store.add(Job(id="j", kind="rollout", total=3))
    assert store.update(Job, "j", done=2, status="done")
    assert not store.update(Job, "k", done=2)
    job = store.get(Job, "j")
    assert job is not None
    assert (job.done, job.status) == (2, "done")
    with pytest.raises(ValueError, match="no column 'colour'"):
        store.update(Job, "j", colour="red")
    store.log_metrics("run", 4, {"a": 1, "b": math.nan, "c": math.inf})
    assert {(row.name, row.value) for row in store.page(Metric, run_id="run", step=4)[0]} == {
        ("a", 1.0),
        ("b", None),
        ("c", None),
    }


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from("ab"), max_size=25),
    limit=st.integers(1, 9),
    kind=st.sampled_from(["a", "b", None]),
    newest=st.booleans(),
)
def test_pages_give_every_row_once_in_order(kinds: list[str], limit: int, kind: str | None, newest: bool) -> None:
    with Store("sqlite://") as store:
        store.add(*(Run(id=str(index), kind=kind) for index, kind in enumerate(kinds)))
        equals: dict[str, Any] = {} if kind is None else {"kind": kind}
        expected = [str(index) for index, one in enumerate(kinds) if kind in (None, one)]
        seen: list[str] = []
        cursor = None
        while True:
            rows, cursor = store.page(Run, after=cursor, limit=limit, newest=newest, **equals)
            seen += [row.id for row in rows]
            if cursor is None:
                break
            assert len(rows) == limit
        assert seen == (expected[::-1] if newest else expected)
        assert store.count(Run, **equals) == len(expected)


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "9" * 30, "٣"])
def test_a_bad_cursor_is_named(store: Store, after: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        store.page(Run, after=after)


def test_a_bad_limit_or_column_is_named(store: Store) -> None:
    with pytest.raises(ValueError, match="limit 0"):
        store.page(Run, limit=0)
    with pytest.raises(ValueError, match="Run has no column 'colour'"):
        store.page(Run, colour="red")
    with pytest.raises(StoreError, match="64 bits"):
        store.add(Task(id="t", env="e", version="1", seed=2**70, prompt=""))


def test_a_store_can_be_pickled_and_shared_by_threads(store: Store, tmp_path: Path) -> None:
    with pickle.loads(pickle.dumps(store)) as other:
        other.add(Run(id="there", kind="train"))
    assert store.get(Run, "there") is not None
    for url in (f"sqlite:///{tmp_path}/threads.db", "sqlite://"):
        with Store(url) as shared:
            threads = [threading.Thread(target=add_many, args=(shared, name)) for name in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert shared.count(Run) == 40


def add_many(store: Store, name: int) -> None:
    for index in range(10):
        store.add(Run(id=f"{name}-{index}", kind="train"))


WRITER = """
import sys
from palestra.infra.store import *
store, name = Store(sys.argv[1]), sys.argv[2]
for sample in range(int(sys.argv[3])):
    new = store.add_once(
        Rollout(id=f"{name}-{sample}", job_id="j", task_id="t", sample=sample, policy_id="p", outcome="answered"),
        *(Turn(rollout_id=f"{name}-{sample}", index=index, thinking="x" * 2000) for index in range(3)),
        Verdict(rollout_id=f"{name}-{sample}", reward=1.0),
    )
    print(sample, int(new), flush=True)
"""


def writer(url: str, name: str, samples: int) -> "subprocess.Popen[str]":
    """A process that stores rollouts, and says so after each."""
    command = [sys.executable, "-c", WRITER, url, name, str(samples)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_writers(url: str) -> None:
    """Kill writers with -9 in the middle; nothing acknowledged may be missing, nothing half there."""
    acknowledged: set[int] = set()
    for attempt, kill_after in enumerate([7, 23]):
        with writer(url, f"w{attempt}", 100_000) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(kill_after)]
            os.kill(process.pid, signal.SIGKILL)
            lines += process.stdout.readlines()
        assert "" not in lines
        acknowledged |= {int(line.split()[0]) for line in lines if line.endswith("\n")}
    with Store(url) as store:
        stored = {sample for _, sample in store.finished("j")}
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= 2
        assert store.count(Rollout) == len(stored) == store.count(Verdict)
        assert store.count(Turn) == 3 * len(stored)


def racing_writers(url: str) -> None:
    """Processes that open a new store and write the same samples at once: each sample is stored once."""
    processes = [writer(url, f"w{index}", 15) for index in range(3)]
    claimed: list[str] = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        claimed += [line.split()[0] for line in out.splitlines() if line.endswith(" 1")]
    assert sorted(claimed, key=int) == [str(sample) for sample in range(15)]


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    killed_writers(f"sqlite:///{tmp_path}/killed.db")
    check = sqlite3.connect(tmp_path / "killed.db")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_many_processes_store_each_sample_once(tmp_path: Path) -> None:
    racing_writers(f"sqlite:///{tmp_path}/race.db")


def test_a_forked_child_has_its_own_connection(store: Store) -> None:
    store.add(Run(id="parent", kind="train"))
    child = multiprocessing.get_context("fork").Process(target=store.add, args=(Run(id="child", kind="train"),))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert [row.id for row in store.page(Run)[0]] == ["parent", "child"]


def test_sqlite_keeps_what_it_acknowledged(store: Store) -> None:
    with store.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "'nonsense' is not a database URL: write one like sqlite:///palestra.db"),
        ("mysql://me:secret@host/x", r"mysql://me:\*\*\*@host/x is neither SQLite nor PostgreSQL"),
        ("sqlite:////no/such/folder/x.db", "the folder /no/such/folder does not exist: mkdir -p"),
        ("sqlite:////tmp", "/tmp is a folder: name a file in it"),
        ("postgresql://me:sec@ret@127.0.0.1:1/x", "cannot be reached .* check that the database runs"),
        ("postgresql+nothing://me:secret@h/x", "cannot be opened"),
        ("post gres://me:secret@h/x?password=secret", "is not a database URL"),
    ],
)
def test_a_bad_url_is_one_clear_line_without_the_password(url: str, says: str) -> None:
    with pytest.raises(StoreUnavailable, match=says) as caught:
        Store(url)
    assert "sec" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(random.Random(1).randbytes(8192))
    with pytest.raises(StoreUnavailable, match="is not a database"):
        Store(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(("version", "says"), [(0, "older schema"), (99, "newer schema .* pip install -U palestra")])
def test_another_schema_version_is_one_clear_line(store: Store, version: int, says: str) -> None:
    with store.session() as session:
        session.execute(text("UPDATE schema_version SET version = :version"), {"version": version})
    with pytest.raises(StoreVersion, match=says):
        Store(store.url)


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE runs (a)")
    connection.close()
    with pytest.raises(StoreVersion, match=r"another program \(runs\)"):
        Store(f"sqlite:///{tmp_path}/x.db")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small tmpfs at `folder`; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("may not mount a tmpfs here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(not AS_ROOT, reason="mounting needs root")
def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m"), Store(f"sqlite:///{tmp_path}/disk/s.db") as store:
        acknowledged: list[int] = []
        with pytest.raises(StoreFull, match=r"is full .* free space"):
            fill(store, acknowledged)
        assert len(acknowledged) > 3
        assert store.finished("job") == {("task", sample) for sample in acknowledged}


def fill(store: Store, acknowledged: list[int]) -> None:
    for sample in range(1000):
        store.add(rollout(str(sample), sample, error="x" * 20_000))
        acknowledged.append(sample)


def test_a_database_at_its_largest_size_is_full(store: Store) -> None:
    with pytest.raises(StoreFull, match="database or disk is full"):
        add_after(store, "PRAGMA max_page_count = 1", rollout("big", error="x" * 1_000_000))
    assert store.count(Rollout) == 0


def add_after(store: Store, statement: str, row: Run | Rollout) -> None:
    with store.session() as session:
        session.execute(text(statement))
        session.add(row)


@pytest.mark.skipif(not AS_ROOT, reason="mounting needs root")
def test_a_read_only_folder_is_one_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with mounted(folder, "size=4m"):
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with pytest.raises(StoreUnavailable, match=r"cannot be opened .* can be written, or give another"):
            Store(f"sqlite:///{folder}/new.db")


def test_a_read_only_database_is_one_clear_line(store: Store) -> None:
    with pytest.raises(StoreFull, match=r"cannot be written .* permissions"):
        add_after(store, "PRAGMA query_only = 1", Run(kind="train"))


def replaced(store: Store) -> None:
    """A row in another's place, with what hangs on both; a row that does not meet the conditions stays."""

    def put(id: str, validity: str) -> bool:
        same = (Rollout.job_id == "again", Rollout.sample == 0, Rollout.validity != "valid")
        hanging = (Turn(rollout_id=id, index=0), Verdict(rollout_id=id))
        return store.add_once(rollout(id, job_id="again", validity=validity), *hanging, instead_of=same)

    store.add(rollout("beside", sample=1, job_id="again", validity="invalid_env"))
    assert [put(*given) for given in (("a", "invalid_env"), ("b", "invalid_env"), ("c", "valid"), ("d", "valid"))] == [
        *(True, True, True),
        False,
    ]
    assert {row.id for row in store.page(Rollout, job_id="again")[0]} == {"beside", "c"}
    for kind in (Turn, Verdict):
        hanging = [store.count(kind, rollout_id=id) for id in "abcd"]
        assert hanging == [0, 0, 1, 0]
    assert store.finished("again", Rollout.validity == "valid") == {("task", 0)}


def test_a_row_makes_room_for_another_in_one_transaction(store: Store) -> None:
    replaced(store)


@pytest.mark.postgres
def test_postgres_does_what_sqlite_does(postgres: str) -> None:
    with Store(postgres + "postgres") as store:
        assert store.add_once(rollout("r", answer={"a\0": math.nan}, error="\ud800\0"), Turn(rollout_id="r", index=0))
        assert not store.add_once(rollout("s"), Turn(rollout_id="s", index=0))
        found = store.get(Rollout, "r")
        assert found is not None
        assert (found.seq, found.answer, found.error) == (1, {"a␀": "NaN"}, "�␀")
        with pytest.raises(StoreConflict):
            store.add(rollout("r", sample=9))
        assert store.update(Rollout, "r", reward=1.0)
        store.add(*(Run(id=str(index), kind="train") for index in range(5)))
        rows, cursor = store.page(Run, limit=3)
        assert [row.id for row in rows] == ["0", "1", "2"]
        assert [row.id for row in store.page(Run, after=cursor)[0]] == ["3", "4"]
        at = datetime(2026, 1, 1, tzinfo=UTC)
        store.add(Run(id="at", kind="train", started_at=at))
        stored = store.get(Run, "at")
        assert stored is not None
        assert stored.started_at == at
        replaced(store)
        with pytest.raises(StoreFull, match="cannot be written"):
            add_after(store, "SET TRANSACTION READ ONLY", Run(kind="train"))


@pytest.mark.postgres
def test_postgres_survives_killed_and_racing_writers(postgres: str) -> None:
    with Store(postgres + "postgres") as store:
        for name in ("killed", "race"):
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
    killed_writers(postgres + "killed")
    racing_writers(postgres + "race")


@pytest.mark.postgres
def test_postgres_without_the_database_is_one_clear_line(postgres: str) -> None:
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist') as caught:
        Store(postgres + "nowhere")
    assert "secret" not in str(caught.value)
