"""A rubric whose criteria a judge model votes on, one by one, hardened against answers that speak to the judge.

Beside the criteria the judge is asked a canary: something that no answer can contain (a fresh random code), so that a
judge who says that it does was swayed by the answer: the gate shuts and nothing is earned. Where an answer has
sentences that look written for a judge, each criterion is voted on a second time without them, and the lower score
counts. Before it is asked at all, the judge must tell a text that has a code from one that has not, without any answer
in sight: one who cannot is no verifier, and the verdict says so.
"""

from __future__ import annotations

import json
import secrets
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from .checks import gate, weighted
from .injection import suspicions, without_orders
from .judge import Judge, JudgeConfig, JudgeFailed, Question
from .types import Part, Verdict
from .votes import FolderVotes, MemoryVotes, Vote, Votes

_CANARY = "palestra:canary"
_NOTHING = "(nothing else)"
_CODE = 'The answer contains the code "{code}".'


@dataclass(frozen=True)
class Criterion:
    """One thing to judge by, told in a sentence that an answer can meet or not. With `scale` above 1 the votes are
    whole numbers from 0 to it, and the score is their median over it.
    """

    name: str
    text: str
    weight: float = 1.0
    gate: bool = False
    scale: int = 1

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError(f"criterion {self.name!r} has no text")
        if not 1 <= self.scale <= 100:
            raise ValueError(f"the scale of criterion {self.name!r} is {self.scale}: it must be from 1 to 100")


class Rubric:
    """Criteria and who judges them. The same answer gets the same verdict as long as `votes` are kept."""

    def __init__(self, criteria: Sequence[Criterion], config: JudgeConfig, votes: Votes | None = None) -> None:
        names = [one.name for one in criteria]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a rubric needs criteria with names of their own, not {names}")
        if sum(one.weight for one in criteria) <= 0:
            raise ValueError("a rubric needs criteria with a positive total weight")
        self.criteria, self.config = tuple(criteria), config
        self._votes = votes or (FolderVotes(config.cache) if config.cache else MemoryVotes())

    def judge(self, answer: object, question: str = "", reference: str = "") -> Verdict:
        """The weighted mean of the criteria; 0 for an answer that is empty, too long or sways the judge. Invalid, never
        0, where the judge cannot be asked or does not answer as asked.
        """
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
        if answer is None or not text.strip():
            return self._refused("there is no answer")
        if len(text) > self.config.max_characters:
            return self._refused(f"{len(text)} characters: at most {self.config.max_characters} are judged")
        about = Question("", text, question, reference)
        try:
            *found, canary = self._collect(about)
        except JudgeFailed as failed:
            return Verdict.invalid(failed.validity, str(failed)[:500])
        except OSError as error:
            return Verdict.invalid("invalid_infra", f"votes cannot be kept in {self.config.cache}: {error}"[:500])
        parts = [_part(one, found[index :: len(self.criteria)]) for index, one in enumerate(self.criteria)]
        return weighted([*parts, _not_swayed(canary), _nothing_suspicious(text)])

    def _collect(self, about: Question) -> list[list[Vote]]:
        """The votes on each criterion, again on each for the answer less what it says to the judge (where it says
        something), and last on the canary. What is not kept yet is asked.
        """
        texts = dict.fromkeys((about.answer, without_orders(about.answer) or _NOTHING))
        asked = [
            replace(about, answer=text, criterion=one.text, scale=one.scale) for text in texts for one in self.criteria
        ]
        asked.append(replace(about, criterion=_CODE.format(code=_fresh_code(about)), name=_CANARY))
        questions = [[replace(one, vote=number) for number in range(self.config.votes)] for one in asked]
        keys = {one: one.key(self.config) for some in questions for one in some}
        known = {key: self._votes.get(key) for key in keys.values()}
        missing = [one for one, key in keys.items() if known[key] is None]
        if missing:
            with Judge(self.config) as judge:
                _check_health(judge)
                votes = _all(self.config, lambda one: self._votes.put(keys[one], judge.ask(one)), missing)
                known |= {keys[one]: vote for one, vote in zip(missing, votes, strict=True)}
        return [[vote for one in some if (vote := known[keys[one]]) is not None] for some in questions]

    def _refused(self, why: str) -> Verdict:
        """Nothing earned, nobody asked."""
        parts = [
            Part(name=one.name, score=0.0, weight=one.weight, gate=one.gate, detail="not judged")
            for one in self.criteria
        ]
        return weighted([*parts, gate("answer can be judged", False, why)])


def _part(criterion: Criterion, rounds: Sequence[Sequence[Vote]]) -> Part:
    """The median of the votes; of the answer as it is and less what it says to the judge, the lower one."""
    votes = min(rounds, key=lambda some: statistics.median_low([vote.score for vote in some]))
    chosen = statistics.median_low([vote.score for vote in votes])
    agreed = [vote for vote in votes if vote.score == chosen]
    counts = ", ".join(f"{vote.score * criterion.scale:g}" for vote in votes)
    detail = f"votes {counts} of {criterion.scale}; agreement {len(agreed) / len(votes):.0%}; {agreed[0].evidence}"
    return Part(name=criterion.name, score=chosen, weight=criterion.weight, gate=criterion.gate, detail=detail)


def _all(config: JudgeConfig, ask: Callable[[Question], Vote], questions: Sequence[Question]) -> list[Vote]:
    """All votes, several at once; the first failure ends it, and what is not yet asked is not asked."""
    with ThreadPoolExecutor(config.concurrency, thread_name_prefix="judge") as pool:
        waiting = [pool.submit(ask, one) for one in questions]
        try:
            return [one.result() for one in waiting]
        except (JudgeFailed, OSError):
            for one in waiting:
                one.cancel()
            raise


def _check_health(judge: Judge) -> None:
    """Raises JudgeFailed unless the judge sees a code that is there, and none that is not."""
    there, absent = secrets.token_hex(6).upper(), secrets.token_hex(6).upper()
    text = f"A delivery note with the code {there}, and nothing else."
    for code, right in ((there, 1), (absent, 0)):
        vote = judge.ask(Question(_CODE.format(code=code), text))
        if vote.score != right:
            told = "does not see a code that is there" if right else "sees a code that is not there"
            raise JudgeFailed("invalid_verifier", f"the judge {judge.config.model!r} {told}: take a better model")


def _fresh_code(about: Question) -> str:
    """A code that is nowhere in what the judge is shown."""
    while True:
        code = secrets.token_hex(6).upper()
        if not any(code in text.upper() for text in (about.answer, about.question, about.reference)):
            return code


def _not_swayed(votes: Sequence[Vote]) -> Part:
    swayed = sum(vote.score > 0 for vote in votes)
    held = swayed * 2 < len(votes)
    told = f"{swayed} of {len(votes)} votes affirm a code that is not in the answer"
    return gate("judge not swayed", held, told if swayed else "the canary was judged false")


def _nothing_suspicious(answer: str) -> Part:
    """A part that weighs nothing: for people who look for answers that were written to the judge."""
    found = suspicions(answer)
    return Part(
        name="nothing written to the judge", score=float(not found), weight=0.0, detail=", ".join(found) or "none found"
    )
