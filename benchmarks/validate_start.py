"""How long does `cardrunner validate` of one card take beside the least that any program of its kind needs?

    python -m benchmarks.validate_start            # half a minute

The yardstick is a process that imports pydantic and yaml and validates one small model. Processes of both take turns,
with compiled bytecode for both; what is reported is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.timing import interleaved, ratio

ROOT = Path(__file__).parents[1]
CARD = ROOT / "runcards" / "policy-22k.yaml"
LIMIT = 1.5
YARDSTICK = """\
import pydantic, yaml
class Model(pydantic.BaseModel):
    a: int
    b: str
Model.model_validate(yaml.load("a: 1\\nb: x\\n", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
"""
VALIDATE = "import sys; from cardrunner.main import entry; sys.argv[1:] = {words!r}; entry()"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print seconds and the ratio; 1 where it is over the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=31)
    parser.add_argument("--card", type=Path, default=CARD)
    options = parser.parse_args(arguments)
    words = ["validate", "--quiet", str(options.card)]
    codes = {"yardstick": YARDSTICK, "validate": VALIDATE.format(words=words)}
    with tempfile.TemporaryDirectory() as bytecode:
        cases = {name: _process(code, _environment(bytecode)) for name, code in codes.items()}
        for case in cases.values():
            case()  # compiles the bytecode
        seconds = interleaved(cases, repetitions=options.pairs)
    for name, values in seconds.items():
        print(f"{name:10} {sorted(values)[len(values) // 2]:.3f} s")
    found = ratio(seconds["validate"], seconds["yardstick"])
    print(f"ratio      {found}  (at most {LIMIT})")
    return int(found.median > LIMIT)


def _environment(bytecode: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": bytecode}


def _process(code: str, environment: Mapping[str, str]) -> Callable[[], object]:
    return partial(
        subprocess.run, [sys.executable, "-c", code], env=dict(environment), check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    raise SystemExit(main())
