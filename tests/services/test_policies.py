"""Policies behind OpenAI-compatible servers, by their name."""

import asyncio
import json
import pickle
import random
from pathlib import Path

import pytest

from palestra.envs.mini.travel import TravelMini
from palestra.rollout.engines.fake import serving
from palestra.rollout.engines.openai_text import OpenAIChatPolicy
from palestra.rollout.episode import run_episode
from palestra.rollout.errors import TokenizerError
from palestra.rollout.players import TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Sampling
from palestra.services.errors import BadRequest
from palestra.services.policies import OpenAIMaker, parse_policy

URL = "openai:http://localhost:8000/v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train_tokenizer([], 300).save(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_server_is_spoken_to_in_text_or_in_tokens(folder: Path) -> None:
    text, tokens = parse_policy(f"{URL}?model=m"), parse_policy(f"{URL}?model=m&tokens={folder}")
    assert text.identity == "openai:http://localhost:8000/v1?model=m"
    assert tokens.identity == "openai:http://localhost:8000/v1?model=m&tokens=tiny"
    assert isinstance(pickle.loads(pickle.dumps(text))(None), OpenAIChatPolicy)
    assert isinstance(pickle.loads(pickle.dumps(tokens))(None), TokenPolicy)


def test_settings_of_the_folder_hold(folder: Path) -> None:
    (folder / "palestra.json").write_text('{"show_tools": false, "context": 99}')
    made = parse_policy(f"{URL}?model=m&tokens={folder}")
    assert isinstance(made, OpenAIMaker)
    assert (made.show_tools, made.context) == (False, 99)
    asked = parse_policy(f"{URL}?model=m&tokens={folder}", context=50)
    assert isinstance(asked, OpenAIMaker)
    assert asked.context == 50


def test_what_is_wrong_is_said_at_once(folder: Path) -> None:
    with pytest.raises(TokenizerError, match="no tokenizer at"):
        parse_policy(f"{URL}?model=m&tokens={folder.parent}")
    with pytest.raises(BadRequest, match="is not openai:BASE_URL"):
        parse_policy(f"{URL}?tokens={folder}")
    (folder / "palestra.json").write_text("[]")
    with pytest.raises(BadRequest, match=r"palestra\.json"):
        parse_policy(f"{URL}?model=m&tokens={folder}")


def test_an_episode_in_tokens(folder: Path) -> None:
    async def main() -> None:
        async with serving(context=1 << 20) as fake:
            policy = parse_policy(f"openai:{fake.base_url}?model=m&tokens={folder}", Sampling(max_tokens=9))(None)
            episode = await run_episode(TravelMini(), TravelMini().propose(random.Random(3), 1), policy)
            await policy.close()
        assert (episode.verdict.validity, episode.outcome) == ("valid", "max_tokens")
        (path,) = episode.segments
        assert sum(path.mask) == 9
        assert list(path.tokens[: -sum(path.mask)]) == fake.asked[0]["prompt"]
        assert json.dumps(fake.asked[0]["stop_token_ids"]) == "[1]"

    asyncio.run(main())
