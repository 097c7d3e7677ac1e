"""Group relative policy optimisation as the DeepSeek-V3.2 report gives it (section 3.1), as small pure functions, and
the usual alternatives to each of its choices.

Letters: G episodes of a group, B sequences, N sampled tokens of the batch. All logarithms are natural. An episode whose
context was rewritten is several sequences, each with its episode's advantage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Normalisation = Literal["sequence", "constant", "token"]
KlEstimator = Literal["unbiased", "k1", "k2", "k3"]
Stale = Literal["token", "sequence"]

STD_FLOOR = 1e-4
"""Added to the standard deviation of rewards, where they are divided by it."""


@dataclass(frozen=True)
class GrpoConfig:
    """`clip` is epsilon, `kl` beta, `off_policy` delta of the sequence mask (None: no mask). The report does not
    publish their values. What is below is not of the report, and off.

    `clip_low`, `clip_high`: epsilon of either side, where it differs (DAPO's "clip higher"). `normalisation`: a
    sequence's tokens weigh 1/|o| ("sequence"), 1/`length` ("constant": Dr. GRPO), or all tokens of the update the same
    ("token": DAPO). `divide_std`: advantages in standard deviations, as GRPO had it at first. `importance_cap`:
    truncated importance sampling, which takes the ratio to recomputed probabilities of the old policy and weighs each
    gain by min(pi_recomputed / pi_engine, cap). `forward_kl` times KL(reference || policy) keeps the policy from
    dropping what the reference would do. `max_staleness`: tokens sampled by a policy more than so many versions old
    leave the objective, alone or with their whole sequence (`stale`). ValueError for a value that cannot be meant.
    """

    clip: float = 0.2
    kl: float = 0.0
    off_policy: float | None = 0.5
    clip_low: float | None = None
    clip_high: float | None = None
    kl_estimator: KlEstimator = "unbiased"
    normalisation: Normalisation = "sequence"
    length: int | None = None
    divide_std: bool = False
    importance_cap: float | None = None
    forward_kl: float = 0.0
    max_staleness: int | None = None
    stale: Stale = "token"

    def __post_init__(self) -> None:
        for name in ("clip", "clip_low", "clip_high", "importance_cap", "length"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}: it must be above 0")
        for name in ("kl", "forward_kl", "off_policy", "max_staleness"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}: it must be 0 or more, and finite")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must be one of {', '.join(known)}")
        if (self.normalisation == "constant") != (self.length is not None):
            raise ValueError(
                f"normalisation is {self.normalisation!r} and length {self.length}: "
                "a length goes with 'constant', and only with it"
            )

    @property
    def clips(self) -> tuple[float, float]:
        """Epsilon below and above 1."""
        return (
            self.clip if self.clip_low is None else self.clip_low,
            self.clip if self.clip_high is None else self.clip_high,
        )


@dataclass(frozen=True)
class GrpoLoss:
    """The loss to minimise, and what to watch.

    `clipped` is the share of clipped tokens and `kl` the KL to the reference, both as means over the sequences of the
    whole batch of their means over tokens, so that the parts of a batch sum to it; `masked` is the share of this
    part's sequences. `metrics` holds these and more in a form that `combine` puts together.
    """

    loss: Tensor
    clipped: float
    masked: float
    kl: float
    metrics: dict[str, float] = field(default_factory=dict)


def combine(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The metrics of a batch from those of its parts: sums of shares, and the largest of what ends with `_max`.

    `clipped_low` and `clipped_high`: shares of tokens held back below and above. `masked`: share of sequences. `kl`,
    `forward_kl`: nats per token. `entropy`: the mean of -log pi of what was sampled. `ratio_mean`, `ratio_max`: of pi
    to the policy it is clipped against. `importance`: the mean weight of truncated importance sampling. `stale`: share
    of tokens left out for their age; `staleness_mean`, `staleness_max`: ages in versions.
    """
    found: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            found[name] = merge(name, found[name], value) if name in found else value
    return found


def merge(name: str, first: float, second: float) -> float:
    """Two parts of one metric of `combine`."""
    return max(first, second) if name.endswith("_max") else first + second


def advantages(rewards_G: Sequence[float | None], divide_std: bool = False) -> list[float | None]:
    """`R_i - mean(R)` over the valid episodes of a group, without division by the standard deviation unless
    `divide_std` (then by the sample's, + `STD_FLOOR`); None (no valid verdict) stays None. Equal rewards give exactly
    0.
    """
    valid = [reward for reward in rewards_G if reward is not None]
    # The rounded mean of equal numbers need not be that number.
    mean = sum(valid) / len(valid) if len(set(valid)) > 1 else (valid or [0.0])[0]
    scale = 1.0
    if divide_std and len(valid) > 1:
        scale = math.sqrt(sum((reward - mean) ** 2 for reward in valid) / (len(valid) - 1)) + STD_FLOOR
    return [None if reward is None else (reward - mean) / scale for reward in rewards_G]


def grpo_loss(
    logprobs_N: Tensor,
    old_N: Tensor,
    rows_N: Tensor,
    advantages_B: Tensor,
    config: GrpoConfig,
    reference_N: Tensor | None = None,
    sequences: int | None = None,
    *,
    tokens: int | None = None,
    recomputed_N: Tensor | None = None,
    kl_B: Tensor | None = None,
    staleness_N: Tensor | None = None,
) -> GrpoLoss:
    """The negated objective `1/G sum_i 1/|o_i| sum_t ( min(r A, clip(r) A) M_i - beta KL )`.

    `old_N` are the log-probabilities the inference engine returned while sampling, `recomputed_N` those of the same
    policy under the training model (for `importance_cap`, and not used without). `sequences` and `tokens` are the
    numbers to average over when the batch is one part of a larger one (default: the batch's own). A sequence without
    sampled tokens adds nothing but is counted. `kl_B` is beta per sequence, in place of `config.kl`; `staleness_N` how
    many versions before the current one each token was sampled.

    ValueError where the config asks for what is not given.
    """
    beta_B = torch.full_like(advantages_B, config.kl) if kl_B is None else kl_B
    _check_given(config, beta_B, reference_N, recomputed_N, staleness_N)
    count_B = torch.bincount(rows_N, minlength=advantages_B.shape[0])
    sequences = sequences or advantages_B.shape[0]
    weight_N = token_weights(rows_N, count_B, config, sequences, tokens).to(logprobs_N.dtype)
    # What is watched is always the mean over sequences of means over tokens.
    share_N = token_weights(rows_N, count_B, GrpoConfig(), sequences).to(logprobs_N.dtype)
    fresh_N = freshness(rows_N, count_B, staleness_N, config).to(logprobs_N.dtype)
    keep_B = torch.ones_like(advantages_B)
    if config.off_policy is not None:
        keep_B = sequence_mask(logprobs_N.detach(), old_N, rows_N, advantages_B, config.off_policy)

    importance_N, base_N = torch.ones_like(old_N), old_N
    if config.importance_cap is not None:
        assert recomputed_N is not None
        base_N, importance_N = recomputed_N, importance_weights(recomputed_N, old_N, config.importance_cap)
    advantage_N = advantages_B[rows_N]
    ratio_N = torch.exp(logprobs_N - base_N)
    gain_N = keep_B[rows_N] * importance_N * clipped_gain(ratio_N, advantage_N, *config.clips)
    cost_N, costs = _costs(logprobs_N, old_N, reference_N, beta_B[rows_N], config)

    watched = {name: _sum(share_N * value_N) for name, value_N in costs.items()}
    watched |= _watch_ratio(share_N, ratio_N, advantage_N, config)
    watched |= {"masked": _sum(1 - keep_B) / sequences, "entropy": -_sum(share_N * logprobs_N)}
    if config.importance_cap is not None:
        watched["importance"] = _sum(share_N * importance_N)
    if staleness_N is not None:
        watched["stale"] = _sum(share_N * (1 - fresh_N))
        watched |= {"staleness_mean": _sum(share_N * staleness_N), "staleness_max": _max(staleness_N)}
    return GrpoLoss(
        loss=(weight_N * fresh_N * (cost_N - gain_N)).sum(),
        clipped=watched["clipped"],
        masked=watched["masked"] * sequences / max(1, advantages_B.shape[0]),
        kl=watched["kl"],
        metrics=watched,
    )


def token_weights(
    rows_N: Tensor, count_B: Tensor, config: GrpoConfig, sequences: int, tokens: int | None = None
) -> Tensor:
    """What a token's term weighs: 1/(|o| sequences), 1/(length sequences) or 1/tokens."""
    if config.normalisation == "token":
        return torch.full(rows_N.shape, 1.0 / max(1, tokens or rows_N.shape[0]), dtype=torch.float64).to(rows_N.device)
    if config.normalisation == "constant":
        assert config.length is not None
        return torch.full(rows_N.shape, 1.0 / (config.length * sequences), dtype=torch.float64).to(rows_N.device)
    return (count_B[rows_N] * sequences).double().reciprocal()


def clipped_gain(ratio_N: Tensor, advantage_N: Tensor, low: float, high: float) -> Tensor:
    """`min(r A, clip(r, 1 - low, 1 + high) A)` per token."""
    return torch.minimum(ratio_N * advantage_N, ratio_N.clamp(1 - low, 1 + high) * advantage_N)


def importance_weights(recomputed_N: Tensor, old_N: Tensor, cap: float) -> Tensor:
    """`min(pi_recomputed / pi_engine, cap)`: corrects for an engine whose probabilities differ from the training
    model's at the same weights (Yao et al. 2025). No gradient.
    """
    return torch.exp(recomputed_N - old_N).clamp(max=cap).detach()


def sequence_mask(logprobs_N: Tensor, old_N: Tensor, rows_N: Tensor, advantages_B: Tensor, delta: float) -> Tensor:
    """M_B: 0 for a sequence with a negative advantage that the policy has moved away from by more than `delta` nats
    per token.
    """
    count_B = torch.bincount(rows_N, minlength=advantages_B.shape[0]).clamp(min=1)
    moved_B = old_N.new_zeros(advantages_B.shape[0]).index_add(0, rows_N, old_N - logprobs_N) / count_B
    return 1.0 - ((advantages_B < 0) & (moved_B > delta)).to(old_N.dtype)


def freshness(rows_N: Tensor, count_B: Tensor, staleness_N: Tensor | None, config: GrpoConfig) -> Tensor:
    """1 where a token is in the objective, 0 where it (or one of its sequence) is older than `max_staleness`."""
    if staleness_N is None or config.max_staleness is None:
        return torch.ones_like(rows_N)
    stale_N = staleness_N > config.max_staleness
    if config.stale == "sequence":
        stale_N = torch.bincount(rows_N[stale_N], minlength=count_B.shape[0])[rows_N] > 0
    return 1 - stale_N.long()


def unbiased_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`(pi/pi_old) (pi_ref/pi - log(pi_ref/pi) - 1)` per token: k3, importance weighted to be unbiased."""
    return torch.exp(logprobs_N - old_N) * k3_kl(logprobs_N, old_N, reference_N)


def k1_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`log(pi/pi_ref)`: unbiased on policy, but its gradient there is zero in expectation."""
    return logprobs_N - reference_N


def k2_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`log(pi/pi_ref)^2 / 2`: biased, with the gradient of the true KL on policy."""
    return (logprobs_N - reference_N).square() / 2


def k3_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`pi_ref/pi - log(pi_ref/pi) - 1`: unbiased on policy, never negative (Schulman 2020)."""
    away_N = reference_N - logprobs_N
    return torch.exp(away_N) - away_N - 1


KL_ESTIMATORS: dict[KlEstimator, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "unbiased": unbiased_kl,
    "k1": k1_kl,
    "k2": k2_kl,
    "k3": k3_kl,
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "normalisation": ("sequence", "constant", "token"),
    "kl_estimator": tuple(KL_ESTIMATORS),
    "stale": ("token", "sequence"),
}


def forward_kl(logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor) -> Tensor:
    """`(pi_ref/pi_old) (pi/pi_ref - log(pi/pi_ref) - 1)` per token: KL(reference || policy) in the form of the unbiased
    estimate, from sampled tokens alone; its gradient is unbiased too. It is never negative, and grows without bound
    where the policy drops what the reference would say, which the KL to the reference does not.
    """
    ahead_N = logprobs_N - reference_N
    return torch.exp(reference_N - old_N) * (torch.exp(ahead_N) - ahead_N - 1)


def _costs(
    logprobs_N: Tensor, old_N: Tensor, reference_N: Tensor | None, beta_N: Tensor, config: GrpoConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """What staying near the reference costs each token, and the divergences by name."""
    cost_N = torch.zeros_like(logprobs_N)
    found = {"kl": cost_N}
    if bool(beta_N.any()):
        assert reference_N is not None
        found["kl"] = KL_ESTIMATORS[config.kl_estimator](logprobs_N, old_N, reference_N)
        cost_N = cost_N + beta_N * found["kl"]
    if config.forward_kl:
        assert reference_N is not None
        found["forward_kl"] = forward_kl(logprobs_N, old_N, reference_N)
        cost_N = cost_N + config.forward_kl * found["forward_kl"]
    return cost_N, found


def _watch_ratio(share_N: Tensor, ratio_N: Tensor, advantage_N: Tensor, config: GrpoConfig) -> dict[str, float]:
    low, high = config.clips
    below = _sum(share_N * ((ratio_N < 1 - low) & (advantage_N < 0)))
    above = _sum(share_N * ((ratio_N > 1 + high) & (advantage_N > 0)))
    return {
        "clipped": below + above,
        "clipped_low": below,
        "clipped_high": above,
        "ratio_mean": _sum(share_N * ratio_N),
        "ratio_max": _max(ratio_N),
    }


def _check_given(
    config: GrpoConfig,
    beta_B: Tensor,
    reference_N: Tensor | None,
    recomputed_N: Tensor | None,
    staleness_N: Tensor | None,
) -> None:
    if bool((beta_B < 0).any()):
        raise ValueError(f"kl of a sequence is {float(beta_B.min())}: it must be 0 or more")
    strongest = float(beta_B.max()) if len(beta_B) else 0.0
    for name, value in (("kl", strongest), ("forward_kl", config.forward_kl)):
        if value and reference_N is None:
            raise ValueError(f"{name} is {value:g}, but there is no reference policy: give one or set {name} to 0")
    if config.importance_cap is not None and recomputed_N is None:
        raise ValueError(
            f"importance_cap is {config.importance_cap}, but there are no recomputed log-probabilities: give them or "
            "leave importance_cap out"
        )
    if config.max_staleness is not None and staleness_N is None:
        raise ValueError(
            f"max_staleness is {config.max_staleness}, but the versions of the tokens are not known: give them or "
            "leave max_staleness out"
        )


def _sum(values: Tensor) -> float:
    return float(values.detach().sum())


def _max(values: Tensor) -> float:
    return float(values.detach().max()) if values.numel() else 0.0
