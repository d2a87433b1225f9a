"""The `cardrunner` command: arguments → one subcommand → exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cardrunner.errors import CardrunnerError, EnvironmentFailed

COMMANDS = (
    "validate", "render", "plan", "digest", "code", "data", "check", "sign", "launch", "status", "logs", "attach",
    "stop", "finish", "resume", "download", "demo", "report", "seal", "verify", "rules", "encode", "upload", "new",
    "try", "schema", "workloads",
)  # fmt: skip
_MODULES = {"try": "try_card"}
"""Commands whose module has another name, since theirs is a word of Python."""
QUICK = ("validate", "digest", "render", "schema", "new")
"""Short commands that may exit without garbage collection or clean-up, because they start no process or thread."""


_KEPT_LOGS = 20
"""Of bugs, the newest."""


class _Version(argparse.Action):
    """Prints the version, which is slow to look up, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from cardrunner.runs.environment import own_version

        print(f"cardrunner {own_version()}")
        parser.exit()


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The argument parser; with `only`, just that command's own arguments are filled in."""
    parser = argparse.ArgumentParser(
        prog="cardrunner", description="Reviewed YAML run cards that launch, watch and report training runs."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS if only is None else (only,):
        module = importlib.import_module(f"cardrunner.commands.{_MODULES.get(name, name)}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(sub)
        sub.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
        sub.add_argument("--no-color", action="store_true", help="no colour (NO_COLOR holds too)")
        sub.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see the table in the README)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    only = words[0] if words and words[0] in COMMANDS else None
    # what follows -- of `new` is a command line of its own, whose options are not ours
    own = words[: words.index("--")] if only == "new" and "--" in words else words
    options = build_parser(only).parse_args(own)
    if len(own) < len(words):
        options.after = words[len(own) + 1 :]
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    from cardrunner.common.redaction import hiding_streams

    if options.command not in QUICK:
        gc.enable()
    with hiding_streams(terminal=True):
        return _run(options, words)


def _run(options: argparse.Namespace, words: Sequence[str]) -> int:
    try:
        code = int(options.run(options))
        _flush()  # here, where a full disk or a closed pipe can still be handled
        return code
    except CardrunnerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()  # the reader closed the pipe, as `| head` does
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            _drop_output()
            print(f"the output cannot be written: {error.strerror}; make room, or write it elsewhere", file=sys.stderr)
            return EnvironmentFailed.exit_code
        from cardrunner.plugins import blamed_plugin

        if (sentence := blamed_plugin(error)) is not None:
            print(sentence, file=sys.stderr)
            return EnvironmentFailed.exit_code
        print(_log_bug(words), file=sys.stderr)
        return 1


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream that was closed before the start is None
        stream.flush()


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log_bug(words: Sequence[str]) -> str:
    import tempfile  # only needed for a bug
    import traceback

    from cardrunner.common.private_folder import private_folder
    from cardrunner.common.redaction import hide
    from cardrunner.runs.environment import own_version

    folder = None  # for temporary files, where there is no other place
    with suppress(EnvironmentFailed, OSError):
        folder = private_folder("logs")
        for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[: -(_KEPT_LOGS - 1)]:
            old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="cardrunner-", suffix=".log", dir=folder, delete=False) as log:
        log.write(hide(f"cardrunner {own_version()}, Python {sys.version}\narguments: {list(words)}\n\n"))
        log.write(hide(traceback.format_exc()))
    last = hide(traceback.format_exc().strip().splitlines()[-1])
    return f"this is a bug in cardrunner, not in your card: {last}\nplease send {Path(log.name)} to the maintainers"


def entry() -> None:
    """The entry point of the installed command."""
    gc.set_threshold(50_000, 20, 20)
    gc.disable()  # until a command begins: the objects made at start-up are never garbage
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # characters that the output cannot encode become escapes
    try:
        code = main()
    except KeyboardInterrupt:  # during an import, or a second Ctrl-C while the first is handled
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a third would only show a traceback
        print("interrupted", file=sys.stderr)
        code = 130
    if sys.argv[1:2] and sys.argv[1] in QUICK:
        with suppress(OSError):  # then the normal exit reports it
            _flush()
            os._exit(code)  # skips freeing objects, which is a tenth of the time of validate
    sys.exit(code)
