"""Cheats as command lines, for environments whose agent has a shell; the texts are in `shell.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ...envs.environment import Environment
from ...envs.types import Cheat, ToolCall

_TEXTS = Path(__file__).with_name("shell.toml")


@cache
def texts() -> dict[str, str]:
    """The command line of every cheat, by name."""
    data = tomllib.loads(_TEXTS.read_text("utf-8"))
    quiet = {name: f"({data['prelude']}{text}\n) >/dev/null 2>&1; true" for name, text in data["leave"].items()}
    return quiet | {name: f"({text}\n) 2>/dev/null | head -c 200000; true" for name, text in data["read"].items()}


def shell_cheats(env: Environment) -> Iterator[Cheat]:
    """Every cheat as one call of the environment's shell, after which the state is handed in.

    Raises ValueError where `shell` names no tool that takes one command line.
    """
    required = (
        env.toolset[env.shell_tool].schema.parameters.get("required", []) if env.shell_tool in env.toolset else []
    )
    if len(required) != 1:
        raise ValueError(
            f"{env.id}: `shell_tool` is {env.shell_tool!r}, which is no tool with exactly one required argument"
        )
    for name, text in texts().items():
        call = ToolCall(name=env.shell_tool, arguments={required[0]: text})
        yield Cheat(name=f"{env.shell_tool}: {name}", calls=(call,), submit=True)
