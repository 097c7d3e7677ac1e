"""Demonstrations: right, reproducible, and what was sampled is what the grammar says."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from palestra.envs.mini.travel import TravelMini
from palestra.envs.types import Answer, Task, World
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Trajectory
from palestra.synth import demonstrations as module
from palestra.synth.demonstrations import Demonstrations, Mixture
from palestra.verifiers.types import Verdict

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
CHAT = DeepseekCodec(CODEC.tokenizer, "chat", show_tools=False)


def drawn(mixture: Mixture, seed: int, count: int) -> list[Trajectory]:
    with Demonstrations([CODEC], mixture, seed) as stream:
        return list(islice(stream, count))


def test_the_same_seed_gives_the_same_trajectories() -> None:
    mixture = [("travel-mini", 1, 1.0), ("search-mini", 2, 1.0)]
    first = drawn(mixture, 3, 6)
    assert first == drawn(mixture, 3, 6)
    assert first != drawn(mixture, 4, 6)
    assert len(set(first)) == 6


def test_a_stream_goes_on_from_its_state() -> None:
    mixture = [("travel-mini", 1, 1.0), ("search-mini", 2, 1.0)]
    with Demonstrations([CODEC, CHAT], mixture, 3) as stream:
        list(islice(stream, 3))
        state = json.loads(json.dumps(stream.state_dict()))
        expected = list(islice(stream, 3))
    with Demonstrations([CODEC, CHAT], mixture, 99) as later:
        later.load_state_dict(state)
        assert list(islice(later, 3)) == expected


def test_both_modes_are_spoken() -> None:
    thinks = CODEC.tokenizer.token_id("</think>")
    with Demonstrations([CODEC, CHAT], [("search-mini", 2, 1.0)], 5) as stream:
        said = [
            any(token == thinks for token, sampled in zip(path.tokens, path.mask, strict=True) if sampled)
            for path in islice(stream, 12)
        ]
    assert set(said) == {True, False}


def test_every_sampled_stretch_is_a_message_with_a_thought() -> None:
    for path in drawn([("travel-mini", 1, 1.0), ("search-mini", 1, 1.0)], 1, 4):
        assert len(path.tokens) == len(path.mask) == len(path.logprobs)
        stretch: list[int] = []
        said = 0
        for token, sampled in zip(path.tokens, path.mask, strict=True):
            if sampled:
                stretch.append(token)
                if token == CODEC.tokenizer.eos_id:
                    message = CODEC.parse(stretch, finished=True).message
                    assert message is not None
                    assert message["reasoning_content"]
                    said, stretch = said + 1, []
        assert said >= 2
        assert not stretch
        assert path.mask[-1] == 1


def test_an_environment_that_needs_sandboxes_is_refused() -> None:
    with pytest.raises(ValueError, match="bugfix runs in sandboxes"):
        drawn([("bugfix", 1, 1.0)], 1, 1)


def test_an_oracle_that_always_fails_is_said_and_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hopeless(TravelMini):
        def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
            return Verdict(reward=0.0)

    monkeypatch.setattr(module, "environment_class", lambda name: Hopeless)
    monkeypatch.setattr(module, "HOPELESS", 5)
    with pytest.raises(ValueError, match="5 attempts in a row gave no demonstration, the last of travel"):
        drawn([("travel-mini", 1, 1.0)], 1, 1)
