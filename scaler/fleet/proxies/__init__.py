"""Front gates: telling what stands before the pods where to send new calls, and asking it whether it does.

A front gate spares callers a refusal. It is no fence, since a proxy that was started a moment ago knows nothing; the
fence is the pod's own gate.
"""
