"""modal: the worker runs in containers of Modal, on the card's GPU, with the run folder on the card's volume.

::

    here                                          there
    executor    preflight, app, spawn             functions   what Modal calls: preflight, train
    job         the call, from any shell          attempt     one container: take up, watch, leave
    mirror      the run folder, brought here      publishing  the run folder, put on the volume and committed

An `Order` travels from here to there, as plain JSON. The worker is the one of every executor. It writes a folder on the
container's own disk, since a volume knows no locks and no links, and what is committed while it changes is anything.
`publishing` copies it to the volume in an order in which nothing vouches for what is not there, and commits.
"""

from __future__ import annotations

from typing import Final

NAME: Final = "modal"
MOUNT: Final = "/volume"
"""Where containers mount the card's volume."""
