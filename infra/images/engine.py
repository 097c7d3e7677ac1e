"""Images in a Docker engine: imported from a built root file system, or built there from a registry's Debian."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .definitions import BuildFailed, ImageDefinition
from .tidy import PEOPLE, PLACES

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]


def references() -> frozenset[str] | None:
    """The names of our images in this machine's engine; None where no engine answers."""
    from docker import DockerClient
    from docker.errors import DockerException

    try:
        client = DockerClient.from_env()
        try:
            return frozenset(tag for image in client.images.list("palestra/*") for tag in image.tags)
        finally:
            client.close()
    except (DockerException, OSError):
        return None


def import_tree(client: DockerClient, definition: ImageDefinition, rootfs: Path, progress: Progress) -> None:
    """Hand a root file system to the engine. Raises BuildFailed, docker's APIError."""
    progress(f"importing {definition.reference}")
    argv = ["tar", "-C", str(rootfs), "--one-file-system", "--sort=name", "--numeric-owner", "-c", "."]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        client.api.import_image_from_stream(
            tar.stdout, repository=f"palestra/{definition.name}", tag=definition.digest, changes=["WORKDIR /work"]
        )
    if tar.returncode != 0:
        client.images.remove(definition.reference)
        raise BuildFailed(f"tar of {rootfs} ended with {tar.returncode}")


def build_from_registry(client: DockerClient, definition: ImageDefinition, progress: Progress) -> None:
    """Let the engine build it from the registry's slim Debian. Raises docker's APIError and BuildError."""
    progress(f"building {definition.reference} from debian:{definition.suite}-slim")
    client.images.build(fileobj=io.BytesIO(dockerfile(definition).encode()), tag=definition.reference, rm=True)


def dockerfile(definition: ImageDefinition) -> str:
    """The same image for an engine that can reach a registry (its package versions are the registry's and mirror's)."""
    packages = sorted({*(definition.parent.packages if definition.parent else ()), *definition.packages})
    places = " ".join(f"/{name}" for name, _ in PLACES)
    steps = []
    if packages:
        install = "apt-get install -y --no-install-recommends " + " ".join(packages)
        unwanted = " ".join(f"/{glob}" for glob in ("var/lib/apt/lists/*", *sorted(definition.remove)))
        steps.append(f"mkdir -p /usr/share/man/man1 && apt-get update && {install} && rm -rf {unwanted}")
    steps += [f"groupadd -g {id} {name} && useradd -u {id} -g {id} -d /work {name}" for name, id in PEOPLE]
    steps.append(f"mkdir -p {places} && " + " && ".join(f"chmod {mode:o} /{name}" for name, mode in PLACES))
    return "\n".join([f"FROM debian:{definition.suite}-slim", *(f"RUN {step}" for step in steps), "WORKDIR /work", ""])
