"""Every planted defect, with the checks that should name it."""

from __future__ import annotations

from dataclasses import dataclass

from ...envs.environment import Environment
from ..stage import MakeEnvironment
from ..survey import survey
from ..synthesize import attempt
from ..types import Depth
from . import doors, shelves, subtle, workshop

PROPOSES = "proposes"
"""Where no task came of it at all, which `attempt` says and not a certificate."""
MANY = 8
"""Sample tasks where a defect only shows over many."""


@dataclass(frozen=True)
class Defect:
    """An environment with one defect, in words, and the checks of which at least one must fail."""

    about: str
    cls: type[Environment]
    caught_by: frozenset[str]
    tasks: int = 1

    @property
    def over_many(self) -> bool:
        """Whether it only shows over many tasks, in a survey of them."""
        return bool(self.caught_by & {"varied", "levels", "not_guessable"})

    @property
    def sandboxed(self) -> bool:
        """Whether it needs a sandbox."""
        return self.cls.image is not None

    def found(self, make: MakeEnvironment, depth: Depth = "full", seed: int = 1) -> set[str]:
        """The checks that do not hold for some of its tasks."""
        made = [attempt(make, seed, number, 1, depth=depth) for number in range(MANY if self.over_many else self.tasks)]
        failed = {name for one in made if one.certified for name in one.certified.certificate.reasons}
        failed |= {PROPOSES for one in made if one.certified is None}
        return failed | {one.name for one in survey(make, made) if not one.ok} if self.over_many else failed


def _defect(about: str, cls: type[Environment], *caught_by: str, tasks: int = 1) -> Defect:
    return Defect(about, cls, frozenset(caught_by), tasks)


