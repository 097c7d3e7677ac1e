"""A kernel seen from outside: one long command in a sandbox, talked to line by line."""

from __future__ import annotations

import json
from pathlib import Path

from ...infra.sandbox.sync import Conversation, Sandbox
from ...infra.sandbox.types import Chunk, ExecResult

SOURCE = Path(__file__).with_name("kernel.py").read_text()
COMMAND = ["python3", "-uc", SOURCE]
PATIENCE = 5.0
"""Seconds beyond a cell's own limit until the kernel counts as stuck."""
_MAX_REPLY = 1 << 20


class Session:
    """Runs cells in one namespace. A kernel that died or hangs is replaced by a fresh one, and the reader is told."""

    def __init__(self, box: Sandbox, seconds: float, characters: int) -> None:
        self._box, self._seconds, self._characters = box, seconds, characters
        self._talk: Conversation | None = None

    def run(self, code: str) -> str:
        """What the cell printed, the value of its last expression, its traceback."""
        if self._talk is None:
            self._talk = self._box.converse(COMMAND, timeout=self._box_seconds)
        request = {"code": code, "seconds": self._seconds, "characters": self._characters}
        self._talk.send(json.dumps(request).encode() + b"\n")
        reply = self._reply(self._talk)
        if isinstance(reply, str):
            self.close()
            return f"{reply} The kernel was started again: all names are gone, files are kept."
        text, ended = str(reply.get("text", "")), reply.get("ended")
        late = f"\nThe cell was stopped after {self._seconds:g} seconds." if ended == "timed_out" else ""
        return (text.rstrip("\n") + late).lstrip("\n") or "(no output)"

    def close(self) -> None:
        """End the kernel."""
        if self._talk is not None:
            self._talk.close()
            self._talk = None

    @property
    def _box_seconds(self) -> float:
        return 24 * 3600.0  # the lease ends before

    def _reply(self, talk: Conversation) -> dict[str, object] | str:
        """The kernel's answer, or in words why there is none."""
        got = b""
        while not got.endswith(b"\n"):
            event = talk.receive(self._seconds + PATIENCE)
            if event is None:
                return f"The cell did not end within {self._seconds:g} seconds."
            if isinstance(event, ExecResult):
                why = "ran out of memory" if event.ended == "out_of_memory" else f"ended (exit code {event.exit_code})"
                return f"The kernel {why}."
            got += event.data if isinstance(event, Chunk) and event.stream == "stdout" else b""
            if len(got) > _MAX_REPLY:
                return "The kernel's answer is too long."
        try:
            reply = json.loads(got)
        except ValueError:
            reply = None
        return reply if isinstance(reply, dict) else "The cell wrote into the kernel's own line."
