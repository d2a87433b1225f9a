"""Can the gate be fooled? Seeded forgeries of signed cards, each beside a control that must pass.

    python -m benchmarks.forgeries --seed 0        # about two minutes

Every case is a card as an attacker would leave it, in the workspace as the attacker would find it. Under policy ssh
every forgery must be refused; under policy digest, which does not authenticate signers, every one that changes content.
Each is also tried as the frozen card of a crashed run and in a run folder made by hand, which no resume may go on with.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.forgeries.attack import Tally, attack, verifying_seconds
from benchmarks.forgeries.office import Office, Policy


def main(words: Sequence[str] | None = None) -> int:
    """Print the result of every kind of forgery; 1 if one launched or a control did not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layouts", type=int, default=200)
    parser.add_argument("--kept", type=int, default=3, help="changes of each leaf")
    options = parser.parse_args(words)
    policies: tuple[Policy, ...] = ("ssh", "digest") if shutil.which("ssh-keygen") else ("digest",)
    failed = False
    for policy in policies:
        with tempfile.TemporaryDirectory() as folder:
            office = Office(Path(folder), policy)
            tally = attack(office, seed=options.seed, layouts=options.layouts, kept=options.kept)
            _print(policy, tally)
            if policy == "ssh":
                print(f"verifying one signature  {verifying_seconds(office) * 1000:.3f} ms (median)\n")
        failed |= bool(tally.escaped or tally.resumed or tally.refused_controls or tally.broken_layouts)
    return int(failed)


def _print(policy: str, tally: Tally) -> None:
    print(f"policy {policy}: {tally.total} forgeries, {len(tally.escaped)} launched, {len(tally.resumed)} resumed")
    for kind in dict.fromkeys(kind for kind, _ in tally.forgeries):
        refused, invalid = tally.forgeries[kind, "refused"], tally.forgeries[kind, "invalid"]
        print(f"  {kind:<52}{refused:>6} refused{invalid:>6} not even valid")
    print(f"  controls {tally.controls - len(tally.refused_controls)} of {tally.controls} pass")
    print(f"  formatting-only edits {tally.layouts - len(tally.broken_layouts)} of {tally.layouts} stay valid\n")


if __name__ == "__main__":
    raise SystemExit(main())
