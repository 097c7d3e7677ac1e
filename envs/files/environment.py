"""Chores with files and data, judged by what lies in the working directory at the end."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from typing import Any

from ...infra.sandbox.sync import Sandbox
from ...infra.sandbox.types import Limits
from ...verifiers.checks import all_of, check
from ...verifiers.files import same_files
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import EnvError, ToolError
from ..names import Names
from ..tools import tool
from ..types import Answer, Cheat, Task, ToolCall, World
from .chores import MAKERS
from .types import Chore, Tree

LIMITS = Limits(seconds=20.0, disk_bytes=32 << 20, output_bytes=4 << 20)
MAX_FILES, MAX_CHARACTERS, SHOWN = 2_000, 2_000_000, 8_000
_HARVEST = ["tar", "--create", "--file=-", "--directory=/work", "--exclude=./.*", "."]
_NOT_TEXT = "(not UTF-8: "


class Files(Environment):
    """Rename, merge, convert, sum up, sort away: the level is how many chores there are."""

    id = "files"
    version = "1"
    image = "python"
    max_turns = 32
    levels = range(1, 7)
    shell_tool = "shell"
    system = (
        "Do the chores in the working directory, /work. When all is done, call submit. Files in hidden folders and "
        "in /tmp "
        "do not count; leave no other new files in /work."
    )

    def __init__(self, sandboxes: Any = None) -> None:
        super().__init__(sandboxes)
        self._box: Sandbox | None = None

    def propose(self, rng: random.Random, level: int) -> Task:
        """`level` chores of different kinds, each in a folder of its own."""
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        names = Names(draw)
        kinds = draw.sample(sorted(MAKERS), level)
        chores = [MAKERS[kind](draw, names.draw().lower(), 1 + level // 3) for kind in kinds]
        lines = [f"{number}. {chore.request}" for number, chore in enumerate(chores, start=1)]
        before = {path: text for chore in chores for path, text in chore.before.items()}
        latin1 = sorted(path for chore in chores for path in chore.latin1)
        return self.task(
            seed=seed,
            level=level,
            prompt="\n".join(lines) if level > 1 else chores[0].request,
            world={"files": before, "latin1": latin1},
            key={"chores": [_key(chore) for chore in chores]},
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        """Run the chores' scripts."""
        for chore in task.key["chores"]:
            tools.think(f"Next: {chore['name']}.")
            tools.shell(command=chore["script"])
        tools.think("All is done.")
        return tools.submit()

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        """Each chore's folder must hold exactly what it must, and nothing else may be in the working directory."""
        found, parts = world.get("files", {}), []
        folders = set()
        for chore in task.key["chores"]:
            folder = next(iter(chore["after"])).partition("/")[0]
            folders.add(folder)
            here = {path: text for path, text in found.items() if path.partition("/")[0] == folder}
            parts.append(same_files(chore["name"], chore["after"], here, structured=bool(chore["data"])))
        strange = sorted(path for path in found if path.partition("/")[0] not in folders)
        parts.append(check("nothing else", not strange, f"left behind: {', '.join(strange[:5])}" if strange else ""))
        return all_of(parts)

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """The right state with one thing wrong: a chore not done, a file lost, altered, misplaced or left behind."""
        right = {path: text for chore in task.key["chores"] for path, text in chore["after"].items()}
        path = rng.choice(sorted(right))
        wrong = dict(right)
        slip = rng.randrange(5)
        if slip == 0:
            chore = rng.choice(task.key["chores"])
            folder = (
                path.partition("/")[0] if len(task.key["chores"]) == 1 else next(iter(chore["after"])).partition("/")[0]
            )
            wrong = {p: t for p, t in right.items() if p.partition("/")[0] != folder}
            wrong |= {p: t for p, t in task.world["files"].items() if p.partition("/")[0] == folder}
        elif slip == 1:
            del wrong[path]
        elif slip == 2:
            wrong[path] = _spoiled(rng, right[path])
        elif slip == 3:
            wrong[path + ".bak"] = right[path]
        else:
            wrong[rng.choice(["out.txt", "tmp.json", "notes/todo.txt"])] = "done\n"
        return {"files": wrong}

    def cheats(self, rng: random.Random, task: Task) -> Iterator[Cheat]:
        """Links in place of files, a lying tar, folders that cannot be read."""
        for name, command in (
            ("links to nowhere", "rm -rf /work/*; ln -s /grade /work/all; ln -s /etc/passwd /work/x"),
            (
                "a tar of its own",
                "mkdir -p /work/.bin /work/bin; printf '#!/bin/sh\\nexit 0\\n' > /work/bin/tar; chmod +x /work/bin/tar",
            ),
            ("unreadable", "chmod -R 000 /work/*; true"),
            (
                "a tar option file",
                "printf -- '--to-command=true\\n' > /work/.tarrc; touch -- '/work/--checkpoint=1' '/work/--exclude=*'",
            ),
        ):
            yield Cheat(name=name, calls=(ToolCall(name="shell", arguments={"command": command}),), submit=True)

    def start(self, task: Task) -> None:
        """Lease a sandbox and lay the files out. Raises SandboxError."""
        super().start(task)
        if self.sandboxes is None:
            raise EnvError("files works in a sandbox: give it sandboxes, e.g. Files(Sandboxes('auto'))")
        self._box = self.sandboxes.lease(self.image or "", LIMITS, owner=f"files {task.id}")
        result = self._box.exec(["tar", "-xf", "-"], stdin=_packed(task.world["files"], set(task.world["latin1"])))
        assert result.ok, result.text

    def finish(self, answer: Answer) -> World:
        """What lies in the working directory, or what the answer says lies there."""
        given = answer.get("files") if isinstance(answer, dict) else None
        if isinstance(given, dict) and all(isinstance(item, str) for pair in given.items() for item in pair):
            return {"files": given}
        return {"files": self._harvest()}

    def close(self) -> None:
        """Give the sandbox back."""
        if self._box is not None:
            self._box.close()
            self._box = None

    @tool
    def list_files(self) -> str:
        """List all files below the working directory with their sizes in bytes."""
        return self._run("find . -type f -printf '%P %s\\n' | LC_ALL=C sort") or "There are no files."

    @tool
    def read_file(self, path: str) -> str:
        """Show a text file."""
        assert self._box is not None, "a tool was called before start or after close"
        try:
            return _shortened(self._box.read(path).decode("utf-8", "replace"))
        except OSError as error:
            raise ToolError(
                f"cannot read {path!r}: {error.strerror or error}; list_files shows what there is"
            ) from error

    @tool
    def write_file(self, path: str, text: str) -> str:
        """Write a text file, in place of what was there."""
        assert self._box is not None, "a tool was called before start or after close"
        try:
            self._box.write(path, text.encode("utf-8", "replace"))
        except OSError as error:
            raise ToolError(f"cannot write {path!r}: {error.strerror or error}") from error
        return f"Wrote {path}."

    @tool
    def shell(self, command: str) -> str:
        """Run a shell command in the working directory; it may take 20 seconds. Python 3 is installed."""
        return self._run(command)

    @tool(submits=True)
    def submit(self) -> dict[str, dict[str, str]]:
        """Hand the working directory in as it is; this ends the work."""
        return {"files": self._harvest()}

    def _run(self, command: str) -> str:
        assert self._box is not None, "a tool was called before start or after close"
        if "\0" in command:
            raise ToolError("a NUL byte cannot be part of a command")
        result = self._box.exec(command)
        text = _shortened(result.text)
        if result.ended != "exited":
            return f"{text}\n({result.ended.replace('_', ' ')})"
        return text if result.ok else f"{text}\n(exit code {result.exit_code})"

    def _harvest(self) -> dict[str, str]:
        """Regular files by path; hidden ones at the top do not count, links and what cannot be read are not files."""
        if self._box is None:
            return {}
        found: dict[str, str] = {}
        room = MAX_CHARACTERS
        try:
            with tarfile.open(fileobj=io.BytesIO(self._box.exec(_HARVEST).stdout)) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None and len(found) < MAX_FILES and room >= 0:
                        text = _decoded(content.read())
                        room -= len(text)
                        found[member.name.removeprefix("./")] = text
        except tarfile.TarError:
            return found  # cut off at the output limit: what is whole counts
        return found


