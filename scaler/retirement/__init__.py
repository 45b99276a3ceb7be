"""Retirement: how a pod leaves without cutting a call. The protocol alone, as pure functions over frozen values.

`machine.step` is the one function that decides: what was observed goes in, what to write comes out, each write with
the version that it may replace. Edges read pods, gates and proxies and carry the writes out; nothing here talks, waits
or asks for the time. `tools/model_check` steps these same functions through every order of events of a small world.
"""
