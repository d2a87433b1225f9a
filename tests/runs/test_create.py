from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.errors import EnvironmentFailed, NameTaken
from cardrunner.runs.create import create_run
from cardrunner.runs.environment import collect_environment
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import GitTree, LaunchRecord, read_record
from tests.ledger_lines import recorded

MakeRun = Callable[..., RunFolder]

_CREATOR = """
import sys
from pathlib import Path
from cardrunner.errors import NameTaken
from cardrunner.runs.create import create_run
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord
record = LaunchRecord(
    run="x", workload="w", workspace="/", executor=sys.argv[2], card_file="c", card_digest="d", signed_by=(), created=""
)
folder = RunFolder.of(Path(sys.argv[1]), "x")
print("ready", flush=True)
sys.stdin.readline()
try:
    create_run(folder, launch=record, card=b"", effective={}, approvals=[], plan={})
except NameTaken as error:
    sys.exit(error.exit_code)
"""


def launch_record(run: str) -> LaunchRecord:
    return LaunchRecord(
        run=run,
        workload="w",
        workspace="/",
        executor="local",
        card_file="c",
        card_digest="d",
        signed_by=(),
        created="t",
    )


def test_a_new_run_holds_everything_its_worker_needs(make_run: MakeRun) -> None:
    folder = make_run("a-run")
    assert folder.card_yaml.read_bytes() == b"card: 1\n"
    assert read_record(folder.launch, LaunchRecord).run == "a-run"
    assert json.loads(folder.approvals.read_text()) == []
    assert [event["event"] for event in recorded(Ledger(folder.ledger))] == ["created"]
    assert [path.name for path in folder.root.parent.iterdir()] == ["a-run"]


def contents(folder: RunFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


def test_a_name_is_taken_once(make_run: MakeRun) -> None:
    folder = make_run("a-run")
    before = contents(folder)
    with pytest.raises(NameTaken, match="another launch took the name"):
        make_run("a-run")
    assert contents(folder) == before
    assert [path.name for path in folder.root.parent.iterdir()] == ["a-run"]


def test_a_file_in_the_way_is_a_taken_name(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a-run").write_text("mine")
    with pytest.raises(NameTaken):
        make_run("a-run")
    assert (tmp_path / "runs" / "a-run").read_text() == "mine"


def test_of_ten_at_once_exactly_one_wins(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CREATOR, str(tmp_path / "runs")]
    creators = [
        subprocess.Popen([*command, f"executor-{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(10)
    ]
    for creator in creators:
        assert creator.stdout is not None
        creator.stdout.readline()
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write("\n")
        creator.stdin.flush()
    for creator in creators:
        creator.communicate()
    codes = [creator.returncode for creator in creators]
    assert sorted(codes) == [0] + [6] * 9
    record = read_record(tmp_path / "runs" / "x" / "launch.json", LaunchRecord)
    assert record.executor == f"executor-{codes.index(0)}"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["x"]


def test_a_runs_folder_that_cannot_be_made_is_explained(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        make_run("a-run")


def test_no_write_permission_is_explained(make_run: MakeRun, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "runs").mkdir(mode=0o555)
    with pytest.raises(EnvironmentFailed, match="permission was denied"):
        make_run("a-run")


def test_a_read_only_file_system_is_explained(tmp_path: Path) -> None:
    place = Path("/proc/self")
    if not place.exists():
        pytest.skip("this system has no /proc")
    record = launch_record("x")
    with pytest.raises(EnvironmentFailed, match="cannot write /proc/self"):
        create_run(RunFolder(place / "runs" / "x"), launch=record, card=b"", effective={}, approvals=[], plan={})


def test_the_environment_is_described_without_importing_what_it_describes(tmp_path: Path) -> None:
    probe = (
        "import sys; from pathlib import Path; from cardrunner.runs.environment import collect_environment\n"
        "collect_environment(Path('/')); print([m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_environment_has_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    assert collect_environment(tmp_path).git_commit is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "card.yaml").write_text("card: 1\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    clean = collect_environment(tmp_path)
    assert clean.git_commit is not None
    assert (len(clean.git_commit), clean.git_dirty) == (40, False)
    (tmp_path / "card.yaml").write_text("card: 2\n")
    assert collect_environment(tmp_path).git_dirty is True


def test_the_environment_counts_the_files_that_no_commit_has(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / ".gitignore").write_text("runs/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    for name in ("runcards/a card é.yaml", "train.py", "runs/x/ledger.jsonl", ".cardrunner/launched/x.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = collect_environment(tmp_path, "runcards/a card é.yaml")
    assert found.git_tree == GitTree(changed=0, untracked=2, admissions=1, card="untracked")
    assert found.git_dirty is True

    subprocess.run([*git, "add", "runcards", "train.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "second"], check=True)
    found = collect_environment(tmp_path, "runcards/a card é.yaml")
    assert found.git_tree == GitTree(changed=0, untracked=0, admissions=1, card="committed")
    assert found.git_dirty is False

    (tmp_path / "runcards" / "a card é.yaml").write_text("y")
    found = collect_environment(tmp_path / "runcards", "a card é.yaml")
    assert found.git_tree == GitTree(changed=1, untracked=0, admissions=1, card="changed")


def test_the_environment_names_hardware_and_versions(tmp_path: Path) -> None:
    found = collect_environment(tmp_path)
    assert found.cores >= 1
    assert found.memory_bytes > 2**20
    assert found.cpu
    assert "pydantic" in found.packages


def test_a_new_run_keeps_the_files_that_its_workspace_trusted(tmp_path: Path) -> None:
    folder = RunFolder.of(tmp_path / "runs", "a-run")
    launch = launch_record("a-run")
    trust = {"cardrunner.yaml": b"sign_off: {policy: ssh}\n", "allowed_signers": b""}
    create_run(folder, launch=launch, card=b"", effective={}, approvals=[], plan={}, trust=trust)
    assert {name: (folder.trust / name).read_bytes() for name in trust} == trust
