"""Retirement carried out: who is asked, what is decided, and what is written, while this replica leads.

    watches ─▶ look ─┐
    media servers ───┼─▶ observed fleet ─▶ scaler.retirement.step ─▶ audit log ─▶ writes, gates, Events
    front gates ─────┤                                          └─▶ page, API, metrics
    plan, loads ─────┘

What is decided lies in `scaler.retirement`. Here is only the talking: each write is preceded by the question whether
this replica still leads, each has a deadline, and a release or a delete that could not be written down is not sent.
"""
