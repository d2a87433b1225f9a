"""A resume begins with the newest checkpoint that can be used, and says what it had to do."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from cardrunner.errors import IntegrityError
from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.keeping import Keeper, kept_in
from cardrunner.workloads.command.resuming import choose, put_in_place
from tests.workloads.command.conftest import Attempt


class Folder:
    """A run with checkpoints that are small JSON files."""

    def __init__(self, root: Path, glob: str, keep: int = 3) -> None:
        self.out, self.kept = root / "out", root / "kept"
        self.out.mkdir()
        self.rules = CheckpointRules(at=(f"{self.out}/{glob}",), root=self.out, keep=keep)
        self.keeper = Keeper(self.rules, self.kept, spare_bytes=0)

    def save(self, name: str, step: int, *, keep: bool = True) -> Path:
        path = self.out / name
        path.write_text(json.dumps({"step": step}))
        os.utime(path, (step, step))
        for _ in range(2 if keep else 0):
            self.keeper.look()
        return path

    def tear(self, name: str) -> None:
        (self.out / name).write_text('{"st')


def step_at(path: Path) -> int:
    return int(json.loads(path.read_text())["step"])


@pytest.fixture
def single(tmp_path: Path) -> Folder:
    return Folder(tmp_path, "model.json")


@pytest.fixture
def numbered(tmp_path: Path) -> Folder:
    return Folder(tmp_path, "step-*.json")


def test_the_newest_whole_one_is_used_where_it_is(numbered: Folder) -> None:
    for step in (1, 2, 3):
        numbered.save(f"step-{step}.json", step)
    choice = choose(numbered.rules, numbered.kept)
    assert choice.candidate is not None
    assert (choice.candidate.path.name, choice.candidate.step, choice.candidate.kept) == ("step-3.json", 3, None)
    assert choice.sentences == ()
    assert put_in_place(choice.candidate, numbered.rules, numbered.kept) == []


def test_a_torn_newest_one_is_passed_over(numbered: Folder) -> None:
    numbered.save("step-1.json", 1)
    numbered.tear("step-2.json")
    choice = choose(numbered.rules, numbered.kept)
    assert choice.candidate is not None
    assert choice.candidate.path.name == "step-1.json"
    assert choice.sentences == (f"{numbered.out}/step-2.json is not whole: it is not a JSON object",)


def test_the_kept_copy_is_put_back_for_the_only_file_that_is_torn(single: Folder) -> None:
    for step in (1, 2):
        single.save("model.json", step)
    single.tear("model.json")
    choice = choose(single.rules, single.kept)
    assert choice.candidate is not None
    assert choice.candidate.kept is not None
    (sentence,) = put_in_place(choice.candidate, single.rules, single.kept)
    assert step_at(single.out / "model.json") == 2
    assert (single.out / "model.json").stat().st_mtime == 2
    assert [path.name for path in single.out.iterdir()] == ["model.json"]
    aside = single.kept / "aside" / "001-model.json"
    assert sentence == f"{single.out}/model.json: the kept copy was put back (step 2); what was there is now {aside}"
    assert aside.read_text() == '{"st'
    again = choose(single.rules, single.kept)
    assert again.candidate is not None
    assert again.candidate.kept is None


def test_a_checkpoint_that_the_script_removed_is_put_back(numbered: Folder) -> None:
    numbered.save("step-1.json", 1)
    (numbered.out / "step-1.json").unlink()
    choice = choose(numbered.rules, numbered.kept)
    assert choice.candidate is not None
    assert put_in_place(choice.candidate, numbered.rules, numbered.kept) == [
        f"{numbered.out}/step-1.json: the kept copy was put back (step 1)"
    ]
    assert step_at(numbered.out / "step-1.json") == 1


def test_a_folder_is_put_back_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "latest")
    (folder.out / "latest" / "sub").mkdir(parents=True)
    for name in ("state.json", "sub/model.json"):
        (folder.out / "latest" / name).write_text("{}")
    folder.keeper.look()
    folder.keeper.look()
    (folder.out / "latest" / "sub" / "model.json").write_text("")
    choice = choose(folder.rules, folder.kept)
    assert choice.candidate is not None
    put_in_place(choice.candidate, folder.rules, folder.kept)
    assert (folder.out / "latest" / "sub" / "model.json").read_text() == "{}"


def test_a_kept_copy_that_was_changed_is_not_used(single: Folder) -> None:
    for step in (1, 2):
        single.save("model.json", step)
    single.tear("model.json")
    newest = kept_in(single.kept)[0].content
    newest.write_text('{"step": 3}')
    choice = choose(single.rules, single.kept)
    assert choice.candidate is not None
    assert choice.sentences[-1] == f"the copy {newest} is not what was kept, and is not used"
    put_in_place(choice.candidate, single.rules, single.kept)
    assert step_at(single.out / "model.json") == 1


def test_without_any_usable_one_it_says_so(single: Folder) -> None:
    assert choose(single.rules, single.kept).sentences == ("no checkpoint is usable",)
    single.tear("model.json")
    choice = choose(single.rules, single.kept)
    assert choice.candidate is None
    assert choice.sentences == (
        f"{single.out}/model.json is not whole: it is not a JSON object",
        "no checkpoint is usable",
    )


def test_a_script_that_finds_the_newest_itself_does_not_see_what_it_shall_not_use(numbered: Folder) -> None:
    for step in (1, 2):
        numbered.save(f"step-{step}.json", step)
    numbered.tear("step-3.json")
    newest = choose(numbered.rules, numbered.kept).candidate
    assert newest is not None
    older = choose(numbered.rules, numbered.kept, [newest.sha256]).candidate
    assert older is not None
    sentences = put_in_place(older, numbered.rules, numbered.kept, by_itself=True)
    assert [path.name for path in numbered.out.iterdir()] == ["step-1.json"]
    assert len(sentences) == 2
    assert sentences[0].endswith("the script would resume from it")


def test_a_link_in_the_way_is_not_followed(single: Folder, tmp_path: Path) -> None:
    single.save("model.json", 1)
    (tmp_path / "outside.json").write_text("mine")
    (single.out / "model.json").unlink()
    (single.out / "model.json").symlink_to(tmp_path / "outside.json")
    choice = choose(single.rules, single.kept)
    assert choice.candidate is not None
    put_in_place(choice.candidate, single.rules, single.kept)
    assert (tmp_path / "outside.json").read_text() == "mine"
    assert step_at(single.out / "model.json") == 1
    assert not (single.out / "model.json").is_symlink()


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "sub/model.json")
    (folder.out / "sub").mkdir()
    folder.save("sub/model.json", 1)
    shutil.rmtree(folder.out / "sub")
    (tmp_path / "outside").mkdir()
    (folder.out / "sub").symlink_to(tmp_path / "outside")
    choice = choose(folder.rules, folder.kept)
    assert choice.candidate is not None
    with pytest.raises(IntegrityError, match=r"does not lie inside .* any more; a link was put in its way"):
        put_in_place(choice.candidate, folder.rules, folder.kept)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(("poison", "first_new"), [(4, 4), (3, 3), (2, None)])
def test_a_resume_that_dies_falls_back_to_an_older_one_at_most_twice(
    numbered: Folder, tmp_path: Path, poison: int, first_new: int | None
) -> None:
    for step in (1, 2, 3, 4):
        numbered.save(f"step-{step}.json", step)
    died: list[str] = []
    lines: list[str] = []
    while (choice := choose(numbered.rules, numbered.kept, died)).candidate is not None:
        put_in_place(choice.candidate, numbered.rules, numbered.kept)
        arguments = (numbered.out, poison, "--resume", choice.candidate.path)
        attempt = Attempt.start(tmp_path, numbered.rules, "picky_resume", *arguments)
        attempt.watch(lambda: False)
        attempt.end()
        lines = [line for line in attempt.lines if line.startswith("step ")]
        if lines:
            break
        died.append(choice.candidate.sha256)
    if first_new is None:
        assert len(died) == 3
        assert choice.sentences[-1] == "3 resumes in a row died before a new row, so no older checkpoint is tried"
    else:
        assert lines[0].startswith(f"step {first_new}:")
        assert choice.sentences[-1] == (
            "the resume before died before its first new row, "
            f"so the older step-{first_new - 1}.json of step {first_new - 1} is tried"
        )


def test_the_only_file_falls_back_to_its_older_copies(single: Folder) -> None:
    for step in (1, 2, 3):
        single.save("model.json", step)
    died: list[str] = []
    steps = []
    while (choice := choose(single.rules, single.kept, died)).candidate is not None:
        put_in_place(choice.candidate, single.rules, single.kept)
        steps.append(step_at(single.out / "model.json"))
        died.append(choice.candidate.sha256)
    assert steps == [3, 2, 1]


def test_a_checkpoint_that_is_not_what_was_kept_is_passed_over(numbered: Folder) -> None:
    for step in (1, 2):
        numbered.save(f"step-{step}.json", step)
    (numbered.out / "step-2.json").write_text('{"step": 7}')  # of the kept one too, which is a hard link
    choice = choose(numbered.rules, numbered.kept)
    assert choice.candidate is not None
    assert choice.candidate.step == 1
    assert "step-2.json is not what it was when it was kept, and is not used" in choice.sentences[0]


def test_an_overwritten_file_that_is_newer_than_its_copy_is_used(single: Folder) -> None:
    single.save("model.json", 1)
    single.save("model.json", 2, keep=False)
    choice = choose(single.rules, single.kept)
    assert choice.candidate is not None
    assert step_at(choice.candidate.path) == 2
    os.utime(single.out / "model.json", (1, 1))
    choice = choose(single.rules, single.kept)
    assert choice.candidate is not None
    assert choice.candidate.kept is not None, "its time is that of the kept one, and its bytes are others"


def test_steps_order_checkpoints_whose_times_a_copy_has_lost(numbered: Folder) -> None:
    for step in (1, 2, 3):
        os.utime(numbered.save(f"step-{step}.json", step), (10 - step, 10 - step))
    choice = choose(numbered.rules, numbered.kept)
    assert choice.candidate is not None
    assert choice.candidate.step == 3
