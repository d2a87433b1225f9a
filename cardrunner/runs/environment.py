"""Where an attempt runs: versions, commit, hardware; found without heavy imports."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, files, requires, version
from pathlib import Path

from cardrunner.common.git import git_environment
from cardrunner.common.private_folder import private_folder
from cardrunner.plugins import Plugin
from cardrunner.runs.files import explained
from cardrunner.runs.records import Environment, GitTree, PluginCode

_DISTRIBUTION = "cardrunner"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE_SECONDS = 10
_RECORDS = ".cardrunner"
_LEDGER = "ledger.jsonl"
"""What a run folder has, and nothing else."""


def collect_environment(workspace: Path, card: str | None = None, plugins: Iterable[Plugin] = ()) -> Environment:
    """Describe this process and machine.

    Args:
        workspace: the folder whose git commit is recorded.
        card: the card's file, from the workspace.
        plugins: the plug-ins that the run uses.
    """
    commit = _output("git", "-C", str(workspace), "rev-parse", "HEAD")
    tree = _tree(workspace, card) if commit else None
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        hostname=socket.gethostname(),
        cpu=_cpu(),
        cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        device=_device(),
        threads=int(threads) if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdigit() else usable_cores(),
        packages=installed_packages(),
        git_commit=commit or None,
        git_dirty=None if tree is None else bool(tree.changed or tree.untracked),
        git_tree=tree,
        code_sha256=code_sha256(_DISTRIBUTION),
        plugins=plugin_code(plugins),
    )


def plugin_code(plugins: Iterable[Plugin]) -> tuple[PluginCode, ...]:
    """The packages of some plug-ins, each with the digest of the sources of all its modules."""
    packages: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        packages.setdefault(plugin.package, []).append(plugin)
    return tuple(
        PluginCode(
            package=package,
            version=found[0].version,
            adds=tuple(sorted({f"{plugin.kind} {plugin.name}" for plugin in found})),
            sha256=code_sha256(*plugin_modules(package), *(plugin.module for plugin in found)),
        )
        for package, found in sorted(packages.items())
    )


def installed_packages() -> dict[str, str]:
    """The versions of this package and its dependencies, without importing them."""
    return {name: found for name in (_DISTRIBUTION, *_required()) if (found := _version(name)) is not None}


def own_version() -> str:
    """The version of cardrunner; ``not installed`` for sources that were never installed."""
    return _version(_DISTRIBUTION) or "not installed"


@cache
def code_sha256(*modules: str) -> str:
    """The sha256 of the Python sources of the packages that modules belong to.

    It identifies the running code, committed or not. Over every ``.py`` file, sorted by path, of
    ``path NUL size NUL bytes``.
    """
    digest = hashlib.sha256()
    for name in sorted({module.partition(".")[0] for module in modules}):
        for path, root in _sources(name):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def peak_memory() -> int:
    """Peak memory in bytes of this process or of the largest one it started."""
    unit = 1 if sys.platform == "darwin" else 1024
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * unit


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module in a process of ours, which imports nothing from the current folder.

    It is ``-P`` and not ``PYTHONSAFEPATH``: a script that a workload starts inherits the variable, and would then miss
    the modules beside it.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment for a child process: this one's, with the same code first on the path.

    An empty entry of ``PYTHONPATH`` is left out: it stands for the current folder.

    Raises:
        EnvironmentFailed: there is no place for the folder that holds this code alone.
    """
    entries = [_code_folder(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, entries)), "PYTHONUNBUFFERED": "1"}


@cache
def _code_folder() -> str:
    """A folder with this very package and its metadata alone; empty where every interpreter finds it by itself.

    The folder that a checkout lies in holds other things too, such as its tests, which would hide installed packages of
    their names. So the package is linked into a folder of its own; that never changes, since its name is the place.
    """
    package = Path(__file__).resolve().parents[1]
    if package.parent in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}:
        return ""
    parts = [package, *sorted(package.parent.glob(f"{_DISTRIBUTION}-*.dist-info"))]
    folder = private_folder("code") / hashlib.sha256(b"\0".join(map(os.fsencode, parts))).hexdigest()[:16]
    with explained(folder, "write"):
        folder.mkdir(mode=0o700, exist_ok=True)
        for part in parts:
            with contextlib.suppress(FileExistsError):
                (folder / part.name).symlink_to(part)
    return str(folder)


def _sources(package: str) -> list[tuple[Path, Path]]:
    """The package's Python files, each with the folder that its path is relative to."""
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    files = [(path, folder.parent) for folder in folders for path in sorted(folder.rglob("*.py"))]
    return files or ([(Path(spec.origin), Path(spec.origin).parent)] if spec and spec.origin else [])


def plugin_modules(package: str) -> set[str]:
    """The top-level modules that an installed package lists; an editable one lists only how it is found."""
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        return set()
    sources = (file.parts[0] for file in listed if file.suffix == ".py")
    return {name.removesuffix(".py") for name in sources if name != ".." and not name.startswith("__editable__")}


def _required() -> list[str]:
    """Every requirement, including those of extras, except the test extra."""
    try:
        declared = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    used = (_NAME.match(line) for line in declared if 'extra == "test"' not in line.replace("'", '"'))
    return sorted({found[0].lower() for found in used if found} - {_DISTRIBUTION})


@cache  # installed versions are fixed for the life of the process
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def usable_cores() -> int:
    """CPU cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _device() -> str:
    found = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") if shutil.which("nvidia-smi") else None
    return ", ".join(found.splitlines()) if found else "cpu"


def _tree(workspace: Path, card: str | None) -> GitTree | None:
    git = ("git", "-C", str(workspace))
    top = _output(*git, "rev-parse", "--show-toplevel")
    status = _output(*git, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames")
    if top is None or status is None:
        return None
    # a line is `? PATH`, or `1 XY ...` with seven fields before the path, or `u XY ...` with nine
    fields = {"?": 1, "1": 8, "u": 10}
    lines = [line for line in status.split("\0") if line[:1] in fields]
    kinds = {line.split(" ", fields[line[0]])[-1]: "untracked" if line[0] == "?" else "changed" for line in lines}
    runs = {Path(path).parent for path in kinds if Path(path).name == _LEDGER}
    theirs = {path: kind for path, kind in kinds.items() if runs.isdisjoint(Path(path).parents)}
    counted = [kind for path, kind in theirs.items() if _RECORDS not in Path(path).parts]
    file = None if card is None else (workspace / card).resolve()
    place = file.relative_to(top).as_posix() if file is not None and file.is_relative_to(top) else None
    return GitTree(
        changed=counted.count("changed"),
        untracked=counted.count("untracked"),
        admissions=len(theirs) - len(counted),
        card=None if place is None else kinds.get(place, "committed"),
    )


def _output(*command: str) -> str | None:
    """The output of a command; None if it is absent, slow or fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=True,
            env=git_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