DEFECTS: tuple[Defect, ...] = (
    _defect("verifier always true", doors.AlwaysTrue, "noop_fails", "mutants_fail"),
    _defect("verifier always false", doors.AlwaysFalse, "oracle_passes"),
    _defect("verifier gives no verdict", doors.NoVerdict, "oracle_passes"),
    _defect("task cannot be solved", doors.Unsolvable, "oracle_passes"),
    _defect("oracle is wrong", doors.WrongOracle, "oracle_passes"),
    _defect("doing nothing passes", doors.NoopPasses, "noop_fails"),
    _defect("answer in the prompt", doors.KeyInPrompt, "no_leak"),
    _defect("answer in a readable file", doors.KeyInReadable, "no_leak"),
    _defect("tool shows the key", doors.KeyInTool, "no_leak"),
    _defect("error of a tool shows the key", doors.KeyInError, "no_leak"),
    _defect("tool says whether an answer is right", doors.ToolJudges, "no_leak"),
    _defect("tool sorts by the key", doors.KeySteersTool, "no_leak"),
    _defect("verifier tosses a coin", doors.CoinVerifier, "oracle_passes", "same_twice"),
    _defect("verdict numbers itself", doors.Counting, "same_twice"),
    _defect("verifier looks at the clock", doors.ClockVerifier, "time_independent"),
    _defect("verdict in hash order", doors.HashOrderVerifier, "same_elsewhere"),
    _defect("task in hash order", doors.HashOrderProposer, "same_elsewhere"),
    _defect("verdict depends on the process", doors.ProcessVerifier, "same_elsewhere"),
    _defect("verdict depends on the time zone", doors.ZoneVerifier, "same_elsewhere"),
    _defect("verdict depends on the locale", doors.LocaleVerifier, "same_elsewhere"),
    _defect("task depends on the clock", doors.ClockProposer, "reproducible"),
    _defect("seed is ignored", doors.SeedIgnored, "reproducible"),
    _defect("level is ignored", doors.LevelIgnored, "levels"),
    _defect("world is not JSON", doors.NotJson, PROPOSES),
    _defect("world changes when stored", doors.NumbersAsNames, "reproducible"),
    _defect("a prefix of the answer passes", doors.AcceptsPrefix, "near_misses_fail"),
    _defect("a text that holds the answer passes", doors.AcceptsSubstring, "near_misses_fail", "red_team"),
    _defect("names that differ in case collide", doors.CaseCollision, "near_misses_fail"),
    _defect("any name of the world passes", doors.AnyNameOfTheWorld, "mutants_fail"),
    _defect("answer is used as a pattern", doors.PatternVerifier, "red_team"),
    _defect("answer is used as a wildcard", doors.WildcardVerifier, "red_team"),
    _defect("answer that claims to pass does", doors.TrustingVerifier, "red_team"),
    _defect("judge obeys the answer", doors.JudgeInjected, "red_team"),
    _defect("verifier crashes on an object", doors.CrashesOnObjects, "red_team"),
    _defect("agent can make its verdict invalid", doors.InvalidOnDemand, "red_team"),
    _defect("verifier reaches for a network", doors.NeedsNetwork, "hermetic"),
    _defect("tool crashes", doors.ToolCrashes, "random_fails", "red_team"),
    _defect("tool says without end", doors.UnboundedOutput, "envelope"),
    _defect("oracle never ends", doors.NeverEnds, "oracle_passes"),
    _defect("episodes share state", doors.SharedWorld, "same_twice", "oracle_passes"),
    _defect(
        "verdict depends on the task before", doors.RemembersOthers, "history_independent", "oracle_passes", tasks=3
    ),
    _defect("verifier tires of judging", doors.TiresOfJudging, "mutants_fail", "order_independent", "same_twice"),
    _defect("solving changes the task", doors.ChangesTheTask, "oracle_passes"),
    _defect("judging changes the world", doors.ChangesTheWorld, "same_twice"),
    _defect("only what nobody can say passes", doors.OnlyNumbers, "oracle_passes"),
    _defect("one wrong answer only", doors.SameMutant, "mutants_fail"),
    _defect("luck answers it", doors.YesOrNo, "random_fails", "mutants_fail"),
    _defect("all tasks are the same", doors.AllTheSame, "varied"),
    _defect("all answers are the same", doors.SameAnswer, "not_guessable"),
    _defect("the longest choice is right", doors.LengthTells, "not_guessable"),
    _defect("more than the right items passes", subtle.SupersetPasses, "near_misses_fail"),
    _defect("a part of the right items passes", subtle.SubsetPasses, "near_misses_fail"),
    _defect("the order that is asked for is ignored", subtle.OrderIgnored, "near_misses_fail"),
    _defect("a number nearby passes", subtle.LooseNumber, "near_misses_fail"),
    _defect("the sign of a number is ignored", subtle.SignIgnored, "near_misses_fail"),
    _defect("what is no number passes", subtle.NoNumberPasses, "near_misses_fail"),
    _defect("the right one beside a wrong one passes", subtle.HedgesPass, "near_misses_fail"),
    _defect("answer is used as a template", subtle.FormatsTheAnswer, "red_team"),
    _defect("the oracle needs more turns than there are", subtle.TooManyTurns, "envelope"),
    _defect("what is stored cannot be judged again", subtle.JudgedByWitness, "rescored"),
    _defect("any number passes beside a right state", shelves.AnyNumber, "slips_fail"),
    _defect("only a part of the state is judged", shelves.FirstBooksOnly, "slips_fail", tasks=4),
    _defect("the state is not judged", shelves.StateIgnored, "slips_fail"),
    _defect("oracle tells the key", subtle.OracleTellsTheKey, "oracle_by_tools"),
    _defect("a tool remembers other tasks", subtle.CachesForAll, "oracle_passes", "history_independent", tasks=4),
    _defect("note of the agent is believed", subtle.NoteTrusted, "red_team"),
    _defect("wrong answers earn 0.999", subtle.AlmostFull, "mutants_fail"),
    _defect("doing nothing earns 0.95", subtle.GenerousFloor, "noop_fails"),
    _defect("the default value is right", subtle.DefaultIsRight, "noop_fails"),
    _defect("verifier reads a temporary file", subtle.ReadsTemporaryFile, "hermetic"),
    _defect("after ten minutes everything passes", subtle.TimeBomb, "time_independent"),
    _defect("most answers are the same", subtle.MostAnswersAlike, "not_guessable"),
    _defect("a tool lists the right one first", subtle.FirstOfTheList, "not_guessable"),
    _defect("only a handful of tasks", subtle.FewTasks, "varied"),
    _defect("answer in base64 in a readable file", subtle.KeyInDisguise, "no_leak"),
    _defect("report that the agent can write", workshop.ReportTrusted, "red_team"),
    _defect("tests that the agent can edit", workshop.TestsOfTheAgent, "red_team"),
    _defect("exit code is believed", workshop.ExitCodeTrusted, "red_team"),
    _defect("all that the agent left is taken over", workshop.WholeTreeTaken, "red_team"),
    _defect("hidden tests in the tree", workshop.HiddenTestsInTheTree, "no_leak"),
    _defect("the original left beside", workshop.LeftoverShows, "no_leak"),
    _defect("history shows the repair", workshop.HistoryShows, "no_leak", "red_team"),
    _defect("flaky test", workshop.FlakyTest, "oracle_passes", "same_twice", "order_independent", "same_elsewhere"),
    _defect("verdict tells the time", workshop.NeedsThisMachine, "same_twice"),
)

SOUND: tuple[type[Environment], ...] = (
    doors.Doors,
    subtle.Rows,
    subtle.Counted,
    subtle.Mean,
    subtle.Corridor,
    shelves.Shelves,
    workshop.Workshop,
)
