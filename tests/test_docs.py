"""The pages for developers say what is."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cardrunner.kill_rules import Row, judge_all
from cardrunner.main import COMMANDS
from cardrunner.plugins import group_of
from cardrunner.runs.folder import RunFolder
from tests.conftest import Zygote
from tests.test_layers import ROWS

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
RUN_FOLDER = (ROOT / "docs" / "run-folder.md").read_text()
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
HELD = ("CONTRIBUTING.md", "docs/README.md", "docs/glossary.md", "docs/run-folder.md", "docs/verify.md")
PLACES = ("cardrunner/", "tests/", "docs/", "examples/", "runcards/", "benchmarks/", ".ci/")
MADE_BY_THE_READER = {"cardrunner/kill_rules/jumps.py", "tests/kill_rules/test_jumps.py"}
"""Files that CONTRIBUTING.md tells its reader to make; besides them, those with NAME in their path."""
MOST_TERMS = 40


def code_spans(page: str) -> list[str]:
    """What stands in backticks, fenced blocks left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.S | re.M))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.S | re.M)


def rows(page: str) -> list[list[str]]:
    """The cells of each row of its tables, headings left out."""
    found = [re.split(r" \| ", line.strip("| ")) for line in page.splitlines() if line.startswith("| ")]
    return [cells for cells in found if not set(cells[0]) <= set("-:")]


def resolves(path: str) -> bool:
    return path in MADE_BY_THE_READER or "NAME" in path or (ROOT / path).exists()


@cache
def names_of_the_sources() -> frozenset[str]:
    files = [path for folder in ("cardrunner", "tests", "examples") for path in (ROOT / folder).rglob("*.py")]
    files += [ROOT / "noxfile.py", ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
    return frozenset(re.findall(r"\w+", "\n".join(path.read_text() for path in files if path != Path(__file__))))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = {link for link in links if "://" not in link and not (page.parent / link).exists()}
    assert missing == set()


@pytest.mark.parametrize("page", HELD)
def test_every_path_in_backticks_exists(page: str) -> None:
    spans = [span for span in code_spans((ROOT / page).read_text()) if span.startswith(PLACES) and " " not in span]
    assert [span for span in spans if not resolves(span)] == []


@pytest.mark.parametrize("page", HELD)
def test_every_name_in_backticks_is_in_the_sources(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {found[0] for span in code_spans(text) if (found := re.match(r"[A-Za-z]\w*(?=$|\()", span))}
    shown = set(re.findall(r"\w+", "\n".join(re.findall(r"^```.*?^```", text, re.S | re.M))))
    assert named - names_of_the_sources() - shown == {"NAME"} & named


def test_every_command_that_contributing_names_exists() -> None:
    typed = "\n".join((*blocks(CONTRIBUTING, "bash"), *blocks(CONTRIBUTING, "console"), *code_spans(CONTRIBUTING)))
    named = set(re.findall(r"(?:^|\$ |&& )cardrunner ([a-z]+)", typed, re.M))
    assert named >= {"schema", "validate", "new", "render", "rules"}
    assert named <= set(COMMANDS)


def test_every_step_that_contributing_names_is_a_session_of_nox_and_the_other_way_round() -> None:
    steps = CONTRIBUTING.partition("| step |")[2].partition("\n\n")[0]
    sessions = re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.M)
    assert re.findall(r"^\| `(\w+)` \|", steps, re.M) == sessions


def test_the_picture_of_the_layers_is_the_one_that_is_held() -> None:
    (picture,) = blocks(CONTRIBUTING, "text")
    drawn = [line.partition("#")[0].split() for line in picture.splitlines()]
    assert drawn == [list(row) for row in ROWS]


def test_the_groups_of_plugins_are_those_that_are_looked_up() -> None:
    table = CONTRIBUTING.partition("| kind | group |")[2].partition("\n\n")[0]
    groups = {kind: group.strip("`") for kind, group, *_ in rows(table)}
    named = {"policy architecture": "melee policy model"}
    assert groups == {kind: group_of(named.get(kind, kind)) for kind in groups}
    assert len(groups) == 7


def test_the_example_of_a_kill_rule_works(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("jumps")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where pydantic looks for what annotations name
    exec(compile(blocks(CONTRIBUTING, "python")[0], "CONTRIBUTING.md", "exec"), vars(module))
    rule = module.JumpsBy.model_validate({**module.JumpsBy.example, "jumps_by": 0.5})
    values = (1.0, 1.6, 1.0, 1.1, float("nan"))
    history = [
        Row("validation", epoch, epoch * 10, float(epoch), epoch * 60.0, {rule.metric: value})
        for epoch, value in enumerate(values, 1)
    ]
    assert [verdict.step for moment in judge_all([rule], history) for verdict in moment.verdicts] == [20, 50]
    assert rule.key in CONTRIBUTING.partition("**2. The row**")[2].partition("**3.")[0]
    assert rule.describe() == "val_loss/total jumps by more than 0.5"


def test_lines_of_the_pages_fit() -> None:
    prose = {
        page: re.sub(r"^```console\n.*?^```|^\|.*?$", "", (ROOT / page).read_text(), flags=re.S | re.M) for page in HELD
    }
    assert [line for text in prose.values() for line in text.splitlines() if len(line) > 120] == []


# ------------------------------------------------------------ glossary


def terms() -> list[str]:
    return re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.M)


@cache
def vocabulary() -> str:
    """Every word of the package and the README, in lower case, identifiers taken apart."""
    sources = "\n".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "cardrunner").rglob("*.py")])
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", sources)
    return re.sub(r"[\s_\-]+", " ", apart).lower()


