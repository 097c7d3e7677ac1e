"""Policies by their name on the command line: oracle, noop, random, replay:ID, palestra:DIR (with ?mode=chat it does
not think), openai:URL?model=NAME, and openai:URL?model=NAME&tokens=DIR for a server that takes and gives token ids.

What `parse_policy` returns is picklable and small: a Ray worker calls it to build the policy where it will play.
Anything wrong with the name, the checkpoint or the server is said before any worker starts.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast
from urllib.parse import parse_qs, urlsplit, urlunsplit

from ..infra.sandbox.sync import Sandboxes
from ..infra.store import Store
from ..rollout.codec import DeepseekCodec
from ..rollout.grammar import TOKENS, ThinkingMode
from ..rollout.tokenizer import Tokenizer, train_tokenizer
from ..rollout.types import Message, Policy, Sampling
from .checkpoints import read_settings
from .errors import BadRequest

if TYPE_CHECKING:
    from ..policy.config import DeepseekV32Config

FORMS = (
    "oracle, noop, random, replay:ROLLOUT_ID, palestra:CHECKPOINT_DIR[?mode=chat], "
    "openai:BASE_URL?model=NAME[&tokens=DIR]"
)
COLDSTART = Path(__file__).resolve().parent.parent / "policy" / "checkpoints" / "coldstart"
DEFAULT_CONTEXT = 2048
_SLOTS = 32


class NamedPolicy(Protocol):
    """A `rollout.workers.MakePolicy` that knows what it is: equal identities mean equal policies, weights too."""

    @property
    def identity(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def uri(self) -> str: ...

    def __call__(self, sandboxes: Sandboxes | None) -> Policy: ...


@dataclass(frozen=True)
class ScriptedMaker:
    """The oracle, doing nothing, or random tool use."""

    kind: Literal["oracle", "noop", "random"]
    seed: int = 0
    uri: str = ""

    @property
    def identity(self) -> str:
        return self.kind

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        from ..rollout import scripts

        if self.kind == "oracle":
            return scripts.oracle_policy(scripted_codec(), sandboxes)
        return (
            scripts.noop_policy(scripted_codec())
            if self.kind == "noop"
            else scripts.random_policy(scripted_codec(), self.seed)
        )


@dataclass(frozen=True)
class ReplayMaker:
    """The assistant messages of a stored rollout, whatever the task."""

    rollout_id: str
    messages: list[Message] = field(hash=False)
    kind: str = "replay"
    uri: str = ""

    @property
    def identity(self) -> str:
        return f"replay:{self.rollout_id}"

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        from ..rollout.scripts import replay_policy

        return replay_policy(scripted_codec(), self.rollout_id, self.messages)


@dataclass(frozen=True)
class CheckpointMaker:
    """A DeepSeek-V3.2 checkpoint on disk, played by the project's own engine."""

    uri: str
    digest: str
    sampling: Sampling
    context: int
    show_tools: bool
    mode: ThinkingMode = "thinking"
    deterministic: bool = False
    kind: str = "palestra"

    @property
    def identity(self) -> str:
        named = f"palestra:{Path(self.uri).name}@{self.digest[:12]}"
        return named if self.mode == "thinking" else f"{named}?mode={self.mode}"

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        from ..policy.engine import PolicyEngine
        from ..policy.model import DeepseekV32ForCausalLM
        from ..rollout.players import TokenPolicy

        model = DeepseekV32ForCausalLM.from_pretrained(self.uri)
        engine = PolicyEngine(model, slots=_SLOTS, max_len=self.context, deterministic=self.deterministic)
        codec = DeepseekCodec(Tokenizer.from_dir(self.uri), self.mode, self.show_tools)
        return TokenPolicy(self.identity, engine, codec, self.sampling, self.context - 1)


@dataclass(frozen=True)
class OpenAIMaker:
    """A model behind an OpenAI-compatible server; a key is read from OPENAI_API_KEY where the policy is built.

    With `tokens`, a folder with the model's tokenizer and chat format, it plays in token ids: exact, with
    log-probabilities. Without it speaks text, and nothing can be trained on its episodes.
    """

    uri: str
    model: str
    sampling: Sampling
    tokens: str = ""
    show_tools: bool = True
    context: int | None = None
    kind: str = "openai"

    @property
    def identity(self) -> str:
        named = f"openai:{self.uri}?model={self.model}"
        return f"{named}&tokens={Path(self.tokens).name}" if self.tokens else named

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        from ..rollout.engines.server import Server

        server = Server(self.uri, self.model, os.environ.get("OPENAI_API_KEY", ""))
        if not self.tokens:
            from ..rollout.engines.openai_text import OpenAIChatPolicy

            return OpenAIChatPolicy(server, self.sampling)
        from ..rollout.engines.openai_tokens import OpenAITokensEngine
        from ..rollout.hf_codec import codec_of
        from ..rollout.players import UNBOUNDED, TokenPolicy

        codec = codec_of(self.tokens, show_tools=self.show_tools)
        engine = OpenAITokensEngine(server, codec.tokenizer.vocab_size)
        return TokenPolicy(self.identity, engine, codec, self.sampling, self.context or UNBOUNDED)


