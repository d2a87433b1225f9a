"""A section of another package: on the results card, and named there when it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

HERE = Path(__file__).parent
FAILURES = (
    ("import Sequence", "import Sequences", "cannot be imported: ImportError"),
    ("heading = ", "title = ", "lacks heading (what stands above it)"),
    ('after = "Curves"', 'after = "Curvs"', "it stands after 'Curvs', and there are Verdict"),
    ("row.clock.seconds", "row.clock.minutes", "cannot make its facts: AttributeError"),
    ("in facts %}", "in fact.s %}", "cannot render its template: UndefinedError: 'fact' is undefined"),
    ("{% else %}", "{% otherwise %}", "cannot render its template: TemplateSyntaxError"),
)
"""What stands in the section's module, what is written there instead, and what is then said."""
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def env(installed: Callable[..., dict[str, str]]) -> dict[str, str]:
    return installed(HERE)


@pytest.fixture
def page(cardrunner: Command, env: Mapping[str, str], make_card: Callable[..., Path], tmp_path: Path) -> Path:
    """The results card of a finished run."""
    done = cardrunner("launch", str(make_card({})), env=env)
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "toy-run" / "results.md"


def headings(page: Path) -> list[str]:
    return re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)


def test_a_section_stands_where_it_says_with_what_it_made_of_the_run(
    page: Path, cold_cardrunner: Command, env: Mapping[str, str]
) -> None:
    whole = page.read_text()
    assert cold_cardrunner("report", "toy-run", env=env).returncode == 0
    assert page.read_text() == whole
    found = headings(page)
    assert found[found.index("Curves") + 1] == "Slowest epochs"
    section = page.read_text().partition("## Slowest epochs")[2].partition("\n## ")[0]
    assert len(re.findall(r"^- epoch [123] took \d+\.\d{3} s$", section, re.MULTILINE)) == 2


def test_a_section_that_fails_is_named_and_the_rest_of_the_page_is_made(
    cardrunner: Command, env: Mapping[str, str], page: Path, tmp_path: Path
) -> None:
    module = tmp_path / "site" / "slow_epochs.py"
    whole, before = module.read_text(), headings(page)
    for old, new, sentence in FAILURES:
        assert old in whole
        module.write_text(whole.replace(old, new))
        said = cardrunner("report", "toy-run", env=env)
        assert said.returncode == 0
        assert "warning: the results section slowest-epochs of slow-epochs 0.3" in said.stderr
        assert sentence in said.stderr
        assert "Error" not in sentence or re.search(r"slow_epochs\.py(/template)?:\d+", said.stderr)
        text = re.sub(r"\\(?=\W)", "", page.read_text())
        notes = text.partition("Before you believe a number:")[2].partition("\n## ")[0]
        assert "A section of this page could not be made: the results section slowest-epochs of slow-epochs" in notes
        assert sentence in text.partition("## slowest-epochs")[2].partition("\n## ")[0]
        assert set(before) - set(headings(page)) == {"Slowest epochs"}
