"""A card of a script: what is substituted, what is a fault and where, and what the core asks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardrunner import registry
from cardrunner.card.digest import card_digest
from cardrunner.card.load import LoadedCard, load_card_bytes
from cardrunner.errors import CardError
from cardrunner.executors.modal_cloud.spec import ModalPlatform
from cardrunner.runs.folder import RunFolder
from cardrunner.workloads.command.filling import Filling, file_text
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.starting import starter
from cardrunner.workloads.command.substitution import BadTextError, names_in, substituted

STEPS = Path(__file__).parents[2] / "cards" / "shown" / "script-steps.yaml"


def read(*changes: tuple[str, str]) -> LoadedCard:
    text = STEPS.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)


def faults(*changes: tuple[str, str]) -> str:
    with pytest.raises(CardError) as raised:
        read(*changes)
    return str(raised.value)


def test_a_value_is_the_whole_or_a_part_of_one_argument_and_no_shell_reads_it() -> None:
    loaded = read(("lr: 1e-3", 'lr: "a b; rm -rf $HOME"'))
    argv = Filling(training_of(loaded.card), RunFolder(Path("/runs/x"))).argv
    assert argv[2:6] == ("--learning_rate=a b; rm -rf $HOME", "--max_iters", "2000", "--out_dir")
    assert argv[6] == "/runs/x/out"


def test_resume_adds_arguments_where_there_is_a_checkpoint() -> None:
    training = training_of(read().card)
    argv = Filling(training, RunFolder(Path("/runs/x")), Path("/runs/x/out/ckpt.pt")).argv
    assert argv[-2:] == ("--init_from", "/runs/x/out/ckpt.pt")


def test_braces_are_written_twice_and_a_lonely_one_is_a_fault() -> None:
    assert substituted("{{a}} {b}", str.upper) == "{a} B"
    with pytest.raises(BadTextError, match="belongs to no name"):
        list(names_in('{"a": 1}'))


def test_an_unknown_name_and_a_parameter_that_occurs_nowhere_have_a_place() -> None:
    said = faults(("{iters}", "{itres}"))
    assert "card.yaml:10:" in said
    assert "training.command[4]: {itres} is neither one of training.parameters" in said
    assert "did you mean" in said
    said = faults(("iters: 2000", "iters: 2000, momentum: 0.9"))
    assert "training.parameters.momentum: would control nothing" in said


def test_a_secret_in_the_command_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--api-key hands over a secret" in faults(("--max_iters,", "--api-key, abc, --max_iters,"))
    monkeypatch.setenv("SOME_TOKEN", "hunter2-hunter2")
    assert "holds the value of SOME_TOKEN" in faults(("--max_iters,", "--x=hunter2-hunter2, --max_iters,"))


def test_a_checkpoint_lies_in_the_runs_own_folder_and_a_path_does_not_leave_the_code() -> None:
    assert "does not lie in {out}" in faults(('"{out}/checkpoint-*"]', '"data/*"]'))
    assert "leaves the code folder" in faults(("workdir: inner", "workdir: ../other"))


def test_a_pattern_that_names_no_value_of_a_metric_is_a_fault() -> None:
    epochs = STEPS.with_name("script-epochs.yaml").read_text().replace("    wandb: true\n", "")
    text = epochs.replace("{name: accuracy, direction", "{name: accuracy, read: acc, direction")
    with pytest.raises(CardError, match=r"no pattern of training\.report names it"):
        load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)


def test_scopes_in_epochs_need_a_length_in_epochs() -> None:
    rule = "kill_thresholds: [{metric: loss, above: 5, after: 1 epoch, action: stop}]\nsign_off:"
    assert "is in epochs, which training.length does not count" in faults(("sign_off:", rule))


def test_metrics_of_a_card_are_its_own() -> None:
    assert [spec.name for spec in read().spec.metrics] == ["loss", "acc"]
    assert registry.workload_spec("command").metrics == ()
    assert "unknown" not in read().spec.metrics[0].meaning


def test_a_parameter_is_part_of_what_is_signed() -> None:
    assert card_digest(read().card) != card_digest(read(("lr: 1e-3", "lr: 1e-4")).card)


def test_numbers_in_yaml_stay_numbers() -> None:
    assert file_text("a.yaml", {"lr": 1e-05, "names": ["a", True], "none": {}}) == (
        '"lr": 1.0e-05\n"names":\n  - "a"\n  - true\n"none": {}\n'
    )
    assert file_text("a.json", {"lr": 1e-05}) == '{\n  "lr": 1e-05\n}\n'


def test_a_new_card_has_the_command_with_its_numbers_as_parameters() -> None:
    text = starter(["python", "train.py", "--lr", "1e-3", "--name", "a{b}", "--n-layer=4"])
    assert '["python", "train.py", "--lr", "{lr}", "--name", "a{{b}}", "--n-layer={n_layer}"]' in text
    assert "    lr: 1e-3\n    n_layer: 4" in text
    load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)


FAR = ("infra: {platform: local}", "infra: {platform: modal, gpu: T4, timeout: 3h, volume: v}")
ON_THE_VOLUME = ("{path: data/train.bin, size: 2 MB}", "{path: /train.bin, size: 2 MB}")


def test_code_for_a_platform_that_does_not_carry_it_is_a_fault_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ModalPlatform, "carried")
    said = faults(FAR, ON_THE_VOLUME)
    assert "infra.platform: is modal, to which the code of a script cannot be carried; write local" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("[python, train.py", "[/usr/bin/python, train.py"), "command[0]: is /usr/bin/python, a program of this"),
        (("--seed, ", "--data=/home/ada/corpus, --seed, "), "command[7]: holds /home/ada/corpus, a path of this"),
        (("[--init_from, ", "[--init_from, /home/ada/x, "), "resume[1]: holds /home/ada/x, a path of this"),
        (('OMP_NUM_THREADS: "2"', "HF_HOME: /home/ada/hf"), "environment.HF_HOME: holds /home/ada/hf"),
        (("volume: v}", "volume: v, packages: [einops]}"), "infra.packages[0]: einops pins no version"),
    ],
)
def test_what_another_machine_does_not_have_is_a_fault_with_its_place(change: tuple[str, str], sentence: str) -> None:
    assert sentence in faults(FAR, ON_THE_VOLUME, change)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../other/train.bin", "data.source: ../other/train.bin leaves the workspace, whose layout a run has"),
        ("lib/helper.py", "data.source: lib/helper.py could be imported by the script; write its sha256"),
    ],
)
def test_data_is_no_way_around_the_signature_of_the_code(path: str, sentence: str) -> None:
    assert sentence in faults(("path: data/train.bin", f"path: {path}"))


def test_paths_of_the_volume_and_of_scratch_space_exist_there() -> None:
    read(FAR, ON_THE_VOLUME, ("--seed, ", "--data=/volume/corpus, /tmp/x, --seed, "))


def printed(*patterns: str, length: str = "{epochs: 30}") -> str:
    """A new card whose numbers are read by patterns."""
    text = starter(["python", "train.py", "--epochs", "30"])
    text = text.replace('length: {epochs: "{epochs}"}', f"length: {length}")
    assert length in text
    quoted = ", ".join(f"'{pattern}'" for pattern in patterns)
    return text.replace("  first_metric:", f"  report: {{stdout: [{quoted}]}}\n  first_metric:")


def fault_of(text: str) -> str:
    try:
        load_card_bytes(text.encode(), file="card.yaml", resolve=registry.workload_spec)
    except CardError as error:
        return str(error)
    return ""


STEP, EPOCH = r"epoch (?P<step>\d+)/30 (?P<val_loss>\S+)", r"epoch (?P<epoch>\d+)/30 (?P<val_loss>\S+)"


def test_a_length_in_epochs_that_no_pattern_counts_is_a_fault_with_its_place() -> None:
    said = fault_of(printed(STEP))
    assert "training.length.epochs: counts epochs, and no pattern of training.report.stdout has a group" in said
    assert r"(?P<epoch>\d+), so there would be no progress" in said
    assert fault_of(printed(EPOCH)) == ""
    assert fault_of(printed(STEP, EPOCH)) == ""
    assert fault_of(printed(STEP, length="{steps: 30}")) == ""


def test_the_name_that_counts_epochs_has_to_be_one_that_a_pattern_reads() -> None:
    said = fault_of(printed(STEP, length="{epochs: 30, from: passes}"))
    assert "training.length.from: passes: no pattern of training.report names it; they name val_loss" in said
    assert fault_of(printed(STEP + r" (?P<passes>\S+)", length="{epochs: 30, from: passes}")) == ""


@pytest.mark.parametrize(
    "more", ['  report: {jsonl: "{out}/x", stdout: [', "  script_module: true\n  report: {stdout: ["]
)
def test_another_source_may_count_the_epochs(more: str) -> None:
    assert fault_of(printed(STEP).replace("  report: {stdout: [", more)) == ""
