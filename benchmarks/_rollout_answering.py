"""The peer's half of the talk with `_rollout_peers.Peer`: a line of JSON in, a line of JSON out."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version


async def serve(package: str, measure: Callable[[int, str], Awaitable[float]]) -> None:
    """Say the version, then answer each `{"count": N, "variant": NAME}` with what `measure` returns, until stdin ends.

    What the peer prints goes to stderr, so that stdout carries answers alone.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"version": version(package)}), file=answers, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        rate = await measure(asked["count"], asked["variant"])
        print(json.dumps({"rate": rate}), file=answers, flush=True)
