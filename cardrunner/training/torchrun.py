"""torchrun, with a record of the processes that died: ``python -m cardrunner.training.torchrun DEATHS ARGUMENTS...``.

torchrun knows which process died of which signal, but says so only in its log.
"""

from __future__ import annotations

import sys
from pathlib import Path

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from cardrunner.common.redaction import hiding_streams
from cardrunner.runs.jsonl import append_line


def main(arguments: list[str]) -> int:
    """Run torchrun with these arguments; its exit code."""
    deaths, *rest = arguments
    try:
        run.main(rest)
    except ChildFailedError as error:
        for rank, failure in error.failures.items():
            append_line(Path(deaths), {"rank": rank, "died": failure.exitcode}, durable=False)
        return 1
    except SignalException:
        return 1
    return 0


if __name__ == "__main__":
    with hiding_streams():
        raise SystemExit(main(sys.argv[1:]))
