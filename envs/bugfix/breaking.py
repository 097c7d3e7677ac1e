"""Choose and make a bug: one or several mutations of a seed repository that belong together."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..errors import ProposeFailed
from .seeds import LANGUAGES, candidates, functions, load
from .types import Files, Mutation, applied

SITES = {1: 1, 2: 2, 3: 3}
SUBTLE = frozenset({"boundary", "constant", "connective", "default", "variable", "dropped", "swap", "arithmetic"})
STRONG = frozenset({"arithmetic", "negation", "constant", "connective"})  # the least often without effect
_TRIES = 40
_NEAR_LINES = 1

Site = tuple[str, Mutation]


@dataclass(frozen=True)
class Bug:
    """A broken repository: which sites of which correct files were changed, sorted by place."""

    repository: str
    language: str
    sites: tuple[Site, ...]

    def broken(self, keep: int | None = None) -> dict[str, str]:
        """The changed files with the mutations made; with `keep`, only those from site number `keep` on."""
        files = load(self.repository).files
        left = self.sites[keep or 0 :]
        return {
            path: applied(files[path], [mutation for where, mutation in left if where == path])
            for path in sorted({path for path, _ in self.sites})
        }


def choose_bug(rng: random.Random, repository: str, language: str, level: int) -> Bug:
    """A bug of this level: `SITES[level]` mutations in functions that call one another. Raises ProposeFailed."""
    pool = [site for site in candidates(repository, language) if level < 3 or site[1].kind in SUBTLE]
    for _ in range(_TRIES):
        sites = [_pick(rng, pool)]
        while len(sites) < SITES[level]:
            near = [site for site in _related(repository, language, sites[0], pool) if _apart(site, sites)]
            if not near:
                break
            sites.append(_pick(rng, near))
        bug = Bug(repository, language, tuple(sorted(sites)))
        if len(sites) == SITES[level] and is_real(bug):
            return bug
    raise ProposeFailed(f"no bug of level {level} found in {repository}")


def is_real(bug: Bug) -> bool:
    """Whether every site changes the program and the result compiles."""
    language, files = LANGUAGES[bug.language], load(bug.repository).files
    alone = all(language.same_program(files[path], applied(files[path], [site])) is False for path, site in bug.sites)
    return alone and all(language.same_program(files[path], text) is False for path, text in bug.broken().items())


def another(
    rng: random.Random, repository: str, language: str, near: tuple[Site, ...], files: Files
) -> dict[str, str] | None:
    """`files` of the repository with one more mutation, away from the sites of a bug; None where there is no room."""
    speak = LANGUAGES[language]
    functions_hit = {(path, mutation.function) for path, mutation in near}
    pool = [
        (path, mutation)
        for path in sorted({path for path, _ in near})
        for mutation in speak.mutations(files[path])
        if mutation.kind in STRONG
    ]
    preferred = [site for site in pool if (site[0], site[1].function) in functions_hit] or pool
    for _ in range(_TRIES if preferred else 0):
        path, mutation = _pick(rng, preferred)
        text = applied(files[path], [mutation])
        if speak.same_program(files[path], text) is False and text != load(repository).files[path]:
            return {**files, path: text}
    return None


def _pick(rng: random.Random, pool: list[Site]) -> Site:
    """First a kind, then a place, so that frequent kinds do not crowd out the others."""
    kind = rng.choice(sorted({site[1].kind for site in pool}))
    return rng.choice([site for site in pool if site[1].kind == kind])


def _related(repository: str, language: str, first: Site, pool: list[Site]) -> list[Site]:
    """Sites in the same function, its callers and callees; in the same file where there are none."""
    known = functions(repository, language)
    short = first[1].function.rpartition(".")[2]
    calls = {name for item in known if item.name == first[1].function and item.path == first[0] for name in item.calls}
    names = {item.name for item in known if item.short in calls or short in item.calls} | {first[1].function}
    near = [site for site in pool if site[1].function in names]
    return near if len(near) > 10 else [site for site in pool if site[0] == first[0]]


def _apart(site: Site, chosen: list[Site]) -> bool:
    """Whether a site shares no line with the others, nor touches one."""
    path, mutation = site
    last = mutation.line + mutation.old.count("\n")
    for other_path, other in chosen:
        other_last = other.line + other.old.count("\n")
        if path == other_path and mutation.line <= other_last + _NEAR_LINES and other.line <= last + _NEAR_LINES:
            return False
    return True
