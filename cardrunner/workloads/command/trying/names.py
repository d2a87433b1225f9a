"""What the name of a reported value says about it: a score, a time, a validation, and which way is better."""

from __future__ import annotations

import re
from typing import Final, Literal

from cardrunner.kill_rules import QUANTITIES
from cardrunner.workloads.command.reports.base import kind_hint

_SCORE: Final = re.compile(
    r"loss|acc(?:uracy)?(?![a-z])|err(?:or)?(?![a-z])|perplexity|ppl|(?<![a-z])nll|(?<![a-z])bp[bc](?![a-z])|bleu|rouge|"
    r"(?<![a-z])f1|auc|(?<![a-z])r?m[as]p?e(?![a-z])|reward|return|score|precision|recall|(?<![a-z])m?iou|"
    r"(?<![a-z])[cw]er(?![a-z])|(?<![a-z])kl(?![a-z])|entropy|(?<![a-z])fid(?![a-z])|psnr|ssim|(?<![a-z])r2|elbo",
    re.IGNORECASE,
)
_TIMING: Final = re.compile(
    r"time|(?<![a-z])(?:ms|dt|sec|secs|seconds|min|eta|elapsed|lr|mfu|mem|memory|gpu|speed)(?![a-z])|learning.?rate|"
    r"throughput|per.?sec|/s(?![a-z])|runtime|tok(?:en)?s|samples|grad.?norm|norm|epoch|step|(?<![a-z])hp_metric",
    re.IGNORECASE,
)
_LARGER: Final = re.compile(
    r"acc(?:uracy)?(?![a-z])|bleu|rouge|(?<![a-z])f1|auc|reward|return|score|precision|recall|iou|psnr|ssim|"
    r"(?<![a-z])r2|elbo|(?<![a-z])map(?![a-z])|success|win",
    re.IGNORECASE,
)
_KIND_WORD: Final = re.compile(r"^(?:val|valid|validation|eval|evaluation|dev|test)[_/.\s-]+", re.IGNORECASE)


def is_score(name: str) -> bool:
    """Whether it looks like a loss or a score."""
    return _SCORE.search(name) is not None and not is_timing(name)


def is_timing(name: str) -> bool:
    """Whether it looks like a time, a speed or a setting, which no target is about."""
    return _TIMING.search(name) is not None


def is_validation(name: str) -> bool:
    """Whether it looks like a value of a validation."""
    return kind_hint(name) == "validation"


def direction(name: str) -> Literal["min", "max"]:
    """Which way is better."""
    return "max" if _LARGER.search(name) and not re.search(r"loss|err", name, re.IGNORECASE) else "min"


def card_name(name: str) -> str:
    """The name of the metric in a card: a word, with ``val_`` before one of a validation."""
    bare = re.sub(r"[^A-Za-z0-9_]+", "_", _KIND_WORD.sub("", name) if is_validation(name) else name).strip("_")
    bare = bare.removeprefix("val_") if bare[:1].isalpha() and bare not in QUANTITIES else f"reported_{bare}".strip("_")
    return f"val_{bare}" if is_validation(name) else bare
