"""Asking a pod's media server what lives on it, and shutting its own gate: ARI, AMI, or any server that tells JSON.

Nothing here decides anything. What was understood becomes a `Reading`; whatever was not (no answer, a refusal, a
sentence that makes no sense) becomes `Unproved`, and never a number.
"""
