import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.ahead import window_maximum


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 50))
@settings(derandomize=True, deadline=None)
def test_a_window_holds_the_largest_of_each_value_and_those_after_it(values, width):
    expected = [max(values[slot : slot + width]) for slot in range(len(values))]
    assert window_maximum(np.array(values, dtype=np.int64), width).tolist() == expected
