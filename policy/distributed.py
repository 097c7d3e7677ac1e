"""Data parallel training: processes on Ray that hold the same model and take each step together.

Each is a `Learner` in an actor of its own, joined with the others by torch.distributed (gloo on CPUs, nccl on GPUs).
The driver need not be part of the cluster's network: it hands samples out and gets metrics back, and weights where it
asks for them. A process that dies ends the group with `RankLost`; a run goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, NoReturn, Self

import psutil
import ray
import torch
import torch.distributed as dist

from ..kernels.dsa import Selector
from ..rollout.cluster import ClusterTooSmall, ClusterUnavailable, check_alive, check_places, places, watched
from .batches import Sample
from .config import DeepseekV32Config
from .grpo import GrpoConfig
from .learner import Learner, OptimConfig
from .model import DeepseekV32ForCausalLM
from .ranks import Joined, RankLost

__all__ = ["GroupConfig", "LearnerGroup", "RankLost"]
BUILD_SECONDS = 300.0
TICK_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""How long the other processes have to answer once one has failed."""
_SHARED = ("config", "sparse", "selector", "seed", "share", "version")


@dataclass(frozen=True)
class GroupConfig:
    """`processes` of `threads` threads each, placed where each finds `cpus`, `gpus` (whole ones; None: one, if the
    cluster has that many) and the custom `resources` of a node. "PACK" places them on few nodes, "SPREAD" on all.

    They wait `timeout` seconds for one another, which must be more than the longest step takes.
    """

    processes: int = 2
    cpus: float = 1.0
    gpus: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    placement: Literal["PACK", "SPREAD"] = "PACK"
    threads: int = 1
    timeout: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("processes", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout}: it must be above 0, in seconds")

    @property
    def demand(self) -> dict[str, float]:
        """What one process needs, by Ray's names."""
        return {"CPU": self.cpus, "GPU": float(self.gpus or 0), **self.resources}


