"""Names that no model can know: people, places and things of an invented world, each title used once."""

from __future__ import annotations

import random
from collections.abc import Callable

from ...verifiers.answers import normalise

_ONSETS = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "sh",
    "st",
    "sv",
    "t",
    "tr",
    "v",
    "w",
    "y",
    "z",
)
_VOWELS = ("a", "a", "e", "e", "i", "o", "o", "u", "ae", "ei", "ia", "au", "oe")
_CODAS = ("l", "n", "r", "s", "th", "nd", "rk", "lm", "ck", "sk", "m", "lin", "ren", "dal", "mas")
_TOWN_ENDS = (
    "ford",
    "ham",
    "stad",
    "wick",
    "by",
    "mouth",
    "haven",
    "berg",
    "field",
    "moor",
    "gate",
    "hollow",
    "ness",
    "port",
)
_PERSON_ENDS = ("a", "o", "e", "in", "an", "is", "us", "or", "el", "ine", "ard", "ita")
_FIRM_ENDS = (
    "Ironworks", "Shipyard", "Press", "Mills", "Instruments", "Foundry", "Brothers", "Trading Company",
    "Bridge Company", "Glassworks", "Railway Works", "Printing House",
)  # fmt: skip
_SCHOOL_ENDS = ("Academy", "College", "Institute", "Polytechnic", "Seminary", "School of Navigation", "Conservatory")
_BRIDGE_ENDS = ("Bridge", "Viaduct", "Footbridge", "Crossing", "Causeway")
_EVENT_KINDS = ("Exhibition", "Regatta", "Fair", "Congress", "Festival", "Jubilee", "Games")
_ADJECTIVES = (
    "Silent", "Crooked", "Amber", "Distant", "Patient", "Northern", "Hollow", "Second", "Bitter", "Painted", "Borrowed",
    "Restless", "Gilded", "Wandering", "Frozen", "Forgotten", "Narrow", "Burning", "Salted", "Velvet", "Iron", "Lonely",
    "Thirteenth", "Drowned", "Copper", "Blind", "Early", "Broken", "Sleeping", "Honest",
)  # fmt: skip
_NOUNS = (
    "Orchard", "Lantern", "Tide", "Ledger", "Harbour", "Clock", "Meadow", "Letter", "Winter", "Compass", "Garden",
    "Anvil", "Heron", "Window", "Ferry", "Mirror", "Vineyard", "Sparrow", "Staircase", "Cartographer", "Quarry",
    "Lighthouse", "Thimble", "Furrow", "Bell", "Archive", "Ember", "Kestrel", "Mill", "Threshold",
)  # fmt: skip
_WORK_FORMS = ("The {a} {n}", "{a} {n}", "The {n} of {t}", "{an} {n}", "{n} and {m}", "Notes on the {a} {n}")
_SHIP_FORMS = ("{a} {n}", "Star of {t}", "{p}", "Spirit of {t}", "{a} {p}")


class Namer:
    """Draws names from `rng`; their parts recur, and only what goes through `fresh` is new as a whole."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()
        self.givens = [self._word(self._rng.choice(_PERSON_ENDS)) for _ in range(140)]
        self.surnames = [self._word(rng.choice(_CODAS)) for _ in range(420)]
        self.stems = [self._word(rng.choice(_CODAS)) for _ in range(260)]

    def fresh(self, make: Callable[[], str]) -> str:
        """What `make` gives, tried until it is new. AssertionError where that does not come about."""
        for _ in range(1000):
            name = make()
            if (plain := normalise(name)) not in self._used:
                self._used.add(plain)
                return name
        raise AssertionError("no new name in 1000 draws: the world is too large for its names")

    def person(self) -> str:
        """Given names and a surname; those recur, the whole does not."""
        given = self._rng.choice(self.givens)
        if self._rng.random() < 0.4:
            given = f"{given} {self._rng.choice(self.givens)}"
        return f"{given} {self._rng.choice(self.surnames)}"

    def town(self) -> str:
        """One word."""
        return self._rng.choice(self.stems) + self._rng.choice(_TOWN_ENDS)

    def river(self) -> str:
        """One word."""
        return self._word(self._rng.choice(("a", "e", "is", "ava", "une")))

    def firm(self) -> str:
        """A surname or two and a trade."""
        first = self._rng.choice(self.surnames)
        if self._rng.random() < 0.3:
            first = f"{first} and {self._rng.choice(self.surnames)}"
        return f"{first} {self._rng.choice(_FIRM_ENDS)}"

    def school(self) -> str:
        """A surname or an invented word, and what it is."""
        return f"{self._rng.choice((*self.surnames, *self.stems))} {self._rng.choice(_SCHOOL_ENDS)}"

    def bridge(self) -> str:
        """An adjective, a noun or a surname, and what it is."""
        first = self._rng.choice((self._rng.choice(_ADJECTIVES), self._rng.choice(_NOUNS), *self.surnames[:80]))
        return f"{first} {self._rng.choice(_BRIDGE_ENDS)}"

    def work(self) -> str:
        """A title of common words."""
        return self._formed(_WORK_FORMS)

    def event(self) -> str:
        """What it was, and of what."""
        what = self._rng.choice(("Orchards", "Instruments", "Sail", "Letters", "Maps", "Bells", "Clocks", "Machines"))
        form = self._rng.choice(("{e} of {w}", "{s} {e}", "{a} {e}", "{a} {e} of {w}"))
        return form.format(
            e=self._rng.choice(_EVENT_KINDS),
            w=what,
            s=self._rng.choice(self.surnames),
            a=self._rng.choice(("Great", "Royal", "Summer", "Winter", "Northern", "Coastal", "First", "Grand")),
        )

    def ship(self) -> str:
        """A name such as ships bear."""
        return self._formed(_SHIP_FORMS)

    def alias(self, kind: str, name: str) -> str:
        """Another name for a thing of this kind that is called `name`."""
        if kind == "person":
            return f"{self._rng.choice(self.givens)} {name.split()[-1]}"
        if kind in ("town", "river"):
            return self.town() if kind == "town" else self.river()
        if kind == "firm":
            return f"{name.split()[0]} and {self._rng.choice(('Sons', 'Daughters', 'Company', 'Partners', 'Heirs'))}"
        if kind == "school":
            return f"Old {self._rng.choice(self.stems)}"
        if kind == "ship":
            return f"Hull {self._rng.randint(100, 2999)}"
        return self.work() if kind == "work" else f"{self._rng.choice(_ADJECTIVES)} {self._rng.choice(self.stems)}"

    def _formed(self, forms: tuple[str, ...]) -> str:
        adjective = self._rng.choice(_ADJECTIVES)
        return self._rng.choice(forms).format(
            a=adjective,
            an=f"{'An' if adjective[0] in 'AEIOU' else 'A'} {adjective}",
            n=self._rng.choice(_NOUNS),
            m=self._rng.choice(_NOUNS),
            t=self._rng.choice(self.stems),
            p=self._rng.choice(self.givens),
        )

    def _word(self, end: str) -> str:
        syllables = [self._rng.choice(_ONSETS) + self._rng.choice(_VOWELS) for _ in range(self._rng.choice((1, 2, 2)))]
        return "".join(syllables).capitalize() + end
