"""A judge model's say about names that no stored name matches, for those who configure one.

The normalised match decides first, and alone about dates, years and numbers. The judge is asked only where
PALESTRA_SEARCH_JUDGE is 1 and PALESTRA_JUDGE_URL names a server; its votes are kept, so that a verdict stays what it
was. Certificates are made without it: they hold for the match.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...verifiers.judge import JudgeConfig
from ...verifiers.rubric import Criterion, Rubric
from ...verifiers.types import Verdict
from ..types import Answer, Task
from .values import LONGEST

_SAME = Criterion(
    "answer",
    "The answer commits to exactly one thing, and it is the thing that the reference names, under whatever spelling, "
    "form or language. An answer that offers several things, or none, does not meet this.",
)


def judge_config(environ: Mapping[str, str] = os.environ) -> JudgeConfig | None:
    """Which judge to ask, or None where nobody asked for one."""
    return JudgeConfig.from_environ(environ) if environ.get("PALESTRA_SEARCH_JUDGE") == "1" else None


def second_opinion(task: Task, answer: Answer, config: JudgeConfig | None) -> Verdict | None:
    """The judge's verdict on a name that did not match; None where it is not to be asked. Invalid where it fails."""
    if config is None or task.key["type"] != "name" or not isinstance(answer, str) or len(answer) > LONGEST:
        return None
    return Rubric([_SAME], config).judge(answer, task.prompt, ", also known as ".join(task.key["answers"]))