def _key(chore: Chore) -> dict[str, Any]:
    after, data = dict(chore.after), sorted(chore.data)
    return {"name": chore.name, "after": after, "data": data, "script": chore.script}


def _spoiled(rng: random.Random, text: str) -> str:
    """A text with one thing wrong that matters: a digit, a line's place, a line lost."""
    digits = [at for at, letter in enumerate(text) if letter.isdigit()]
    lines = text.splitlines(keepends=True)
    kind = rng.randrange(3)
    if kind == 0 and digits:
        at = rng.choice(digits)
        return f"{text[:at]}{(int(text[at]) + rng.randrange(1, 9)) % 10}{text[at + 1 :]}"
    if kind == 1 and len(lines) > 2 and lines[-1] != lines[-2]:
        return "".join([*lines[:-2], lines[-1], lines[-2]])
    return "".join(lines[:-1]) if len(lines) > 1 else text + "x"


def _packed(files: Tree, latin1: set[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, text in sorted(files.items()):
            data = text.encode("latin-1" if path in latin1 else "utf-8")
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"{_NOT_TEXT}{data.hex()[:200]})"


def _shortened(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    half = SHOWN // 2
    return f"{text[:half]}\n... ({len(text) - SHOWN} characters left out) ...\n{text[-half:]}"
