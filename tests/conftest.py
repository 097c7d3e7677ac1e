"""What all tests share."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from palestra.infra import tracing

_APART = "PALESTRA_TESTED_APART"
# A process whose Ray head does not answer for so many seconds ends without a word, and all tests with it.
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "1200")
POSTGRES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The spans that end during the test; a process can set its provider only once, so this one is put in its place."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("palestra"))
    yield exporter
    provider.shutdown()


@pytest.fixture(scope="session", autouse=True)
def _no_projects(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see the projects that ship, whatever this machine's user has ingested; so do the processes they start."""
    os.environ["PALESTRA_PROJECTS"] = str(tmp_path_factory.mktemp("projects"))


@pytest.fixture(scope="module", autouse=True)
def _no_ray_left() -> Iterator[None]:
    """A file that connects to Ray disconnects: the next one would play on what this one started."""
    yield
    ray = sys.modules.get("ray")
    assert ray is None or not ray.is_initialized(), "this file leaves Ray connected: end it with ray.shutdown()"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `apart` run in a pytest of their own: Ray ends a process whose cluster is gone, at once or later."""
    if _APART not in os.environ:
        items[:] = [_apart(item) if item.get_closest_marker("apart") else item for item in items]


def _apart(item: pytest.Item) -> pytest.Item:
    def alone() -> None:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "-rs", item.nodeid]
        environ = os.environ | {_APART: "1"}
        done = subprocess.run(
            command, cwd=item.config.rootpath, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout, done.stdout

    made: pytest.Item = pytest.Function.from_parent(item.parent, name=item.name, callobj=alone)
    made.own_markers += item.own_markers
    return made


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a failure is told at once, too: a run that is cut off says what failed before."""
    if report.failed and os.environ.get("CI") == "true":
        print(f"\n{report.nodeid} ({report.when}):\n{report.longreprtext}", file=sys.__stderr__, flush=True)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a throwaway PostgreSQL server."""
    if not (POSTGRES / "initdb").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL: apt-get install postgresql")
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    folder = Path(tmp_path_factory.mktemp("postgres"))
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = Path(f"/tmp/palestra-pg-{os.getpid()}")
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, "postgres", "postgres")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {data}"
    try:
        _run_pg([*user, str(POSTGRES / "initdb"), "-D", f"{data}/db", "-A", "trust", "-U", "palestra"], folder)
        control = [*user, str(POSTGRES / "pg_ctl"), "-D", f"{data}/db", "-w"]
        _run_pg([*control, "-o", options, "-l", f"{data}/log", "start"], folder)
        try:
            yield f"postgresql://palestra:secret@127.0.0.1:{port}/"
        finally:
            _run_pg([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(data)


def _run_pg(command: list[str], folder: Path) -> None:
    """Run one of PostgreSQL's programs; its output goes to a file, because the server keeps it open."""
    log = folder / "log"
    with log.open("w") as out:
        done = subprocess.run(command, cwd="/", stdout=out, stderr=out, check=False)
    assert done.returncode == 0, log.read_text()
