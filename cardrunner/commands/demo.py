"""`cardrunner demo`: the demo of a run, again or for the first time."""

from __future__ import annotations

import argparse
import webbrowser

from cardrunner.commands.run_arguments import add_run_argument, progress_of, run_to_read
from cardrunner.errors import UsageError
from cardrunner.launching.finish import demo

HELP = "make the demo of a run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)
    parser.add_argument("--open", action="store_true", help="open its page in a browser")


def run(options: argparse.Namespace) -> int:
    """Make the demo, and print its files."""
    files = demo(run_to_read(options), progress=progress_of(options))
    print("\n".join(map(str, files)))
    if options.open:
        page = next((path for path in files if path.suffix == ".html"), None)
        if page is None:
            raise UsageError("--open: this demo has no page to open; its files are listed above")
        webbrowser.open(page.absolute().as_uri())
    return 0
