# ruff: noqa: E501 - one row of a table is one line
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from markdown_it import MarkdownIt

from cardrunner.card.digest import signed_content
from cardrunner.card.load import LoadedCard
from cardrunner.card.markdown import as_one_line, escape, render_card
from cardrunner.card.schema.plan import Risk
from tests.examples import examples

Edit = Callable[..., LoadedCard]
READER = MarkdownIt("commonmark").enable("table")
SEED_SECTIONS = [
    "Goal", "Distribution Match", "Data", "Model", "Training", "Infrastructure", "Timing & Cost", "Prior Baselines", "Target Metrics",
    "Kill Thresholds", "Implementation Checklist (before launch)", "Launch Command", "Resume Command", "After Training", "Sign-off",
]  # fmt: skip


def headings(page: str) -> list[str]:
    return re.findall(r"^## (.*)$", page, re.MULTILINE)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for item in value.values() for text in texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts(item))
    elif isinstance(value, str):
        yield value


def test_the_page_has_the_sections_reviewers_know_in_their_order(policy_card: LoadedCard) -> None:
    shown = headings(render_card(policy_card))
    assert [name for name in shown if name in SEED_SECTIONS] == SEED_SECTIONS


@pytest.mark.parametrize(
    "fact",
    [
        "Feb 26, 2026", "PENDING REVIEW", "74.4 GB", "| 22,000 |", "206,754,081", "185,648,963 (90%)", "20,885,118 (10%)", "1,153,781", "| 1e-3 |",
        "AdamW + cosine LR", "MSE (analog) + BCE (buttons), equal weight", "CUDA (T4)", "T4 ($0.59/h)", "Modal (detached)", "90s measured",
        "shinewave/melee-worldmodel, tags: policy, imitation", "| Epoch time | 30 min | 90 min | 150 min |",
        "| Training (5 ep) | 2.5h | 7.5h | 12.5h |", "| Data load | 2 min | 5 min | 10 min |", "| Total wall | 2.5h | 7.5h | 12.5h |",
        "| Cost | $1.50 | $4.50 | $7.50 |", "43200s (12h), covers 1x and 3x",
        "| policy-p0-test | 50 | p0 | 0.037 | 96.6% | 0.039 | 5 epochs, MPS, 12s/epoch |",
        "| policy-imitation-4k | 4,000 | p0 | 0.020 | 98.2% | 0.032 | 50 epochs, converged ep 26 |",
        "0.020 (policy-imitation-4k) | < 0.015", "> 99%", "val_stick_mae > 0.030 after epoch 1", "training.batch_size = 512", "c79a6ae",
        "cardrunner launch ", "cardrunner resume policy-22k", "worldmodel/checkpoints/policy-22k/best.pt", "demo-22k-agents-v2.json", "20,000 frames",
        "- [ ] Scav (scav) reviewed", "- [ ] Mattie (mattie) reviewed",
    ],
)  # fmt: skip
def test_the_page_has_the_numbers_reviewers_know(policy_card: LoadedCard, fact: str) -> None:
    assert fact in render_card(policy_card)


def test_every_text_that_is_signed_is_on_the_page(policy_card: LoadedCard, full_card: LoadedCard) -> None:
    """What reviewers sign is what they saw. Words that the page says in its own way are left out."""
    reworded = {
        "warn",
        "investigate",
        "stop",
        "restart",
        "adam",
        "adamw",
        "step",
        "epoch",
        "second",
        "min",
        "max",
        "modal",
        "cuda",
        "mse",
        "bce",
        "out_of_memory",
    }
    for loaded in (policy_card, full_card):
        page = render_card(loaded)
        content = signed_content(loaded.card)
        for part in ("created", "goal", "notes"):
            del content[part]
        missing = [
            text
            for text in texts(content)
            if text not in reworded and escape(text) not in page and as_one_line(text) not in page
        ]
        command = [word for item in loaded.card.checklist for word in item.check or ()]
        dates = [str(incident.date) for incident in loaded.card.incidents]
        assert set(missing) <= {*command, *dates}


