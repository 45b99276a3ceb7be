"""Trained models out of bytes: pickle that makes nothing but the values that a model is made of.

Gradient-boosted trees have no other form that their library reads back. Pickle is acceptable here since the bytes are
calltide's own, from an archive that decides over every forecast anyway. All the same, bytes from a bucket shall not be
able to run code: only value classes of this room, of numpy and of the trees are made, and everything else that a
pickle may name is refused before it is looked up.
"""

from __future__ import annotations

import importlib
import io
import pickle
from dataclasses import is_dataclass
from enum import Enum
from typing import cast

from forecasting.forecast import Forecaster

_OWN = "forecasting."
_TREES = ("sklearn.ensemble._hist_gradient_boosting.", "sklearn._loss.")
_NUMPY = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
    }
)


class UnknownObjectError(pickle.UnpicklingError):
    """A pickle names something that no trained model is made of."""


def from_pickle(data: bytes) -> Forecaster:
    """The trained model in these bytes.

    Raises:
        UnknownObjectError: they name something else than values of a model.
        Exception: whatever pickle raises over bytes that are none of its own.
    """
    return cast(Forecaster, _Values(io.BytesIO(data)).load())


class _Values(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> object:
        # Looked up as one name: pickle itself would follow its dots, through a module's own imports to anything at all.
        if (module_name, global_name) in _NUMPY:
            return getattr(importlib.import_module(module_name), global_name)
        if module_name.startswith((_OWN, *_TREES)):
            found = getattr(importlib.import_module(module_name), global_name, None)
            # Classes at home there, not what the module has imported, and no functions.
            if isinstance(found, type) and found.__module__ == module_name and _is_value(found):
                return found
        raise UnknownObjectError(
            f"{module_name}.{global_name} is no part of a trained model; if one needs it, name it in {__name__}"
        )


def _is_value(kind: type) -> bool:
    return not kind.__module__.startswith(_OWN) or is_dataclass(kind) or issubclass(kind, Enum)
