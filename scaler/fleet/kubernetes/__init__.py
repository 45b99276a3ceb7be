"""The read side of a cluster: six watches, stripped to what sizing needs, answered from memory.

    api.py ──▶ reflector.py ──▶ memory.py ──▶ adapter.py
    (requests,  (list, watch,     (indexes,     (observations,
     time-outs)  410, back-off)    pod lives)    faults, age)

`objects.py` strips what the API server sends, `triggers.py` tells which ScaledObjects are ours, `pods.py` tells where
a pod is in its life. Nothing here writes to the cluster.
"""
