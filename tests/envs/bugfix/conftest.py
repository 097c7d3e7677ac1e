"""Sandboxes of the eight languages, where this machine can have them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox.doctor import why_not
from palestra.infra.sandbox.sync import Sandboxes

LANGUAGES = ("c", "cpp", "go", "java", "javascript", "php", "python", "typescript")


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[Sandboxes]:
    reason = why_not_debootstrap() or why_not("bwrap")
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Sandboxes("bwrap") as found:
        yield found


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language whose image is there or can be made."""
    name: str = request.param
    if why_not_debootstrap() is None:
        ensure_image(name)
    return name
