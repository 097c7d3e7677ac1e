"""Episodes and tasks as rows of the store, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..envs.types import Task
from ..infra.store import models
from ..infra.store.packing import pack_arrays, pack_f32, pack_i32, unpack_arrays, unpack_f32, unpack_i32
from .types import Completion, Episode, FinishReason, Kept, Message, Move, Turn

_ALL = -1
"""The length of what truncation left where it left everything."""


def task_row(task: Task, run_id: str | None = None, split: str = "train") -> models.Task:
    """A task as a row."""
    return models.Task(
        id=task.id,
        env=task.env,
        version=task.version,
        seed=task.seed,
        level=task.level,
        split=split,
        prompt=task.prompt,
        world=task.world,
        key=task.key,
        run_id=run_id,
    )


def task_of(row: models.Task) -> Task:
    """The task a row holds."""
    return Task(
        env=row.env,
        version=row.version,
        seed=row.seed,
        level=row.level,
        prompt=row.prompt,
        world=row.world or {},
        key=row.key,
    )


def verifier_version(env: str, version: str) -> str:
    """How the store names the verifier of a version of an environment."""
    return f"{env}-{version}"


def episode_rows(
    episode: Episode, job_id: str | None = None, run_id: str | None = None
) -> tuple[models.Rollout, list[Any]]:
    """The rollout's row, and the rows that hang on it (turns, evidence and verdict)."""
    paths = episode.segments
    rollout = models.Rollout(
        job_id=job_id,
        run_id=run_id,
        task_id=episode.task.id,
        sample=episode.sample,
        policy_id=episode.policy,
        outcome=episode.outcome,
        validity=episode.verdict.validity,
        reward=episode.verdict.reward,
        answer=episode.answer,
        error=episode.error or None,
        turns_count=len(episode.turns),
        tokens_count=sum(len(path.tokens) for path in paths),
        seconds=episode.seconds,
        metrics=episode.metrics,
        tokens=pack_i32([token for path in paths for token in path.tokens]),
        mask=pack_i32([one for path in paths for one in path.mask]),
        logprobs=pack_f32([logprob for path in paths for logprob in path.logprobs]),
    )
    verdict = models.Verdict(
        rollout_id=rollout.id,
        verifier_version=verifier_version(episode.task.env, episode.verifier or episode.task.version),
        validity=episode.verdict.validity,
        reward=episode.verdict.reward,
        parts=[part.model_dump() for part in episode.verdict.parts],
        note=episode.verdict.note,
    )
    turns = [_turn_row(rollout.id, index, turn) for index, turn in enumerate(episode.turns)]
    evidence = [models.Evidence(rollout_id=rollout.id, data=episode.evidence)] if episode.evidence is not None else []
    return rollout, [*turns, *evidence, verdict]


def _turn_row(rollout_id: str, index: int, turn: Turn) -> models.Turn:
    message: Message = turn.move.message or {}
    completion = turn.move.completion
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return models.Turn(
        rollout_id=rollout_id,
        index=index,
        thinking=message.get("reasoning_content") or "",
        content=message.get("content") or "",
        tool_calls=[{"name": call["name"], "arguments": call["arguments"]} for call in calls],
        results=list(turn.results),
        reply=turn.reply,
        kind=turn.move.kind,
        segment=turn.move.segment,
        rewrite=turn.move.rewrite,
        finish=completion.finish if completion else "",
        error=turn.move.error or None,
        prompt_tokens=pack_i32(turn.move.prompt_tokens),
        completion_tokens=pack_i32(completion.tokens if completion else ()),
        logprobs=pack_f32(completion.logprobs if completion else ()),
        version=completion.version if completion else 0,
        trace=pack_arrays(_traced(completion)) if completion else None,
        seconds=turn.seconds,
    )


def _traced(completion: Completion) -> dict[str, npt.NDArray[Any]]:
    """What an engine recorded beside tokens and log-probabilities, as arrays. Of `kept` the lengths, and the ids of all
    tokens in a row by their differences, which are small where ids are in order.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    if completion.versions is not None:
        arrays["versions"] = np.asarray(completion.versions, dtype=np.int64)
    if completion.experts is not None:
        arrays["experts"] = completion.experts
    if completion.kept is not None:
        ids = [id for some in completion.kept if some is not None for id in some]
        lengths = [_ALL if some is None else len(some) for some in completion.kept]
        arrays["kept_lengths"] = np.asarray(lengths, dtype=np.int32)
        arrays["kept_steps"] = np.diff(np.asarray(ids, dtype=np.int32), prepend=np.int32(0))
    return arrays


def _kept(lengths: Sequence[int], steps: npt.NDArray[Any]) -> Kept:
    ids = iter(np.cumsum(steps, dtype=np.int32).tolist())
    return tuple(None if length == _ALL else tuple(next(ids) for _ in range(length)) for length in lengths)


def completion_of(row: models.Turn) -> Completion | None:
    """The completion a stored turn holds, with all that was recorded of it; None where nothing was sampled."""
    tokens = tuple(unpack_i32(row.completion_tokens))
    if not tokens:
        return None
    arrays = unpack_arrays(row.trace)
    return Completion(
        tokens,
        tuple(unpack_f32(row.logprobs)),
        cast(FinishReason, row.finish or "stop"),
        version=row.version or 0,
        versions=tuple(arrays["versions"].tolist()) if "versions" in arrays else None,
        kept=_kept(arrays["kept_lengths"].tolist(), arrays["kept_steps"]) if "kept_lengths" in arrays else None,
        experts=arrays.get("experts"),
    )


def move_of(row: models.Turn) -> Move:
    """A stored turn as the move it was."""
    return Move(
        message=None if row.error else message_of(row),
        prompt_tokens=tuple(unpack_i32(row.prompt_tokens)),
        completion=completion_of(row),
        error=row.error or "",
        kind="summary" if row.kind == "summary" else "act",
        segment=row.segment,
        rewrite=row.rewrite or "",
    )


def message_of(row: models.Turn) -> Message:
    """The assistant message a stored turn holds."""
    message: Message = {"role": "assistant", "reasoning_content": row.thinking, "content": row.content}
    if row.tool_calls:
        message["tool_calls"] = [{"type": "function", "function": _as_json_arguments(call)} for call in row.tool_calls]
    return message


def _as_json_arguments(call: dict[str, Any]) -> dict[str, Any]:
    arguments = call["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"name": call["name"], "arguments": text}
