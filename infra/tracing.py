"""Spans for every floor: what takes how long, as OpenTelemetry tells it, and as sums for metrics.

    with span("tool", tool="search") as one:
        result = ...
        one.set(ok=result.ok)

Until the process has a tracer provider nothing is recorded, and a span costs about a microsecond: it only adds its
seconds to the `measured()` block around it. Attributes are written as `palestra.NAME`. `carrier()` and `carried()` take
the current span across processes (W3C trace context); threads of `asyncio.to_thread` keep it by themselves.

`configure()` gives a process the provider that its environment asks for: OTEL_TRACES_EXPORTER is `console`, `otlp`
(with the extra `telemetry`, and OTEL_EXPORTER_OTLP_ENDPOINT and the like as its documentation says) or a file's path
with a `/` in it, to which spans are appended as JSON lines.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context, propagate, trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORTER = "OTEL_TRACES_EXPORTER"
_OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_tracer = trace.get_tracer("palestra")
_measured: ContextVar[_Sums | None] = ContextVar("palestra_measured", default=None)

Attribute = str | bool | int | float | None


class TracingUnavailable(Exception):
    """What the environment asks for cannot be had; the message names it and the remedy."""


class Wrapper(Exception):
    """An exception raised `from` what really happened: spans tell of that instead."""


def is_recording() -> bool:
    """Whether this process has a tracer provider."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


class _Sums(dict[str, float]):
    """Seconds by name. Whether anything is recorded is found out once, for asking costs more than a span."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = is_recording()


class span:
    """A span around a block, the child of the one around it; an exception that leaves the block is recorded there."""

    __slots__ = ("_attributes", "_began", "_name", "_span", "_sums", "_token")

    def __init__(self, name: str, **attributes: Attribute) -> None:
        self._name, self._attributes = name, attributes
        self._span: trace.Span | None = None

    def __enter__(self) -> Self:
        self._sums = _measured.get()
        if is_recording() if self._sums is None else self._sums.recording:
            self._span = _tracer.start_span(self._name)
            self._token = self._attach(self._span)
            self.set(**self._attributes)
        self._began = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        seconds = perf_counter() - self._began
        if self._sums is not None:
            self._sums[self._name] = self._sums.get(self._name, 0.0) + seconds
        if self._span is not None:
            if error is not None and not isinstance(error, GeneratorExit):
                self.fail(error)
            self._span.set_attribute("palestra.seconds", seconds)
            self._span.end()
            if self._token is not None:
                context.detach(self._token)

    def _attach(self, own: trace.Span) -> Token[context.Context] | None:
        return context.attach(trace.set_span_in_context(own))

    def set(self, **attributes: Attribute) -> None:
        """Attributes, each with `palestra.` before its name; None is left out."""
        if self._span is not None:
            given = {f"palestra.{name}": value for name, value in attributes.items() if value is not None}
            self._span.set_attributes(given)

    def fail(self, problem: BaseException | str) -> None:
        """Mark the span as failed; an exception is recorded with its traceback."""
        if self._span is None:
            return
        if isinstance(problem, Wrapper) and problem.__cause__ is not None:
            problem = problem.__cause__
        if isinstance(problem, BaseException):
            self._span.record_exception(problem)
            problem = f"{type(problem).__name__}: {problem}"
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, problem[:500]))


class side_span(span):
    """A span that is not the parent of what happens within its block: for generators, whose consumers have spans of
    their own. One that its consumer leaves has not failed."""

    __slots__ = ()

    def _attach(self, own: trace.Span) -> None:
        return None


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Seconds by the names of the spans that end within the block, its threads included; spans of an inner block count
    there alone. A tracer provider that comes within the block is seen after it."""
    sums = _Sums()
    token = _measured.set(sums)
    try:
        yield sums
    finally:
        _measured.reset(token)


def carrier() -> dict[str, str]:
    """The current span for another process; empty where nothing is recorded."""
    found: dict[str, str] = {}
    if is_recording():
        propagate.inject(found)
    return found


@contextmanager
def carried(carrier: Mapping[str, str]) -> Iterator[None]:
    """Make the span of another process the parent of what follows."""
    if not carrier:
        yield
        return
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def environment() -> dict[str, str]:
    """The variables that decide what `configure` does, for a process elsewhere."""
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}


def configure() -> None:
    """Give this process the tracer provider its environment asks for, unless it has one. Raises TracingUnavailable."""
    wanted = os.environ.get(EXPORTER, "none")
    if wanted in ("", "none") or is_recording():
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "palestra")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(wanted)))
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Hand over what was recorded and waits to be sent; a worker that may be killed at any time does so."""
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()


def _exporter(wanted: str) -> SpanExporter:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    if wanted == "console":
        return ConsoleSpanExporter()
    if wanted == "otlp":
        try:
            exporter: SpanExporter = importlib.import_module(_OTLP).OTLPSpanExporter()
        except ImportError:
            raise TracingUnavailable(f"{EXPORTER}=otlp needs the exporter: pip install 'palestra[telemetry]'") from None
        return exporter
    if "/" in wanted:
        from .span_file import SpanFile

        return SpanFile(wanted)
    raise TracingUnavailable(f"{EXPORTER} is {wanted!r}: it must be none, console, otlp or a path with a / in it")
