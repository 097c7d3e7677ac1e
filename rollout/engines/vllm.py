"""vLLM with weights that change: completions that say by which version they were sampled, and the swap between two.

It speaks vLLM's own `/inference/v1/generate`, which takes and gives token ids without any text between. The server
needs `--enable-scale-out --logprobs-mode processed_logprobs --generation-config vllm`, and for `reload` the environment
variable VLLM_SERVER_DEV_MODE=1 and `--worker-extension-cls palestra_vllm.WeightUpdates`; `VllmServer` starts it so.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ..errors import EngineError
from ..types import Sampling
from ..weights import Weights
from .answers import Finite, Piece, Wire, explain
from .openai_tokens import OpenAITokensEngine
from .server import Transient


class VllmEngine(OpenAITokensEngine):
    """Continues token ids on a vLLM server. A completion's version is that of its first token; without any `reload` it
    is 0. Where the server gives sampling masks (`--return-sampling-mask`, on GPUs), they are kept.
    """

    path = "//inference/v1/generate"

    def body(self, prompt: list[int], sampling: Sampling) -> dict[str, Any]:
        """The request, with the same sampling parameters as the OpenAI API has."""
        params = super().body(prompt, sampling)
        for name in ("model", "prompt", "return_token_ids", "return_tokens_as_token_ids"):
            del params[name]
        return {
            "model": self.server.model,
            "token_ids": prompt,
            "return_token_ids": True,
            "sampling_params": params | {"logprobs": 0, "detokenize": False},
        }

    def probe(self, prompt: list[int]) -> dict[str, Any]:
        """One token out of the single likeliest one, and the log-probability of the second."""
        body = self.body(prompt, Sampling(top_p=1.0, top_k=1, max_tokens=1))
        return body | {"sampling_params": body["sampling_params"] | {"logprobs": 2}}

    def read(self, data: bytes) -> Piece:
        """An answer, or one event of a stream. ValidationError or ValueError where it is none."""
        answer = _Answer.model_validate_json(data)
        if answer.error is not None:
            raise Transient(f"{self._url} failed: {' '.join(str(answer.error).split())[:300]}")
        if len(answer.choices) != 1:
            raise ValueError(f"{len(answer.choices)} choices instead of one")
        choice = answer.choices[0]
        content = choice.logprobs.content if choice.logprobs else []
        if [entry.token_id for entry in content] != choice.token_ids:
            raise ValueError(f"{len(choice.token_ids)} token ids are not those of the {len(content)} log-probabilities")
        return Piece(
            choice.token_ids,
            [entry.logprob for entry in content],
            choice.finish_reason,
            prompt=answer.prompt_token_ids,
            top=sorted((entry.logprob for entry in content[0].top_logprobs), reverse=True) if content else [],
            kept=choice.sampling_mask,
            version=_number(choice.weight_versions[0].version) if choice.weight_versions else self.version,
        )

    async def load_weights(self, weights: Weights, version: int) -> None:
        """`reload` from the checkpoint folder `weights`, unless the server holds `version` already: one of many engines
        on it loads, the others see that it is done. EngineError where that fails, or `weights` are no folder.
        """
        if not isinstance(weights, Path):
            raise EngineError("vLLM reads new weights from a checkpoint's folder: save them, and give its path")
        if await self.client.persist(self._held) != str(version):
            await self.reload(weights, version)
        self.version = version

    async def _held(self) -> str:
        """The version of the server's weights, as it says it."""
        path = "//weight_info"
        try:
            return _Held.model_validate_json(await self.client.send("GET", path)).weight_version
        except ValidationError as error:
            raise EngineError(f"{self.server.url(path)} sent no valid answer: {explain(error)}") from error

    async def reload(self, folder: str | Path, version: int) -> None:
        """Replace the server's weights by those of the checkpoint in `folder`, as version `version`.

        Running requests end under the old weights, later ones wait for the new; what the server has cached of the old
        is dropped. `folder` is read by the server. EngineError where that fails: the server then stays paused, since
        its weights are half old and half new, and has to be started again.
        """
        folder = Path(folder).resolve()
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            raise EngineError(f"cannot load weights: {folder} holds no checkpoint (config.json and safetensors)")
        await self._call("pause", params={"mode": "wait", "clear_cache": "true"})
        await self._call("collective_rpc", {"method": "load_checkpoint", "kwargs": {"folder": str(folder)}})
        await self._call("update_weight_version", {"new_version": str(version)})
        await asyncio.shield(self._call("resume"))
        self.version = version

    async def _call(self, name: str, body: Any = None, params: dict[str, str] | None = None) -> None:
        try:
            await self.client.send("POST", f"//{name}", body, params)
        except EngineError as error:
            raise EngineError(f"the weights could not be replaced: {error}") from error


class _Held(Wire):
    weight_version: str


class _Top(Wire):
    logprob: float


class _Entry(Wire):
    token_id: int
    logprob: Finite
    top_logprobs: list[_Top] = Field(default_factory=list)


class _Logprobs(Wire):
    content: list[_Entry]


class _Span(Wire):
    version: str


class _Choice(Wire):
    token_ids: list[int]
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    sampling_mask: list[list[int]] | None = None
    weight_versions: list[_Span] | None = None


class _Answer(Wire):
    choices: list[_Choice] = Field(default_factory=list)
    prompt_token_ids: list[int] | None = None
    error: Any = None


def _number(version: str) -> int:
    """A weight version as the number that `reload` gave; a server that was never reloaded says "default"."""
    return int(version) if version.isdecimal() else 0
