"""The core: capacity, need, plan, explanation. Pure functions over frozen values, with the time passed in."""
