"""`cardrunner seal`: sign what a run holds, and say who did."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cardrunner.commands.run_arguments import add_run_argument, run_of
from cardrunner.common.clock import moment
from cardrunner.errors import IntegrityError
from cardrunner.gate.ssh import read_allowed_signers
from cardrunner.launching.judgement import judges_of
from cardrunner.launching.signed_seals import sign_seal, signed_seals
from cardrunner.runs.seals import newest_seal

HELP = "sign the newest seal of a run with an SSH key, or show who signed which"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the key."""
    add_run_argument(parser)
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the private key to sign with; without it, signatures are checked"
    )


def run(options: argparse.Namespace) -> int:
    """Sign, then list the signatures.

    Raises:
        IntegrityError: one of them does not count.
    """
    folder = run_of(options)
    signers = read_allowed_signers(judges_of(folder).levels)
    if options.key is not None:
        print(sign_seal(folder, key=options.key, signers=signers, at=moment(), say=_say))
    found = signed_seals(folder, signers=signers, at=moment())
    newest = newest_seal(folder)
    for signed in found:
        if signed.problem is None:
            print(f"seal {signed.number} of {newest.seal.number if newest else 0}: signed by {signed.signer}")
    if not found:
        print(f"no seal of {folder.name} is signed")
    if problems := [f"{signed.file}: {signed.problem}" for signed in found if signed.problem]:
        raise IntegrityError("\n".join(problems))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
