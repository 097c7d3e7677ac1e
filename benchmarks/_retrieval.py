"""Long-range retrieval as training samples: facts scattered in a long context, all questions at its end.

A fact is a pair of names, "a b", and stands anywhere between filler tokens. A question is a mark and a name; its answer
is the name this one leads to or, with several hops, the whole way from name to name (RULER calls it variable tracking).
Names are drawn anew for every sample, so that nothing can be learnt by heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palestra.policy.batches import Sample

BEGIN, ASK = 0, 1
NAMES, FILLERS = 128, 46
FIRST_NAME = 2
FIRST_FILLER = FIRST_NAME + NAMES
VOCABULARY = FIRST_FILLER + FILLERS
# A context is never more than this full of facts and questions.
FULL = 0.85


@dataclass(frozen=True)
class Retrieval:
    """A kind of context with up to `ways` ways of `hops` facts each, all asked for."""

    name: str
    ways: int
    hops: int

    def sample(self, rng: np.random.Generator, length: int) -> Sample:
        """A context of `length` tokens (24 at least), of which the answers are to be learnt."""
        room = 3 * self.hops + self.hops + 2
        ways = max(1, min(self.ways, int(FULL * (length - 1)) // room))
        names_WH = FIRST_NAME + rng.permutation(NAMES)[: ways * (self.hops + 1)].reshape(ways, self.hops + 1)
        facts = rng.permutation(np.concatenate([names_WH[:, hop : hop + 2] for hop in range(self.hops)]))
        questions = np.concatenate((np.full((ways, 1), ASK), rng.permutation(names_WH)), axis=1)
        tokens = rng.integers(FIRST_FILLER, FIRST_FILLER + FILLERS, length)
        tokens[0] = BEGIN
        end = length - questions.size
        # At least one filler follows each fact, so that two facts never read as three.
        spare = end - 1 - 3 * len(facts)
        at = 1 + np.sort(rng.integers(0, spare + 1, len(facts))) + 3 * np.arange(len(facts))
        tokens[at], tokens[at + 1] = facts.T
        tokens[end:] = questions.ravel()
        mask = np.zeros(length, np.int64)
        mask[end:] = np.tile([0, 0, *[1] * self.hops], ways)
        return Sample(tuple(tokens.tolist()), tuple(mask.tolist()), (0.0,) * length)


KINDS = (Retrieval("needle", 8, 1), Retrieval("lookup", 40, 1), Retrieval("hops", 20, 3))
