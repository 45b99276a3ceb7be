"""The programs of the rig: built from pinned Go modules once per machine, into a cache outside the checkout.

    python -m tests.rig build

Each folder below tools/ is a Go module that pins programs and nothing else. Its key is a hash of its pins and of how it
is built, so that a changed pin builds anew beside the old one, and a checkout that changes nothing builds nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.cache import cache, locked
from tests.rig.voice_tree import voice_tree
from tools import debian_package

BUILD_AT_MOST_S = 5400
"""Of one program. Ten times what the largest takes on two cores with its modules still to be fetched."""
TOOLS_FOLDER = Path(__file__).parent / "tools"
KUBERNETES_VERSION = "v1.36.3"


class ProgramError(Exception):
    """A program cannot be built or found, with what to do."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One Go module of pins: program name → Go package, and module folders whose files are needed at run time."""

    name: str
    programs: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    module: str = ""
    files: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its go.mod and go.sum are."""
        return TOOLS_FOLDER / self.name

    @property
    def linker_flags(self) -> str:
        """Without symbols; with the versions that a release build would have."""
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.variables.items())])

    @property
    def target(self) -> Path:
        """Its folder in the cache."""
        digest = hashlib.sha256(repr((sorted(self.programs.items()), self.linker_flags, self.files)).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        return cache() / f"{self.name}-{digest.hexdigest()[:16]}"


def _kubernetes_version() -> dict[str, str]:
    _, minor, _ = KUBERNETES_VERSION.split(".")
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": "1", "gitMinor": minor}
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}


TOOLS = (
    Tool("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Tool(
        "kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
        _kubernetes_version(),
    ),
    Tool(
        "keda",
        {f"keda-{name}": f"github.com/kedacore/keda/v2/cmd/{name}" for name in ("operator", "adapter")},
        module="github.com/kedacore/keda/v2",
        files=("config/crd/bases", "config/rbac", "config/metrics-server", "config/service_account"),
    ),
)

OPTIONAL_TOOLS = (
    Tool("loki", {"loki": "github.com/grafana/loki/v3/cmd/loki"}),
    Tool("minio", {"minio": "github.com/minio/minio"}),
)
"""Stores beside a rig: no rig needs them, so they are built when first asked for."""


def program(name: str) -> Path:
    """The path of a program, built now if it is not in the cache.

    Raises:
        ProgramError: no tool has such a program, or it cannot be built here.
    """
    for tool in (*TOOLS, *OPTIONAL_TOOLS):
        if name in tool.programs:
            return _built(tool) / name
    raise ProgramError(f"no tool of the rig has a program {name!r}; see {TOOLS_FOLDER}")


def files_of(tool_name: str) -> Path:
    """The folder with a tool's files beside its programs, laid out as in its module.

    Raises:
        ProgramError: it cannot be built here.
    """
    return _built(next(tool for tool in TOOLS if tool.name == tool_name))


def build_all() -> None:
    """Build what the cache lacks of all that a rig needs, and tell on standard error what is going on.

    Raises:
        ProgramError: something cannot be built, with what to do.
    """
    for tool in TOOLS:
        if not tool.target.is_dir():
            _must_have_go(tool)
    # First what takes a minute and asks for root and apt: who lacks those hears it before half an hour of compiling.
    voice_tree()
    try:
        debian_package.program("prometheus", "prometheus")
    except debian_package.PackageUnavailableError as error:
        raise ProgramError(f"Prometheus cannot be had: {error}") from error
    for tool in TOOLS:
        _built(tool)


def _built(tool: Tool) -> Path:
    target = tool.target
    if not target.is_dir():
        with locked(tool.name):
            if not target.is_dir():
                _build(tool, target)
    return target


def _must_have_go(tool: Tool) -> None:
    if shutil.which("go") is None:
        raise ProgramError(
            f"there is no 'go' on PATH to build {tool.name}; install Go {_go_version(tool)} or newer "
            "(once: what is built stays in the cache)"
        )


def _build(tool: Tool, target: Path) -> None:
    _must_have_go(tool)
    prefix = f".building-{tool.name}-"
    for cut_off in cache().glob(f"{prefix}*"):
        shutil.rmtree(cut_off, ignore_errors=True)
    # Made beside its place and renamed when complete, so that a build that is cut off leaves no half of it.
    with tempfile.TemporaryDirectory(dir=cache(), prefix=prefix) as folder:
        for number, (name, package) in enumerate(tool.programs.items(), start=1):
            print(f"building {name} ({tool.name}, {number} of {len(tool.programs)}) …", file=sys.stderr, flush=True)
            began_s = time.monotonic()
            _go(
                tool,
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                tool.linker_flags,
                "-o",
                f"{folder}/{name}",
                package,
            )
            print(f"built {name} in {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
        if tool.files:
            module = Path(_go(tool, "list", "-m", "-f", "{{.Dir}}", tool.module).strip())
            for part in tool.files:
                # Not copytree's own modes: the module cache is read-only, and this has to be removable.
                shutil.copytree(module / part, Path(folder) / part, copy_function=shutil.copyfile)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.name in tool.programs else 0o644)
        Path(folder).rename(target)
        Path(folder).mkdir()  # for the context manager to take away


def _go(tool: Tool, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["go", *arguments],
            cwd=tool.folder,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_AT_MOST_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(
            f"{tool.folder}: 'go {' '.join(arguments)}' did not end within {BUILD_AT_MOST_S / 60:.0f} minutes; "
            "see whether its module proxy answers, then try again: what is compiled so far is kept"
        ) from error
    if done.returncode != 0:
        raise ProgramError(
            f"{tool.folder}: 'go {' '.join(arguments)}' failed; Go {_go_version(tool)} or newer and its module proxy "
            f"are needed:\n{done.stderr.strip()[-2000:]}"
        )
    return done.stdout


def _go_version(tool: Tool) -> str:
    lines = (tool.folder / "go.mod").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("go "))
