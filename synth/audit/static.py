"""The static answers: what the package and its image declare."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable

from ...infra.images import tree
from ...infra.images.definitions import ImageError, load
from ...infra.sandbox.types import DEFAULT_LIMITS
from ...rollout.episode import Budget
from .ground import Ground
from .policy import MAX_EPISODE_SECONDS, Answer

_ID = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_ARCHIVES = (".tar", ".gz", ".tgz", ".zip", ".xz", ".7z", ".whl", ".deb", ".jar")
_PINNED = re.compile(r"(==|~=|<)")


def passed(id: str, *evidence: str, **measured: object) -> Answer:
    """It holds."""
    return Answer(id, "pass", evidence, measured)


def failed(id: str, remedy: str, *evidence: str, **measured: object) -> Answer:
    """It does not."""
    return Answer(id, "fail", evidence, measured, remedy)


def skipped(id: str, *why: str) -> Answer:
    """It cannot be said."""
    return Answer(id, "skip", why)


def manifest(ground: Ground) -> Answer:
    """`static.manifest`: id, version, levels, tools and what it is, as the class declares them."""
    cls = ground.cls
    wrong = []
    if not _ID.fullmatch(cls.id):
        wrong.append(f"id {cls.id!r} is not small letters and digits with single - or _ between")
    if not cls.version:
        wrong.append("version is empty")
    if not len(cls.levels) or cls.levels.start < 1:
        wrong.append(f"levels {cls.levels} begin below 1 or are none")
    if not (inspect.getdoc(cls) or "").strip():
        wrong.append("the class has no docstring")
    if not (cls.toolset or cls.toolless):
        wrong.append("it has no tools")
    if cls.shell_tool and cls.shell_tool not in cls.toolset:
        wrong.append(f"shell_tool {cls.shell_tool!r} is no tool")
    if wrong:
        return failed("static.manifest", "declare it in the class body", *wrong)
    told = f"{cls.id} {cls.version}, levels {cls.levels.start} to {cls.levels.stop - 1}, {len(cls.toolset)} tools"
    return passed("static.manifest", told, image=cls.image)


def reproducible_build(ground: Ground) -> Answer:
    """`static.reproducible_build`: the built image is, byte for byte, what its manifest recorded, and is named by the
    digest of its definition; without an image, the digest of the sources."""
    id = "static.reproducible_build"
    if ground.cls.image is None:
        digest = source_digest(ground)
        return passed(id, f"{len(ground.package.files)} source files, nothing is built", source_digest=digest)
    image = ground.image
    if image is None or image.rootfs is None or image.manifest is None:
        return skipped(id, f"the root file system of {ground.image_name} is not built here: palestra images build")
    recorded, now = image.manifest.tree, tree.digest(tree.entries(image.rootfs))
    if recorded != now:
        remedy = f"remove {image.rootfs.parent} and build it again"
        return failed(id, remedy, f"{image.tag}: its files are not those of the build", recorded=recorded, found=now)
    return passed(id, f"{image.tag}: every file is as the build recorded it", tree=now, definition=load(image.name).tag)


def source_digest(ground: Ground) -> str:
    """SHA-256 over the environment's files: names and bytes."""
    total = hashlib.sha256()
    home = ground.package.module.parent
    for path in ground.package.files:
        total.update(str(path.relative_to(home)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def image_hygiene(ground: Ground) -> Answer:
    """`static.image_hygiene`: no left-overs of package managers in the image, no compiled files in the package."""
    id = "static.image_hygiene"
    left = (
        ground.probe.unclean if ground.probe else [str(p) for p in ground.package.files if p.suffix in (".pyc", ".o")]
    )
    where = ground.image_name or "the package"
    return failed(id, "remove them", *left) if left else passed(id, f"nothing is left over in {where}")


def layout(ground: Ground) -> Answer:
    """`static.layout`: no archives, whose contents nobody can look through."""
    id = "static.layout"
    inside = ground.probe.archives if ground.probe else []
    found = [*inside, *(str(path) for path in ground.package.files if path.suffix in _ARCHIVES)]
    return failed(id, "unpack them", *found) if found else passed(id, "no archives")


def sbom(ground: Ground) -> Answer:
    """`static.sbom`: the name and version of everything that is in the image, or that the package imports."""
    id = "static.sbom"
    if ground.cls.image is not None:
        image = ground.image
        packages = image.manifest.packages if image is not None and image.manifest is not None else {}
        if not packages:
            return skipped(id, f"the manifest of {ground.image_name} is not on this machine: palestra images build")
        return passed(id, f"{len(packages)} packages in {ground.image_name}", packages=packages)
    missing = [name for name, version in ground.package.requirements.items() if not version]
    if missing:
        return failed(
            id, "name them among the package's dependencies", *(f"{name} is not installed" for name in missing)
        )
    return passed(id, f"{len(ground.package.requirements)} imported", packages=ground.package.requirements)


def oci_labels(ground: Ground) -> Answer:
    """`static.oci_labels`: title, version and description, of the image's definition or of the distribution."""
    id = "static.oci_labels"
    if ground.cls.image is not None:
        try:
            definition = load(ground.image_name)
        except ImageError as error:
            return failed(id, "name an image of infra/images", str(error))
        labels = {"title": definition.name, "version": definition.tag, "description": definition.description}
    else:
        found = ground.package.distribution
        if found is None:
            return skipped(id, f"{ground.package.module.name} is not installed with pip: its metadata cannot be read")
        about = found.metadata
        labels = {"title": about["Name"], "version": found.version, "description": about["Summary"] or ""}
    empty = [name for name, value in labels.items() if not value]
    if empty:
        return failed(id, "write it into pyproject.toml or the image's definition", f"no {', '.join(empty)}", **labels)
    return passed(id, ", ".join(f"{name}: {value}" for name, value in labels.items()), **labels)


def declared(ground: Ground) -> dict[str, float]:
    """What an episode may use: the largest limits that were asked of the sandboxes, else the default ones."""
    asked = [limits for _, limits, _ in ground.sandboxes.asked] if ground.sandboxes is not None else []
    most = asked or [DEFAULT_LIMITS]
    return {
        "cpu": max(limits.cpus for limits in most),
        "memory_mb": max(limits.memory_bytes for limits in most) >> 20,
        "disk_mb": max(limits.disk_bytes for limits in most) >> 20,
        "lease_seconds": max(limits.lease_seconds for limits in most),
        "episode_timeout_s": Budget.seconds,
    }


def resource_declaration(ground: Ground) -> Answer:
    """`static.resource_declaration`: processor, memory, disk and time of an episode have limits."""
    id = "static.resource_declaration"
    if ground.cls.image is not None and not (ground.sandboxes and ground.sandboxes.asked):
        return failed(id, "lease from self.sandboxes in `start`", "it names an image and never leased one")
    limits = declared(ground)
    told = ", ".join(f"{name} {value:g}" for name, value in limits.items())
    return passed(id, told, **limits)


_LOWER = "lower the `lease_seconds` of what it leases"


def timeout_ceiling(ground: Ground) -> Answer:
    """`static.timeout_ceiling`: no episode and no lease may take more than an hour."""
    id, limits = "static.timeout_ceiling", declared(ground)
    longest = max(limits["episode_timeout_s"], limits["lease_seconds"])
    told = f"{longest:g} s of at most {MAX_EPISODE_SECONDS:g} s"
    return passed(id, told, **limits) if longest <= MAX_EPISODE_SECONDS else failed(id, _LOWER, told, **limits)


def dependency_pinning(ground: Ground) -> Answer:
    """`static.dependency_pinning`: exact versions in the image; what the package imports is bounded by its
    distribution."""
    id = "static.dependency_pinning"
    loose = _loose(ground)
    image = ground.image
    if ground.cls.image is not None and (image is None or image.manifest is None):
        return skipped(id, f"the manifest of {ground.image_name} is not on this machine: palestra images build")
    fixed = len(image.manifest.packages) if image is not None and image.manifest is not None else 0
    if loose:
        return failed(id, "write == or < behind them in pyproject.toml", *loose)
    told = [f"{name} {version}" for name, version in ground.package.requirements.items()]
    return passed(id, f"{fixed} packages of the image at exact versions; imports: {', '.join(told) or 'none'}")


def _loose(ground: Ground) -> list[str]:
    """Imported distributions that no requirement bounds from above."""
    wanted = {_plain(line): line for line in ground.package.declared}
    return [
        f"{name}: {wanted.get(_plain(name), 'not among the dependencies')}"
        for name in ground.package.requirements
        if not _PINNED.search(wanted.get(_plain(name), ""))
    ]


def _plain(requirement: str) -> str:
    """The name a requirement begins with, as PyPI compares names."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].replace("_", "-").replace(".", "-").lower()


def task_distribution_pinning(ground: Ground) -> Answer:
    """`static.task_distribution_pinning`: id, version, seed and level fix every task, here and in another process."""
    id = "static.task_distribution_pinning"
    here, there = ground.all_of("reproducible"), ground.all_of("same_elsewhere")
    bad = [one.detail for one in [*here, *there] if not one.ok]
    if bad or not here:
        return failed(id, "draw everything in `propose` from `rng`", *(bad or ["no task could be proposed"]))
    digest = hashlib.sha256(" ".join(task.id for task in ground.tasks).encode()).hexdigest()
    return passed(id, f"{len(here)} tasks alike, {len(there)} of them in another process too", tasks_digest=digest)


STATIC: tuple[Callable[[Ground], Answer], ...] = (
    manifest,
    reproducible_build,
    image_hygiene,
    layout,
    sbom,
    oci_labels,
    resource_declaration,
    timeout_ceiling,
    dependency_pinning,
    task_distribution_pinning,
)
