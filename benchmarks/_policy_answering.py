"""A peer's half of the talk with `_policy_peers.Peer`: a line of JSON in, a line of JSON out. Needs psutil alone."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import psutil

# From the import on, what the peer prints goes to stderr, so that stdout carries answers alone.
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def serve(handlers: dict[str, Callable[..., dict[str, Any]]], packages: tuple[str, ...], settings: Any) -> None:
    """Say the versions and the settings, then answer `{"do": NAME, ...}` with what that handler returns, until stdin
    ends.
    """
    about = {"versions": {name: version(name) for name in packages}, "settings": settings}
    print(json.dumps(about), file=_ANSWERS, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = handlers[asked.pop("do")](**asked)
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=_ANSWERS, flush=True)


def cpu_seconds() -> float:
    """CPU time of this process and of the children it has now."""
    own = psutil.Process()
    spent = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(times.user + times.system for times in spent)
