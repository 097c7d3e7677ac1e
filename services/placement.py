"""Where workers go, as the command line says it: resources by name, and a placement."""

from __future__ import annotations

import math
from typing import Literal, cast

from .errors import BadRequest

PLACEMENTS = ("pack", "spread")


def parse_resources(text: str) -> dict[str, float]:
    """`cpu=1,gpu=0.5,sandbox=1` as Ray's names and amounts per worker (CPU, GPU, custom ones). Raises BadRequest."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = (side.strip() for side in part.partition("="))
        name = name.upper() if name.lower() in ("cpu", "gpu") else name
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value) or value < 0:
            raise BadRequest(f"resources {text!r}: {part!r} is not NAME=AMOUNT, as in cpu=1,gpu=0.5,sandbox=1")
        if value > 1 and value != int(value):
            raise BadRequest(f"resources {text!r}: {part!r} is above 1, so it must be a whole number")
        found[name] = value
    return found


def parse_placement(text: str) -> Literal["PACK", "SPREAD"]:
    """`pack` or `spread`. Raises BadRequest."""
    if text.lower() not in PLACEMENTS:
        raise BadRequest(f"placement {text!r} is not one of {', '.join(PLACEMENTS)}")
    return cast(Literal["PACK", "SPREAD"], text.upper())
