"""One cluster: watches stripped to what sizing and retirement need, answered from memory, and retirement's writes.

    api.py ──▶ reflector.py ──▶ memory.py ──▶ adapter.py
    (requests,  (list, watch,     (indexes,     (observations of observe.py and
     time-outs)  410, back-off)    pod lives)    looks of looking.py, faults, age)

`objects.py` strips what the API server sends, `triggers.py` tells which ScaledObjects are ours, `pods.py` where a pod
is in its life, `annotations.py` what stands on pods about retirement. `writing.py` writes what retirement decided, each
once over what was looked at, and `events.py` what people are told; `lease.py` keeps the replicas' Lease. The rest
serves people at a command line: `by_hand.py` reads and writes for them, `doctor/` examines a fleet, `adopting.py` and
`leaving.py` take it into retirement's care and out of it.
"""
