"""Spans: their tree across threads and processes, their failures, and that they are nothing where nobody records."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from palestra.infra import tracing
from palestra.infra.sandbox.sync import Sandboxes
from palestra.infra.tracing import Wrapper, carried, carrier, measured, span

CONFIGURED = """
from palestra.infra import tracing
tracing.configure()
with tracing.carried({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}):
    with tracing.span("outer", number=3), tracing.span("inner"):
        pass
"""


def test_nothing_is_recorded_without_a_provider_but_seconds_are_measured() -> None:
    assert not tracing.is_recording()
    with measured() as outer:
        with span("a") as one:
            one.set(x=1)
            one.fail("no")
        with measured() as inner, span("b"):
            pass
        with pytest.raises(KeyError), span("a"):
            raise KeyError("k")
    assert carrier() == {}
    assert set(outer) == {"a"}
    assert set(inner) == {"b"}
    assert outer["a"] > 0


def test_threads_and_other_processes_keep_the_tree(spans: InMemorySpanExporter) -> None:
    def work() -> None:
        with span("thread"):
            pass

    async def main() -> None:
        with measured() as sums, span("here"):
            await asyncio.to_thread(work)
            given.update(carrier())
        assert set(sums) == {"here", "thread"}

    given: dict[str, str] = {}
    asyncio.run(main())
    assert set(given) == {"traceparent"}
    with carried(given), span("elsewhere"):
        pass
    with span("apart"):
        pass
    found = {one.name: one for one in spans.get_finished_spans()}
    here = found["here"].context
    assert here is not None
    for name in ("thread", "elsewhere"):
        parent, context = found[name].parent, found[name].context
        assert parent is not None
        assert context is not None
        assert (parent.span_id, context.trace_id) == (here.span_id, here.trace_id)
    assert found["apart"].parent is None


def test_what_leaves_a_span_is_recorded_once_and_a_wrapper_gives_way_to_its_cause(spans: InMemorySpanExporter) -> None:
    with pytest.raises(Wrapper), span("outer"):
        raise Wrapper("wrapped") from OSError("disk")
    (one,) = spans.get_finished_spans()
    (event,) = one.events
    assert event.attributes is not None
    assert (event.name, event.attributes["exception.type"]) == ("exception", "OSError")
    assert one.status.description == "OSError: disk"
    assert not one.status.is_ok


def test_a_sandbox_tells_its_lease_and_its_commands(spans: InMemorySpanExporter) -> None:
    with Sandboxes("process") as sandboxes, sandboxes.lease("python") as box:
        box.exec(["sh", "-c", "exit 3"])
        name = box.id
    lease, command = spans.get_finished_spans()
    assert lease.attributes is not None
    assert command.attributes is not None
    assert (lease.name, command.name) == ("sandbox.lease", "sandbox.exec")
    assert (lease.attributes["palestra.backend"], lease.attributes["palestra.lease"]) == ("process", name)
    assert (command.attributes["palestra.exit_code"], command.attributes["palestra.ended"]) == (3, "exited")
    assert command.attributes["palestra.lease"] == name


def test_a_streamed_command_is_a_span_that_is_nobodys_parent(spans: InMemorySpanExporter) -> None:
    with Sandboxes("process") as sandboxes, sandboxes.lease("python") as box, span("outer"):
        for _ in box.stream("echo one; exit 3"):
            with span("inner"):
                pass
        left = box.stream("echo two; exec sleep 60")
        next(left)
        left.close()  # type: ignore[attr-defined]
    found = spans.get_finished_spans()
    (outer,) = (one for one in found if one.name == "outer")
    assert outer.context is not None
    above = {one.parent.span_id for one in found if one.name in ("inner", "sandbox.stream") and one.parent is not None}
    assert above == {outer.context.span_id}
    whole, cut = (one for one in found if one.name == "sandbox.stream")
    assert whole.attributes is not None
    assert (whole.attributes["palestra.exit_code"], whole.attributes["palestra.ended"]) == (3, "exited")
    assert cut.attributes is not None
    assert "palestra.ended" not in cut.attributes
    assert not cut.events
    assert cut.status.is_unset


def test_spans_go_to_the_file_that_the_environment_names(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    environment = {"OTEL_TRACES_EXPORTER": str(path), "PATH": ""}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", CONFIGURED], env=environment, check=True)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["name"] for one in found] == ["inner", "outer"] * 2
    assert {one["context"]["trace_id"] for one in found} == {"0x0af7651916cd43dd8448eb211c80319c"}
    assert found[1]["parent_id"] == "0xb7ad6b7169203331"
    assert found[0]["parent_id"] == found[1]["context"]["span_id"]
    assert found[1]["attributes"]["palestra.number"] == 3
    assert found[1]["resource"]["attributes"]["service.name"] == "palestra"


def test_spans_go_to_the_console() -> None:
    environment = {"OTEL_TRACES_EXPORTER": "console", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", CONFIGURED], env=environment, check=True, capture_output=True)
    assert b'"name": "inner"' in done.stdout


def test_an_exporter_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(tracing.TracingUnavailable, match="OTEL_TRACES_EXPORTER is 'zipkin': it must be none, console"):
        tracing.configure()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(tracing.TracingUnavailable, match=r"pip install 'palestra\[telemetry\]'"):
        tracing.configure()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    tracing.configure()
    assert not tracing.is_recording()
