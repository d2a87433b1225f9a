"""modal: the worker runs in containers of Modal, on the card's GPU, with the run folder on the card's volume.

::

    here                                          there
    executor    preflight, app, spawn             functions   what Modal calls: preflight, train
    job         the call, from any shell          attempt     one container: restore, watch, publish
    volumes     the run folder, copied here       publishing  the run folder, copied to the volume and committed

An `Order` travels from here to there, as plain JSON. The worker is that of every executor. It writes a folder on the
container's own disk, because a volume has no locks and no links, and a commit during a write has undefined content.
`publishing` copies it to the volume, files before the records that name them, and commits.
"""

from __future__ import annotations

from typing import Final

NAME: Final = "modal"
MOUNT: Final = "/volume"
"""Where containers mount the card's volume."""
