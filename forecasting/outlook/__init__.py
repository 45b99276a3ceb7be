"""The weeks to come: how large an ordinary week will be, and its busy hour, a quarter ahead.

For whoever orders machines, trunks and licences, not for the plan of the next hours: nothing here sizes a fleet.
`weekly_levels` says how large each week was, `smoothing` draws level and damped trend, `held_out` decides whether a
trend is believed and `spread` how far off it all lies, by weeks that they had not seen; `levels_ahead` puts these
together, and `weekly` makes the outlook of them.
"""
