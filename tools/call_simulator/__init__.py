"""The call simulator: what retirement does to every single call of many fleets, over days, under faults.

The model check goes through every order of events of a world of three pods. Here are fleets of up to 60, calls by the
million, seconds instead of ticks, and chance instead of completeness: the same production function decides, and each
call is counted by how it ended. `python -m tools.call_simulator` prints how many were cut (none), how many are when one
closing is left out, and what two other ways to scale in do to the same calls.
"""
