"""A platform without a cluster: pods that start after a lead, calls that they carry, and what KEDA and the HPA do.

    answers.py ──▶ adapter.py ──▶ fleet.py ──▶ placing.py
    (asks as        (one HPA        (pods raised,  (each call on the
     KEDA does)      sync)           let go)        least loaded pod)

It stands behind the same protocol as a real cluster. That it lets pods go again is the simulated platform's own doing,
since calltide's retirement acts on a real cluster only; docs/demo.md says what is simulated and what is real.
"""
