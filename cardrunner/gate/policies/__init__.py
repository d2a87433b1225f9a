"""Policy name → how its signatures are judged and made."""

from __future__ import annotations

from cardrunner.gate.policies.base import Judgement, Policy, Refused, SigningKey
from cardrunner.gate.policies.boxes import BoxesPolicy
from cardrunner.gate.policies.digest import DigestPolicy
from cardrunner.gate.policies.ssh import SshPolicy

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (BoxesPolicy(), DigestPolicy(), SshPolicy())}

__all__ = ["POLICIES", "Judgement", "Policy", "Refused", "SigningKey"]
