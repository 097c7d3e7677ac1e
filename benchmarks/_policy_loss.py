"""Peak memory of the loss: chunked log-probabilities against cross entropy over all logits at once.

`python benchmarks/_policy_loss.py ours|unchunked ROWS VOCABULARY HIDDEN` measures one case in this process, forward and
backward, and prints the peak beyond the inputs in bytes; `measure` runs cases in processes of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from _common import Row

ROWS, VOCABULARY, HIDDEN = 65536, 129280, 128
# All logits of the full size would need more than 100 GB: these fit, and their growth is a line.
FITTING = (512, 1024, 2048)
Kind = Literal["ours", "unchunked"]


@dataclass(frozen=True)
class LossMemory:
    """Bytes beyond the inputs. `unchunked` holds what was measured by rows, `extrapolated` the line through it at the
    full size, and `bend` how far the measurements are from that line, relative to them, at most."""

    rows: int
    vocabulary: int
    hidden: int
    ours: int
    unchunked: dict[int, int]
    extrapolated: float
    bend: float

    @property
    def ratio(self) -> float:
        """How many times less ours needs."""
        return self.extrapolated / self.ours


def measure(rows: int = ROWS, vocabulary: int = VOCABULARY, hidden: int = HIDDEN) -> LossMemory:
    """Run all cases, minutes at full size."""
    found = {size: _peak_of("unchunked", size, vocabulary, hidden) for size in FITTING}
    slope = (found[FITTING[-1]] - found[FITTING[0]]) / (FITTING[-1] - FITTING[0])
    start = found[FITTING[0]] - slope * FITTING[0]
    bend = max(abs(start + slope * size - peak) / peak for size, peak in found.items())
    ours = _peak_of("ours", rows, vocabulary, hidden)
    return LossMemory(rows, vocabulary, hidden, ours, found, start + slope * rows, bend)


def row(found: LossMemory, floor: float = 4, goal: float = 8) -> Row:
    """The line of the table."""
    verdict = "goal" if found.ratio >= goal else "floor" if found.ratio >= floor else "below"
    return Row(
        f"peak memory of the loss, {found.rows} x {found.vocabulary}",
        f"{found.ours / 2**30:.2f} GiB",
        f"{found.extrapolated / 2**30:.0f} GiB (cross entropy, extrapolated from {max(found.unchunked)} rows)",
        found.ratio,
        f"{floor:g}x",
        f"{goal:g}x",
        verdict,
    )


def _peak_of(kind: Kind, rows: int, vocabulary: int, hidden: int) -> int:
    command = [sys.executable, __file__, kind, str(rows), str(vocabulary), str(hidden)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(printed)["peak"])


def peak(kind: Kind, rows: int, vocabulary: int, hidden: int) -> int:
    """Measure one case here; once per process, as the high-water mark never falls."""
    import torch
    import torch.nn.functional as F

    from palestra.policy.loss import token_logprobs

    torch.set_num_threads(1)
    states = torch.randn(rows, hidden, requires_grad=True)
    weight = torch.randn(vocabulary, hidden, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,))
    # What the first product of a process sets up is not the loss's.
    (states[:8].detach() @ weight[:8].detach().T).logsumexp(dim=-1)
    before = _high_water()
    if kind == "unchunked":
        loss = F.cross_entropy(states @ weight.T, targets)
    else:
        loss = -token_logprobs(states, weight, torch.arange(rows), targets, torch.ones(rows)).mean()
    torch.autograd.backward(loss)
    return _high_water() - before


def _high_water() -> int:
    """The most memory this process ever held, in bytes. (`ru_maxrss` would begin with what its parent held.)"""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def main(arguments: list[str]) -> dict[str, Any]:
    """One case, or without arguments all of them."""
    if not arguments:
        found = measure()
        return asdict(found) | {"ratio": found.ratio}
    kind, *sizes = arguments
    if kind not in ("ours", "unchunked") or len(sizes) != 3:
        raise SystemExit("usage: _policy_loss.py [ours|unchunked ROWS VOCABULARY HIDDEN]")
    rows, vocabulary, hidden = (int(size) for size in sizes)
    return {"peak": peak("ours" if kind == "ours" else "unchunked", rows, vocabulary, hidden)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
