"""Signatures made with SSH keys: made by ssh-keygen, verified here, against the workspace's `allowed_signers`."""

from __future__ import annotations

from cardrunner.gate.ssh.allowed_signers import AllowedSigners, parse_allowed_signers, read_allowed_signers
from cardrunner.gate.ssh.sign import sign_statement
from cardrunner.gate.ssh.signature import NAMESPACE, SshSignature, parse_signature, statement_bytes
from cardrunner.gate.ssh.verify import verify_statement

__all__ = [
    "NAMESPACE",
    "AllowedSigners",
    "SshSignature",
    "parse_allowed_signers",
    "parse_signature",
    "read_allowed_signers",
    "sign_statement",
    "statement_bytes",
    "verify_statement",
]