def parse_policy(
    spec: str, sampling: Sampling | None = None, store: Store | None = None, context: int | None = None
) -> NamedPolicy:
    """The policy that `spec` names. `context` bounds an episode's tokens (default: the checkpoint's own, else 2,048).

    Raises BadRequest for a malformed name or an unknown rollout, PolicyError or RolloutError for a bad checkpoint.
    """
    sampling = sampling or Sampling()
    kind, _, rest = spec.partition(":")
    if kind in ("oracle", "noop", "random") and not rest and ":" not in spec:
        return ScriptedMaker(cast(Literal["oracle", "noop", "random"], kind), sampling.seed or 0)
    if kind == "replay" and rest:
        return _replay(rest, store)
    if kind == "palestra" and rest:
        folder, _, query = rest.partition("?")
        return open_checkpoint(Path(folder), sampling, context, _mode(spec, query))
    if kind == "openai" and rest:
        return _openai(spec, rest, sampling, context)
    raise BadRequest(f"policy {spec!r} is not one of {FORMS}")


@functools.cache
def scripted_codec() -> DeepseekCodec:
    """What scripts speak: the shipped checkpoint's tokeniser, or single bytes where none is shipped."""
    if (COLDSTART / "tokenizer.json").is_file():
        return DeepseekCodec(Tokenizer.from_dir(COLDSTART), show_tools=False)
    return DeepseekCodec(train_tokenizer([], 300))


def _mode(spec: str, query: str) -> ThinkingMode:
    if query not in ("", "mode=thinking", "mode=chat"):
        raise BadRequest(f"policy {spec!r} is not palestra:CHECKPOINT_DIR or palestra:CHECKPOINT_DIR?mode=chat")
    return "chat" if query == "mode=chat" else "thinking"


def open_checkpoint(
    folder: Path, sampling: Sampling, context: int | None = None, mode: ThinkingMode = "thinking"
) -> CheckpointMaker:
    """Read a checkpoint whole, so that what is wrong with it is said here: PolicyError, RolloutError, BadRequest."""
    from ..policy.model import DeepseekV32ForCausalLM

    model = DeepseekV32ForCausalLM.from_pretrained(folder)
    check_vocabulary(folder, model.config)
    show_tools, own_context = read_settings(folder)
    most = model.config.max_position_embeddings
    length = context or own_context or min(DEFAULT_CONTEXT, most)
    if not 2 <= length <= most:
        raise BadRequest(f"a context of {length} tokens does not fit checkpoint {folder}: it takes 2 to {most}")
    return CheckpointMaker(str(folder.resolve()), _digest(folder), sampling, length, show_tools, mode)


def check_vocabulary(folder: Path, config: DeepseekV32Config) -> None:
    """Are the tokenizer and the model of a checkpoint made for one another? Raises TokenizerError where it is missing,
    malformed or of another chat format, BadRequest where their ids differ."""
    tokenizer = Tokenizer.from_dir(folder)
    known, rows = tokenizer.vocab_size, config.vocab_size
    off = f"its tokenizer has {known} tokens, its model {rows}" if not known <= rows <= 2 * known else ""
    ends = config.eos_token_id if isinstance(config.eos_token_id, tuple) else (config.eos_token_id,)
    for token in TOKENS.values():
        tokenizer.token_id(token)
    if not off and None not in ends and tokenizer.eos_id not in ends:
        off = f"its tokenizer ends a message with id {tokenizer.eos_id}, its config has eos_token_id {ends[0]}"
    if not off and config.bos_token_id not in (None, tokenizer.bos_id):
        off = f"its tokenizer begins with id {tokenizer.bos_id}, its config has bos_token_id {config.bos_token_id}"
    if off:
        raise BadRequest(f"checkpoint {folder}: {off}; they are not of one checkpoint: copy its own tokenizer.json")


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint: as it is named, or `coldstart`, the one that ships with the package."""
    return COLDSTART if name == "coldstart" else Path(name)


def _digest(folder: Path) -> str:
    """SHA-256 over what decides the policy: weights, shape, tokeniser, settings."""
    digest = hashlib.sha256()
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    for name in names:
        digest.update(name.encode())
        with open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _replay(rollout_id: str, store: Store | None) -> ReplayMaker:
    from .replay import load_messages

    if store is None:
        raise BadRequest(f"policy replay:{rollout_id} needs a store: give one with --store")
    return ReplayMaker(rollout_id, load_messages(store, rollout_id))


def _openai(spec: str, rest: str, sampling: Sampling, context: int | None) -> OpenAIMaker:
    parts = urlsplit(rest)
    query = parse_qs(parts.query)
    models, tokens = query.get("model", []), query.get("tokens", [])
    if parts.scheme not in ("http", "https") or not parts.netloc or len(models) != 1 or len(tokens) > 1:
        raise BadRequest(
            f"policy {spec!r} is not openai:BASE_URL?model=NAME, for example openai:http://localhost:8000/v1?model=my-model"
        )
    uri = urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")).rstrip("/")
    if not tokens:
        return OpenAIMaker(uri, models[0], sampling)
    from ..rollout.hf_codec import codec_of

    folder = Path(tokens[0])
    codec_of(folder)
    show_tools, own_context = read_settings(folder)
    return OpenAIMaker(uri, models[0], sampling, str(folder.resolve()), show_tools, context or own_context)


def check_server(policy: NamedPolicy) -> None:
    """BadRequest where an OpenAI-compatible server does not answer at all (whatever it answers is fine)."""
    if not isinstance(policy, OpenAIMaker):
        return
    import httpx

    try:
        httpx.get(f"{policy.uri}/models", timeout=10.0)
    except httpx.HTTPError as error:
        raise BadRequest(
            f"no server answers at {policy.uri} ({type(error).__name__}: {error}): start it, or mend --policy"
        ) from error
