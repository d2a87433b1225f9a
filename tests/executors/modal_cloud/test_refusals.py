"""Launches that Modal, the volume or the card refuse: one line of advice, an exit code, and no GPU."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import modal
import pytest

from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import preflight
from tests.modal_plane.cloud import TOY, Cloud, policy


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def refused(
    cloud: Cloud, changes: dict[str, Any] | None = None, *, base: dict[str, Any] = TOY, **variables: str
) -> tuple[int, str]:
    """The exit code of a launch and its last line; nothing was started and nothing is left here."""
    card = cloud.card(changes, base=base)
    code, out, err = cloud.type("launch", card, cwd=None, **variables)
    assert out == ""
    assert not cloud.plane.calls(app=card.stem)
    assert not (cloud.root / "runs" / card.stem).exists()
    return code, err.strip().splitlines()[-1]


def test_no_token(cloud: Cloud) -> None:
    code, line = refused(cloud, MODAL_TOKEN_ID="", MODAL_TOKEN_SECRET="")
    assert code == 7
    assert line == "there is no Modal token here; run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"


def test_a_wrong_token(cloud: Cloud) -> None:
    code, line = refused(cloud, MODAL_TOKEN_SECRET="as-of-somebody-else")
    assert code == 7
    assert line.startswith("cannot use Modal: Token ID is malformed or not recognised; run `modal token new`")


def test_no_server(cloud: Cloud, closed_port: int) -> None:
    code, line = refused(cloud, MODAL_SERVER_URL=f"http://127.0.0.1:{closed_port}")
    assert code == 7
    assert line.startswith(
        f"Modal does not answer at 127.0.0.1:{closed_port} (Connection refused); look at the network"
    )


def test_a_server_that_takes_no_connection_is_given_up_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preflight.CONNECT_SECONDS < 6  # the SDK alone would try for a minute
    monkeypatch.setattr(preflight, "CONNECT_SECONDS", 0.2)
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for _ in range(3):  # nobody accepts them, and there is room for one
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        with pytest.raises(
            EnvironmentFailed, match=r"Modal does not answer at 127\.0\.0\.1:\d+ \(timed out\); look at"
        ):
            preflight.check_connection(*address)


IMPATIENT = """
from cardrunner.executors.modal_cloud import preflight
from cardrunner.main import entry
preflight.HELLO_SECONDS = 0.3
entry()
"""


def test_a_server_that_is_mute_is_given_up_too(cloud: Cloud) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        environment = {**os.environ, **cloud.plane.environment, "MODAL_SERVER_URL": f"http://{address}"}
        launch = cloud.zygote.code(IMPATIENT, "launch", cloud.card(), cwd=cloud.root, environment=environment)
        code, _, err = launch.finish()
    assert code == 7
    assert f"Modal took the connection to {address} and did not answer for 0.3 s; look at proxies" in err


def test_a_slip_in_the_volume_is_not_hidden_by_making_it(cloud: Cloud) -> None:
    slip = cloud.volume.name.replace("training", "trainnig")
    code, line = refused(cloud, {"infra.volume": slip})
    assert code == 7
    assert line == (
        f'infra.volume: there is no volume {slip} in this Modal workspace; did you mean "{cloud.volume.name}"?'
    )
    assert cloud.plane.world.volume_of(slip) is None


def test_a_missing_secret_and_a_missing_key(cloud: Cloud) -> None:
    cloud.plane.add_secret("wandb-key", OTHER="x")
    code, line = refused(cloud, {"infra.secrets": ["wandb-kee"]})
    assert code == 7
    assert line.startswith("cannot find the secret wandb-kee (infra.secrets): Secret 'wandb-kee' not found")
    code, line = refused(cloud, {"infra.secrets": ["wandb-key"], "infra.tracking.wandb": {"project": "p"}})
    assert code == 7
    assert "none of wandb-key has the key WANDB_API_KEY, which infra.tracking.wandb needs" in line


def test_data_that_is_not_on_the_volume_or_has_another_size(cloud: Cloud) -> None:
    data = {"data.source": "/games.pt", "data.size": "2 MB"}
    code, line = refused(cloud, data, base=policy())
    assert code == 7
    assert line == (
        f"data.source: /games.pt is not on the volume {cloud.volume.name}; `cardrunner upload FILE CARD` puts it there"
    )
    (cloud.volume.folder / "games.pt").write_bytes(b"x" * 1_000_000)
    code, line = refused(cloud, data, base=policy())
    assert code == 4
    assert line == "data.size has 1 MB (1000000 bytes) on the volume, the card says 2 MB"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"infra.gpu": "A1000"}, 'infra.gpu: is no GPU that Modal offers; did you mean "A100"?'),
        ({"infra.gpus": 16}, "infra.gpus: is 16, and one Modal container has at most 8 GPUs"),
        ({"infra.timeout": "25h"}, "infra.timeout: must be from 1s to 24h, which is what Modal allows for one attempt"),
        ({"infra.retries": 11}, "infra.retries: "),
    ],
)
def test_what_modal_does_not_offer_is_a_fault_of_the_card(cloud: Cloud, changes: dict[str, Any], sentence: str) -> None:
    before = cloud.plane.world.counts.total()
    code, line = refused(cloud, changes)
    assert code == 2
    assert sentence in line
    assert cloud.plane.world.counts.total() == before


@pytest.mark.skipif(isinstance(modal.Function.info, property), reason="this SDK does not tell what was recorded")
def test_a_limit_that_the_server_records_otherwise(cloud: Cloud) -> None:
    with cloud.plane.trouble(limits={"timeout_secs": 60}):
        code, line = refused(cloud)
    assert code == 7
    assert "Modal recorded timeout 60 for the training function, the card says 3600; nothing was started" in line


def test_a_call_that_is_refused_at_the_last_moment_leaves_nothing(cloud: Cloud) -> None:
    with cloud.plane.trouble(refuse_spawns=True):
        code, line = refused(cloud)
    assert code == 7
    assert "workspace has reached its spend limit; a limit of the Modal workspace is reached" in line
    cloud.plane.wait(lambda: cloud.plane.apps()[-1].is_over)


def test_a_full_volume_is_noticed_before_a_gpu_is_paid_for(cloud: Cloud) -> None:
    with cloud.plane.trouble(commits_full=True):
        code, line = refused(cloud)
    assert code == 7
    assert "the volume could not be committed in" in line
    assert "(found on Modal, before any GPU)" in line


def test_a_name_that_is_taken_on_the_volume(cloud: Cloud) -> None:
    card = cloud.card()
    folder = cloud.folder(card.stem)
    folder.mkdir(parents=True)
    (folder / "best.pt").write_bytes(b"of somebody else")
    code, _, err = cloud.type("launch", card)
    assert (code, err.strip()) == (
        6,
        f"/checkpoints/{card.stem} on the volume {cloud.volume.name} holds something else than a run; move it away",
    )
    (folder / "launch.json").write_text("{}")
    code, _, err = cloud.type("launch", card)
    assert code == 6
    assert f"has a run {card.stem} already" in err


def test_approvals_that_were_changed_on_the_volume_end_the_run(cloud: Cloud) -> None:
    card = cloud.card({"training.toy.step_ms": 20, "training.epochs": 90})
    approvals = cloud.folder(card.stem) / "approvals.json"
    cloud.plane.at_step(cloud.volume, card.stem, 8, lambda: approvals.write_text('[{"id": "mallory"}]'))
    cloud.plane.script(cloud.volume, card.stem, (16, "lost"))
    call = cloud.launched(card)
    cloud.plane.wait(lambda: call.is_over)
    assert call.attempts == ["lost", "success"]
    code, _, err = cloud.type("attach", card.stem)
    assert code == 4
    assert f"/checkpoints/{card.stem}/approvals.json differs from what was launched: it was changed" in err
    assert cloud.events(card.stem, "attempt_started")[-1]["attempt"] == 1
