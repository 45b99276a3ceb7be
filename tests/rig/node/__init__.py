"""The node agent: what kubelets are in a real cluster, as one process that runs pods as processes on this machine.

It registers several Nodes, each under its own identity, runs the pods bound to them, and tells the API server what a
kubelet would tell. Data flow:

    API server ── watch ──▶ node.py ──▶ pod.py ──▶ keeper.py ──▶ container.py (namespaces, overlay, chroot)
         ▲                               │            │
         └── status (status.py) ◀────────┴── probes ◀─┘

The agent is process 1 of a process namespace of its own: a killed agent takes every container along, as the kernel
does it. client.py is how a rig uses it, faults included.
"""