def test_the_glossary_is_short_and_in_order() -> None:
    assert 20 <= len(terms()) <= MOST_TERMS
    assert terms() == sorted(terms(), key=lambda term: term.replace("-", " "))
    assert len(terms()) == len(rows(GLOSSARY)) - 1


def test_every_word_of_the_glossary_is_in_use() -> None:
    assert {term for term in terms() if term.replace("-", " ") not in vocabulary()} == set()


# ------------------------------------------------------------ run folder


def listed() -> list[str]:
    """The files in the tables of the page, relative to the run folder; a star is any name."""
    return [file for cells in rows(RUN_FOLDER) for file in re.findall(r"^`([^`]+)`$", cells[0])]


def paths() -> Iterator[tuple[str, str]]:
    """Every path that `RunFolder` gives, relative to the run folder, by the name of its property or method."""
    folder = RunFolder(Path("run"))
    for name, member in vars(RunFolder).items():
        if isinstance(member, property) and isinstance(found := getattr(folder, name), Path):
            yield name, found.relative_to(folder.root).as_posix()
        elif inspect.isfunction(member) and inspect.signature(member).return_annotation == "Path":
            arguments = {"number": 1, "name": "base", "stage": "demo", "signer": "ada"}
            wanted = [word for word in inspect.signature(member).parameters if word != "self"]
            yield name, member(folder, *(arguments[word] for word in wanted)).relative_to(folder.root).as_posix()


def is_listed(path: str) -> bool:
    return any(fnmatch(path, file) or file.startswith(f"{path}/") for file in listed())


def test_every_path_of_a_run_folder_is_on_its_page() -> None:
    found = dict(paths())
    assert len(found) > 30
    assert [f"{name}: {path}" for name, path in found.items() if not is_listed(path)] == []


def test_every_file_that_a_run_leaves_is_on_its_page(
    make_card: Callable[..., Path], tmp_path: Path, zygote: Zygote
) -> None:
    asked: dict[str, Any] = {
        "infra.executor": "local",
        "infra.tracking": {"tensorboard": True},
        "training.keep_best": ["val_accuracy"],
        "training.epochs": 1,
    }
    assert zygote.command("launch", make_card(asked), "--quiet", cwd=tmp_path).wait() == 0
    root = tmp_path / "runs" / "toy-run"
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert left >= {"card.yaml", "ledger.jsonl", "results.md", "pulse.json", "tracking/tensorboard.log"}
    assert sorted(file for file in left if not is_listed(file)) == []
