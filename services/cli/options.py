"""The options that many commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...synth.types import Depth as CertificateDepth

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines.")]
StoreUrl = Annotated[str, typer.Option("--store", envvar="PALESTRA_STORE", help="Any SQLAlchemy URL.", metavar="URL")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray", help="A Ray address: HOST:PORT, auto, or ray://HOST:PORT. Default: a local Ray.", metavar="ADDRESS"
    ),
]
Sandbox = Annotated[str, typer.Option("--sandbox", help="auto, docker, bwrap, or process (isolates nothing).")]
Depth = Annotated[
    str,
    typer.Option("--depth", help="quick: what every task must show; full: also leaks, other processes, red team."),
]
Level = Annotated[int, typer.Option("--level", help="How hard the tasks are.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same tasks.")]
EnvName = Annotated[str, typer.Argument(metavar="ENV", help="An environment; see `palestra env list`.")]
PolicyName = Annotated[
    str,
    typer.Option(
        "--policy", help="oracle, noop, random, replay:ID, palestra:DIR or openai:URL?model=NAME.", metavar="POLICY"
    ),
]
Workers = Annotated[int, typer.Option("--workers", help="Ray actors that play episodes.")]
Resources = Annotated[
    str, typer.Option("--resources", help="What each worker takes of a node: cpu=1,gpu=0.5,sandbox=1.", metavar="LIST")
]
Placement = Annotated[str, typer.Option("--placement", help="pack workers on few nodes, or spread them.")]
Retries = Annotated[
    int, typer.Option("--retries", help="How often an episode that failed of the machinery is played again.")
]
RetryInvalid = Annotated[
    bool, typer.Option("--retry-invalid", help="Play invalid episodes of the job again that were stored before.")
]
ContextStrategy = Annotated[
    str,
    typer.Option(
        "--context-strategy",
        help="When the context fills: stop, summary, discard_75, discard_all; or parallel_fewest_step.",
        metavar="NAME",
    ),
]
ContextShare = Annotated[
    float, typer.Option("--context-share", help="The share of the context at which the strategy acts.")
]
Parallel = Annotated[
    int, typer.Option("--parallel", help="Episodes to keep the shortest of, for parallel_fewest_step. Default: 4.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics-port", min=0, max=65535, help="Serve live Prometheus metrics here (0: a free port)."),
]
Temperature = Annotated[float, typer.Option("--temperature", help="0 is greedy.")]
TopP = Annotated[float, typer.Option("--top-p")]
MaxTurns = Annotated[
    int | None, typer.Option("--max-turns", help="Completions per episode. Default: the environment's own.")
]
MaxTokens = Annotated[int, typer.Option("--max-tokens", help="New tokens per completion.")]
Context = Annotated[int | None, typer.Option("--context", help="Tokens per episode. Default: the checkpoint's own.")]
TasksFile = Annotated[
    str | None, typer.Option("--tasks", help="Play these tasks (a file of `synth --out`).", metavar="FILE")
]
JobName = Annotated[str | None, typer.Option("--job", help="A name for the job. Default: made from what is asked for.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew instead of going on or showing the finished job.")]

STORE = "sqlite:///palestra.db"


def as_depth(text: str) -> CertificateDepth:
    """What `--depth` says; BadParameter for another word."""
    if text == "quick":
        return "quick"
    if text == "full":
        return "full"
    raise typer.BadParameter(f"--depth is {text!r}: choose quick or full")
