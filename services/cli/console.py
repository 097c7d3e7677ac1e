"""What commands print: results on stdout (JSON for machines), progress on stderr for people."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from ..progress import Update

_EVERY_SECONDS = 5.0


class Console:
    """Implements `services.progress.Progress`. With `as_json` only the one JSON result is printed."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def say(self, text: str) -> None:
        """One line for people, on stderr, so that stdout holds results only."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)

    def line(self, text: str = "") -> None:
        """One line of the result for people."""
        if not self.as_json:
            print(text)

    def data(self, value: Any) -> None:
        """The result for machines: one JSON value."""
        if self.as_json:
            print(json.dumps(finite(value), ensure_ascii=False, default=str))

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table for people."""
        if self.as_json:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if title:
            print(title)
        headed = any(columns)
        table = Table(box=box.SIMPLE_HEAD if headed else None, pad_edge=False, show_header=headed)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        _rich(stderr=False).print(table)

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Update]:
        """A bar on a terminal; elsewhere a line every few seconds."""
        if self.as_json:
            yield lambda done, note: None
        elif sys.stderr.isatty():
            with self._bar(title, total) as update:
                yield update
        else:
            with self._lines(title, total) as update:
                yield update

    @contextmanager
    def _bar(self, title: str, total: int) -> Iterator[Update]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=_rich(stderr=True), transient=True) as progress:
            bar = progress.add_task(title, total=total, note="")
            yield lambda done, note: progress.update(bar, completed=done, note=note)

    @contextmanager
    def _lines(self, title: str, total: int) -> Iterator[Update]:
        last = time.monotonic()
        self.say(title)

        def update(done: int, note: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _EVERY_SECONDS:
                last = time.monotonic()
                self.say(f"  {done} of {total}{'; ' + note if note else ''}")

        yield update


def finite(value: Any) -> Any:
    """JSON has no NaN: such numbers become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _rich(stderr: bool) -> RichConsole:
    from rich.console import Console as Rich

    return Rich(stderr=stderr, highlight=False, soft_wrap=False)