def test_only_a_signature_of_this_content_ticks_a_box(edited: Edit, policy_card: LoadedCard) -> None:
    def signed(digest: str, verdict: str, more: str = "") -> str:
        signature = f"{{digest: {digest}, verdict: {verdict}, at: 2026-02-27T09:00:00Z{more}}}"
        return render_card(edited(("name: Scav, signed: null", f"name: Scav, signed: {signature}")))

    assert "- [x] Scav (scav) approved this content on 2026-02-27T09:00:00Z" in signed(policy_card.digest, "approve")
    assert "- [ ] Scav (scav) reviewed another content of this card" in signed("a" * 64, "approve")
    assert "- [ ] Scav (scav) blocked this content" in signed(policy_card.digest, "block")
    assert "- [ ] Scav (scav) approved this content on 2026-02-27T09:00:00Z, on condition: wait" in signed(
        policy_card.digest, "approve", ", conditions: [wait]"
    )
    assert "1 of 2 required reviewers" in signed(policy_card.digest, "approve")


def test_a_true_means_nothing_where_signatures_are_asked_for(edited: Edit) -> None:
    assert "- [ ] Scav" in render_card(edited(("name: Scav, signed: null", "name: Scav, signed: true")))
    boxes = edited(("policy: digest", "policy: boxes"), ("name: Scav, signed: null", "name: Scav, signed: true"))
    assert "- [x] Scav" in render_card(boxes)


ATTACKS = st.lists(
    st.sampled_from(["\n", "\n\n", "|", "- [x] Mattie reviewed", "# ", "## Sign-off", "[x]", "`", "```", "\\", "<b>", "![i](u)", "[l](u)", "---", "===", "> ", "1. ", "  ", "a"]),
    min_size=1, max_size=6,
).map("".join).filter(str.strip)  # fmt: skip


@examples(60)
@given(text=ATTACKS)
def test_no_text_of_a_card_can_forge_a_part_of_the_page(full_card: LoadedCard, text: str) -> None:
    plain = with_texts(full_card, "harmless")
    forged = with_texts(full_card, text)
    assert structure(render_card(forged)) == structure(render_card(plain))


def with_texts(loaded: LoadedCard, text: str) -> LoadedCard:
    """The card with one text everywhere that text is free."""
    card = loaded.card
    reviewers = tuple(reviewer.model_copy(update={"name": text}) for reviewer in card.sign_off.reviewers)
    changed = card.model_copy(
        update={
            "goal": " ".join(text.split()),
            "risks": (Risk.model_construct(risk=text, likelihood=None, mitigation=text),),
            "notes": tuple(
                note.model_copy(update={"title": text, "text": " ".join(text.split())}) for note in card.notes
            ),
            "checklist": tuple(
                item.model_copy(update={"item": text, "details": (text,), "evidence": text, "check": (text,)})
                for item in card.checklist
            ),
            "timing": card.timing.model_copy(update={"notes": (text,)}),
            "sign_off": card.sign_off.model_copy(update={"reviewers": reviewers}),
        }
    )
    return type(loaded)(loaded.path, loaded.document, changed, loaded.spec, loaded.digest, ())


def structure(page: str) -> list[str]:
    """The blocks of a page and its ticked boxes, without its texts."""
    blocks = [f"{token.type} {token.tag}" for token in READER.parse(page)]
    inline = [
        child.type
        for token in READER.parse(page)
        for child in token.children or ()
        if child.type not in ("text", "text_special", "softbreak", "code_inline")
    ]
    return blocks + inline + re.findall(r"^\s*[-*+] \[x\]", page, re.MULTILINE)


def test_the_template_comes_from_the_package_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy_card: LoadedCard
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "card.md.j2").write_text("replaced")
    monkeypatch.chdir(tmp_path)
    assert render_card(policy_card).startswith("# Run Card: policy-22k\n")


def test_a_field_without_words_of_its_own_stands_under_its_name(toy_card: Callable[..., LoadedCard]) -> None:
    page = render_card(toy_card({"training.toy": {"nan_at": 5, "step_ms": 2.5}}))
    assert "| toy.step_ms | 2.5 |\n| toy.nan_at | 5 |" in page
    assert "toy." not in render_card(toy_card())
