"""The kernel, as it runs inside the sandbox: cells come as JSON lines on standard input, what they print goes back.

Standard library only. Asked: `{"code", "seconds", "characters"}`; told: `{"text", "ended"}`, where `ended` is `done`,
`raised` or `timed_out`. The namespace lives as long as the process.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import tempfile
import traceback
from types import CodeType, FrameType
from typing import Any

NAME = "<cell>"


class CellTimeout(BaseException):
    """A cell took too long; not an Exception, so that `except Exception` lets it pass."""


def _ring(signum: int, frame: FrameType | None) -> None:
    raise CellTimeout


class Screen:
    """Everything that the process and its children write to descriptors 1 and 2."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        for descriptor in (1, 2):
            os.dup2(self._file.fileno(), descriptor)

    def take(self, characters: int) -> str:
        """What was written since the last time, its middle left out where it is longer than `characters`."""
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.lseek(self._file.fileno(), 0, os.SEEK_END)
        half = 2 * characters  # bytes: more than `characters` of any text
        head = os.pread(self._file.fileno(), half, 0)
        tail = os.pread(self._file.fileno(), half, max(half, size - half))
        gap = f"\n... ({size - 2 * half} bytes left out) ...\n" if size > 2 * half else ""
        os.ftruncate(self._file.fileno(), 0)
        os.lseek(self._file.fileno(), 0, os.SEEK_SET)
        text = head.decode("utf-8", "replace") + gap + tail.decode("utf-8", "replace")
        if len(text) <= characters:
            return text
        keep = characters // 2
        return f"{text[:keep]}\n... ({len(text) - 2 * keep} characters left out) ...\n{text[-keep:]}"


def compiled(code: str) -> tuple[CodeType, CodeType | None]:
    """The statements of a cell, and its last expression, whose value is shown."""
    tree = ast.parse(code, NAME)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), NAME, "eval")  # type: ignore[attr-defined]
    return compile(tree, NAME, "exec"), last


def run_cell(code: str, seconds: float, names: dict[str, Any]) -> str:
    """Run a cell; returns how it ended."""
    try:
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            statements, last = compiled(code)
            exec(statements, names)
            value = eval(last, names) if last is not None else None
            if value is not None:
                print(repr(value))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except CellTimeout:
        return "timed_out"
    except BaseException:  # also SystemExit: the kernel lives on
        _show_error()
        return "raised"
    return "done"


def _show_error() -> None:
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != NAME:
        trace = trace.tb_next  # ours are of no use to the reader
    traceback.print_exception(kind, error, trace)


def main() -> None:
    """Serve cells until the input ends."""
    asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    screen = Screen()
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    for line in asked:
        request = json.loads(line)
        ended = run_cell(request["code"], request["seconds"], names)
        json.dump({"text": screen.take(request["characters"]), "ended": ended}, told)
        told.write("\n")
        told.flush()


if __name__ == "__main__":
    main()
