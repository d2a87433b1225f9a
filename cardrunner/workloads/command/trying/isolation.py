"""The environment of a trial: offline, and without the secrets of this one.

HOME stays what it is. Packages and caches that a launch will use are found there, and a script that looks for logins
finds the folder of its user by itself. The usual libraries are pointed away from the files with logins in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cardrunner.common.redaction import has_credentials, is_secret_name

_WITHHELD: Final = re.compile(
    r"^(?:AWS_|AZURE_|GOOGLE_|GCLOUD_|CLOUDSDK_|GCP_|MODAL_|OCI_|S3_|KUBE|DOCKER_|WANDB_|HF_TOKEN|HUGGING|NEPTUNE_|"
    r"COMET_|CLEARML_|TRAINS_|DVC_|MLFLOW_|DATABRICKS_|GITHUB_|GITLAB_|GH_|OPENAI_|ANTHROPIC_|KAGGLE_|SSH_|GPG_|GNUPG|"
    r"GIT_ASKPASS|GIT_SSH|NETRC|DBUS_|VAULT_|TWINE_|PIP_INDEX|PIP_EXTRA|UV_INDEX|SLURM_JWT|CARDRUNNER_)"
)
"""Trackers, hubs, clouds and agents, whatever else their names say."""
_OFFLINE: Final = {
    "WANDB_MODE": "offline",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "COMET_START_ONLINE": "0",
    "NEPTUNE_MODE": "offline",
    "CLEARML_OFFLINE_MODE": "1",
    "SWANLAB_MODE": "offline",
    "DVC_STUDIO_OFFLINE": "true",
    "DVC_NO_ANALYTICS": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "DO_NOT_TRACK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_OWN_FOLDERS: Final = (
    "TMPDIR",
    "WANDB_DIR",
    "WANDB_CONFIG_DIR",
    "WANDB_CACHE_DIR",
    "WANDB_DATA_DIR",
    "COMET_OFFLINE_DIRECTORY",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
)
"""Variables that name a folder: each gets one that is thrown away."""
_NO_FILES: Final = ("NETRC", "HF_TOKEN_PATH", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "KUBECONFIG")
"""Variables that name a file with logins: each names one that is absent."""


def inherited(environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What a trial gets of an environment, and the names that are withheld from it."""
    withheld = {name for name, value in environment.items() if _is_withheld(name, value)}
    return {name: value for name, value in environment.items() if name not in withheld}, tuple(sorted(withheld))


def _is_withheld(name: str, value: str) -> bool:
    return is_secret_name(name) or _WITHHELD.match(name) is not None or has_credentials(value)


def offline(scratch: Path, out: Path, own: Mapping[str, str]) -> dict[str, str]:
    """What a trial sets: it takes the place of what the card sets.

    Args:
        scratch: a folder that is thrown away.
        out: the folder of ``{out}``.
        own: what the card sets. A store of MLflow that is a folder stays.
    """
    folders = {name: str(scratch / name.lower()) for name in _OWN_FOLDERS}
    files = {name: str(scratch / "absent") for name in _NO_FILES}
    store = own.get("MLFLOW_TRACKING_URI", "")
    return {
        **own,
        **_OFFLINE,
        **folders,
        **files,
        "MLFLOW_TRACKING_URI": store if store.startswith("file:") else mlflow_store(out),
    }


def mlflow_store(out: Path | str) -> str:
    """The address of a store of MLflow in the folder of ``{out}``."""
    return f"file:{out}/mlruns"


def make_folders(scratch: Path) -> None:
    """Make the folders that `offline` names."""
    for name in _OWN_FOLDERS:
        (scratch / name.lower()).mkdir(parents=True, exist_ok=True)
