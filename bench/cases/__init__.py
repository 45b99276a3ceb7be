"""What is not ordinary, one file for each kind of case: breaks of the level, holidays, changes of the clock, newborns.

`laid_over` and `clocks` make cases out of real series, `replaying` publishes forecasts as a service would, the others
each play one kind and tell its rows.
"""