class LearnerProcess:
    """One rank: a learner in a process of its own."""

    def __init__(self, group: GroupConfig, rank: int) -> None:
        torch.set_num_threads(group.threads)
        self._group, self._rank = group, rank
        self._timeout = timedelta(seconds=group.timeout)
        self._device = torch.device("cuda:0" if group.gpus else "cpu")
        self._host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        self._store: Any = None
        self._learner: Learner

    def ready(self) -> None:
        """Answers once the process is up."""

    def open(self) -> tuple[str, int]:
        """Open the meeting point of the group on a free port of this node."""
        self._store = self._open_store(self._host, 0, is_master=True)
        return self._host, self._store.port

    def join(
        self,
        place: tuple[str, int],
        model: tuple[DeepseekV32Config, torch.dtype, Mapping[str, torch.Tensor]],
        how: dict[str, Any],
    ) -> None:
        """Meet the others at `place`, and build the learner that all begin with."""
        if self._store is None:
            self._store = self._open_store(*place, is_master=False)
        _choose_interface(self._host)
        backend = "gloo"
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend, store=self._store, rank=self._rank, world_size=self._group.processes, timeout=self._timeout
        )
        config, dtype, weights = model
        policy = DeepseekV32ForCausalLM(config, device=self._device, dtype=dtype)
        policy.load_state_dict(weights)
        self._learner = Learner(policy, ranks=Joined(), **how)

    def call(self, settings: Mapping[str, Any], frozen: Collection[str], method: str, *given: Any) -> Any:
        """Call a method of the learner, which has these settings and does not train these weights."""
        for name, value in settings.items():
            setattr(self._learner, name, value)
        for name, parameter in self._learner.model.named_parameters():
            parameter.requires_grad_(name not in frozen)
        found = getattr(self._learner, method)(*given)
        return [one.recomputed for one in found] if method == "recomputed" else found

    def weights(self) -> Any:
        """The model's state, in main memory."""
        return _in_memory(self._learner.model.state_dict())

    def optimiser(self) -> Any:
        """The optimiser's state, in main memory."""
        return _in_memory(self._learner.optimiser.state_dict())

    def close(self) -> None:
        """Leave the group."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _open_store(self, host: str, port: int, *, is_master: bool) -> Any:
        return dist.TCPStore(  # type: ignore[attr-defined]
            host, port, is_master=is_master, timeout=self._timeout, wait_for_workers=False
        )


class LearnerGroup:
    """Several processes that act like one `Learner` of `model`, and make the same updates (but for rounding: sums are
    taken in another order). See `Learner` for the attributes and methods of the same name.

    `model` is the one that was given, in this process: after a step it is filled anew when it is asked for, and only
    `load_state_dict` sends weights the other way. Samples are shared out by whole microbatches, so a step should hold
    several for each process. Raises ClusterTooSmall where the cluster has no room for the processes, RankLost once one
    of them died. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        model: DeepseekV32ForCausalLM,
        config: OptimConfig,
        sparse: bool = True,
        *,
        selector: Selector = "indexer",
        share: bool = True,
        group: GroupConfig | None = None,
    ) -> None:
        self.config, self.sparse, self.selector, self.share = config, sparse, selector, share
        self.seed = 0
        self.version: int | None = None
        self.reference: DeepseekV32ForCausalLM | None = None
        self.group = _with_gpus(group or GroupConfig())
        self._model, self._is_stale = model, False
        self._lost: str | None = None
        check_places(self.group.processes, self.group.demand)
        self._actors = [self._spawn(rank) for rank in range(self.group.processes)]
        try:
            self._join()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def model(self) -> DeepseekV32ForCausalLM:
        """The policy as it is now."""
        if self._is_stale:
            self._model.load_state_dict(self._first("weights"))
            self._is_stale = False
        return self._model

    def state_dict(self) -> dict[str, Any]:
        """As of one process: whatever their number, a run goes on from it."""
        reference = None if self.reference is None else self.reference.state_dict()
        return {"model": self.model.state_dict(), "optimiser": self._first("optimiser"), "reference": reference}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Learner`."""
        self._all("load_state_dict", ray.put(dict(state)))
        self._model.load_state_dict(state["model"])
        self._is_stale = False
        if "reference" in state:
            self.reference = None
        if state.get("reference") is not None:
            self.reference = _frozen_copy(self._model)
            self.reference.load_state_dict(state["reference"])

    def set_lr(self, lr: float) -> None:
        """See `Learner`."""
        self._all("set_lr", lr)

    def keep_reference(self) -> None:
        """See `Learner`."""
        self._all("keep_reference")
        self.reference = _frozen_copy(self.model)

    def sft_step(self, samples: Sequence[Sample]) -> dict[str, float]:
        """See `Learner`."""
        return self._step("sft_step", samples)

    def grpo_step(self, samples: Sequence[Sample], config: GrpoConfig) -> dict[str, float]:
        """See `Learner`."""
        return self._step("grpo_step", samples, config)

    def recomputed(self, samples: Sequence[Sample]) -> list[Sample]:
        """See `Learner`."""
        found = self._all("recomputed", ray.put(list(samples)))[0]
        return [replace(sample, recomputed=own) for sample, own in zip(samples, found, strict=True)]

    def close(self) -> None:
        """End the processes."""
        actors, self._actors = self._actors, []
        if actors and ray.is_initialized():
            if self._lost is None:
                ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=GRACE_SECONDS)
            for actor in actors:
                ray.kill(actor)
        self._lost = self._lost or "this learner group is closed: make another"

    def _spawn(self, rank: int) -> Any:
        group = self.group
        return (
            ray.remote(LearnerProcess)
            .options(
                num_cpus=group.cpus,
                num_gpus=group.gpus,
                resources=dict(group.resources),
                scheduling_strategy="SPREAD" if group.placement == "SPREAD" else "DEFAULT",
                runtime_env={"env_vars": {"OMP_NUM_THREADS": str(group.threads)}},
            )
            .remote(group, rank)
        )

    def _join(self) -> None:
        built = [actor.ready.remote() for actor in self._actors]
        ready = ray.wait(built, num_returns=len(built), timeout=BUILD_SECONDS)[0]
        if len(ready) < len(built):
            raise ClusterTooSmall(
                f"the Ray cluster made room for {len(ready)} of {len(built)} learner processes in {BUILD_SECONDS:g} "
                "seconds: others hold it; wait for them, or ask for fewer processes"
            )
        self._answers(built)
        place = self._answers([self._actors[0].open.remote()])[0]
        model = ray.put((self._model.config, self._model.dtype, self._model.state_dict()))
        how = {"config": self.config, "sparse": self.sparse, "selector": self.selector, "share": self.share}
        self._answers([actor.join.remote(place, model, how) for actor in self._actors])

    def _step(self, method: str, samples: Sequence[Sample], *given: Any) -> dict[str, float]:
        # They are sent once, and read where they are.
        metrics: dict[str, float] = self._all(method, ray.put(list(samples)), *given)[0]
        self._is_stale = True
        return metrics

    def _first(self, method: str) -> Any:
        self._check()
        return self._answers([getattr(self._actors[0], method).remote()])[0]

    def _all(self, method: str, *given: Any) -> list[Any]:
        """Have every process call a method of its learner."""
        self._check()
        settings = {name: getattr(self, name) for name in _SHARED}
        frozen = {name for name, one in self._model.named_parameters() if not one.requires_grad}
        return self._answers([actor.call.remote(settings, frozen, method, *given) for actor in self._actors])

    def _check(self) -> None:
        if self._lost is not None:
            raise RankLost(self._lost)

    def _answers(self, calls: Sequence[Any]) -> list[Any]:
        """What each process answers. Where all fail, the first one's error; where only some do, RankLost: the others
        may have gone on without them.
        """
        found: dict[Any, Any] = {}
        failed: dict[Any, Exception] = {}
        left, deadline, silent = list(calls), float("inf"), None
        try:
            with watched():
                while left and time.monotonic() < deadline:
                    done, left = ray.wait(left, num_returns=1, timeout=TICK_SECONDS)
                    silent = None if done else check_alive(silent)
                    for one in done:
                        try:
                            found[one] = ray.get(one)
                        except ray.exceptions.RayError as error:
                            failed[one] = error
                            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        except ClusterUnavailable as error:
            self._lost, self._actors = str(error), []
            raise
        if failed:
            self._fail(calls, failed)
        return [found[call] for call in calls]

    def _fail(self, calls: Sequence[Any], failed: Mapping[Any, Exception]) -> NoReturn:
        causes = {call: getattr(error, "cause", None) for call, error in failed.items()}
        raised = [causes.get(call) for call in calls]
        if all(isinstance(cause, Exception) and not isinstance(cause, RankLost) for cause in raised):
            assert raised[0] is not None
            raise raised[0] from None
        guilty = [call for call, cause in causes.items() if not isinstance(cause, RankLost)]
        silent = [call for call in calls if call not in failed]
        rank = list(calls).index((guilty or silent or list(calls))[0])
        why = " ".join(str(failed.get(calls[rank], "it does not answer")).split())
        self._lost = (
            f"learner process {rank} of {len(calls)} is lost ({why[:300]}): give the same command again, which goes on "
            "from the last checkpoint"
        )
        self.close()
        raise RankLost(self._lost)


def _with_gpus(group: GroupConfig) -> GroupConfig:
    if group.gpus is not None:
        return group
    has_gpus = places({**group.demand, "GPU": 1.0}) >= group.processes
    return replace(group, gpus=int(has_gpus))


def _frozen_copy(model: DeepseekV32ForCausalLM) -> DeepseekV32ForCausalLM:
    return copy.deepcopy(model).requires_grad_(False)


def _choose_interface(host: str) -> None:
    """Have gloo and nccl talk through the interface that the cluster knows this node by; they guess by its name, which
    on many machines means the loopback. Set variables are left as they are.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == host for address in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)


def _in_memory(value: Any) -> Any:
    """The same with all tensors in main memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {name: _in_memory(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_memory(one) for one in value)
    return value
