"""Judge a tree by a model, and point each fault to the line that has to be changed.

A model stops at its first fault of each kind: fields that do not fit together are not looked at while one of them is
wrong by itself. A person wants to hear everything at once, so what is faulty is taken out and the rest judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scaler.errors import Problem
from scaler.policy.complaints import Complaint
from scaler.policy.fields import FieldsError
from scaler.policy.shape import Shape, Step
from scaler.policy.tree import MAXIMUM_PROBLEMS, Node, Plain

# A file of a hundred thousand faults is no policy: what its last ones are need not be worked out.
_MOST_LOOKED_AT = 10 * MAXIMUM_PROBLEMS

Model = TypeVar("Model", bound=BaseModel)
Steps = tuple[Step, ...]


def judge(
    model: type[Model], tree: Node, layers: Sequence[Node] = (), *, inherits_unknown: bool = False
) -> tuple[Model | None, list[Problem]]:
    """The model's value, or None with every problem.

    `layers` are the trees that `tree` was merged from, most specific first: where fields do not fit together, the
    most specific layer that has one of them is the line to look at. With `inherits_unknown` the tree lacks what it
    inherits, and faults that this may cause are left out.
    """
    return _Judgement(model, tree, layers or (tree,), inherits_unknown).run()


class _Judgement(Generic[Model]):
    def __init__(self, model: type[Model], tree: Node, layers: Sequence[Node], inherits_unknown: bool) -> None:
        self._model = model
        self._tree = tree
        self._layers = layers
        self._inherits_unknown = inherits_unknown
        self._removed: set[Steps] = set()
        self._problems: list[Problem] = []
        self._unsaid = 0

    def run(self) -> tuple[Model | None, list[Problem]]:
        plain = self._tree.plain()
        while True:
            try:
                value = self._model.model_validate(plain, by_alias=True, by_name=False)
            except ValidationError as error:
                faults = error.errors(include_url=False)
                faulty = [self._take(fault) for fault in faults[:_MOST_LOOKED_AT]]
                if len(faults) > _MOST_LOOKED_AT:
                    self._unsaid += len(faults) - _MOST_LOOKED_AT
                    return None, self._all_problems()
            else:
                return (None if self._removed else value), self._all_problems()
            new = {steps for steps_of_one in faulty for steps in steps_of_one} - self._removed
            if not new:
                return None, self._all_problems()
            self._removed |= new
            for steps in new:
                _remove(plain, steps)

    def _all_problems(self) -> list[Problem]:
        if self._unsaid:
            rest = self._tree.place.problem(f"… and {self._unsaid} more problems. Mend the first ones and look again.")
            return [*self._problems, rest]
        return self._problems

    def _take(self, error: ErrorDetails) -> list[Steps]:
        """Note the problem, and say what to take out before judging again."""
        complaint = Complaint(error, self._model)
        at = self._in_tree(complaint.steps)
        cause = complaint.context.get("error")
        fields = [(*at, *field.split(".")) for field in cause.fields] if isinstance(cause, FieldsError) else []
        if not self._is_consequence(complaint, fields or [at]):
            if len(self._problems) < MAXIMUM_PROBLEMS:
                place, below = self._place(fields or [at])
                self._problems.append(place.place.problem(complaint.sentence(), *below))
            else:
                self._unsaid += 1
        if complaint.kind == "missing":
            at = at[:-1]
        return [_up_to_list(steps) for steps in (fields or [at])]

    def _is_consequence(self, complaint: Complaint, fields: Sequence[Steps]) -> bool:
        """Whether the fault is only due to something that was taken out, or that would be inherited."""
        for steps in fields:
            if any(steps[: len(gone)] == gone or gone[: len(steps)] == steps for gone in self._removed):
                return True
        if not self._inherits_unknown:
            return False
        may_be_inherited = not any(isinstance(step, int) for step in fields[0])
        absent = any((node := self._find(self._tree, steps)) is None or node.value is None for steps in fields)
        crosses = complaint.kind == "missing" or isinstance(complaint.context.get("error"), FieldsError)
        return crosses and absent and may_be_inherited

    def _in_tree(self, steps: Steps) -> Steps:
        """The path without the steps that only say which of several models was meant."""
        shape: Shape | None = Shape(self._model)
        path: list[Step] = []
        for step in steps:
            if shape is None or not shape.is_choice():
                path.append(step)
            shape = shape.below(step) if shape is not None else None
        return tuple(path)

    def _place(self, fields: Sequence[Steps]) -> tuple[Node, Steps]:
        """The node to point to, with the steps below it when the field itself is not there."""
        if len(fields) > 1:
            for layer in self._layers:
                for steps in fields:
                    node = self._find(layer, steps)
                    if node is not None and node.value is not None:
                        return node, ()
        node, steps = self._tree, fields[0]
        for depth, step in enumerate(steps):
            below = node.child(step)
            if below is None:
                return node, steps[depth:]
            node = below
        return node, ()

    @staticmethod
    def _find(root: Node, steps: Steps) -> Node | None:
        node: Node | None = root
        for step in steps:
            node = node.child(step) if node is not None else None
        return node


def _up_to_list(steps: Steps) -> Steps:
    """The path up to the first list: taking one entry out would move the others to wrong lines."""
    for depth, step in enumerate(steps):
        if isinstance(step, int):
            return steps[:depth]
    return steps


def _remove(plain: Plain, steps: Steps) -> None:
    for step in steps[:-1]:
        if not isinstance(plain, dict) or not isinstance(step, str) or step not in plain:
            return
        plain = plain[step]
    if isinstance(plain, dict) and steps and isinstance(steps[-1], str):
        plain.pop(steps[-1], None)
