"""What tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A local Ray for a file whose tests run jobs in this process; it ends with the file."""
    import ray

    from palestra.rollout.cluster import connect

    connect(cpus=2)
    yield
    ray.shutdown()
