"""The model check of retirement: every order of events of a small world, with the production functions in its middle.

`python -m tools.model_check` walks breadth-first through all states that a few pods, a few calls and a few faults can
reach, and steps `scaler.retirement.machine.step` wherever the leader would. It prints how many states held which
promise, and for each closing the shortest way to break a promise without it.

A tick is what the protocol's waiting is measured in: a call that was let in has become a channel, a gate write that was
given up has landed or never will, a PBX has restarted. Within a tick everything may happen in any order.
"""
