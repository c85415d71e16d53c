"""Decision trees as one table of nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.errors import ModelError

MAX_CATEGORIES = 256
Nodes = npt.NDArray[np.void]
NODE = np.dtype(
    [
        ("tree", np.int64),  # trees stand in the order in which they are added up
        ("output", np.int64),  # score that the tree adds to
        ("feature", np.int64),  # column of the matrix; -1 in a leaf
        ("threshold", np.float64),  # numbers up to this one go left
        ("missing_left", np.bool_),  # where NaN goes
        ("left", np.int64),  # number of the node within its tree; -1 in a leaf
        ("right", np.int64),
        ("value", np.float64),  # what a leaf adds
        ("gain", np.float64),  # by how much the split lowered the training loss
        ("records", np.int64),  # training records that came here
        ("categorical", np.bool_),
        ("categories", np.uint8, (MAX_CATEGORIES // 8,)),  # bit i: category i goes left; lowest bit first
    ]
)


def check_nodes(nodes: Nodes, features: int, outputs: int) -> None:
    """Refuse nodes that make no trees.

    Parameters
    ----------
    nodes
        Tree after tree; within a tree a node is to be followed by its left subtree, then by its right one.
    features, outputs
        How many there are.

    Raises
    ------
    ModelError
        If a number is out of range, or a tree's nodes do not stand in this order.
    """
    trees, inner = nodes["tree"], nodes["feature"] >= 0
    steps = np.diff(trees)
    fine = len(nodes) > 0 and trees[0] == 0 and bool(((steps == 0) | (steps == 1)).all())
    fine = fine and bool(((nodes["feature"] >= -1) & (nodes["feature"] < features)).all())
    fine = fine and bool(((nodes["output"] >= 0) & (nodes["output"] < outputs)).all())
    fine = fine and not bool(np.isnan(nodes["threshold"][inner]).any()) and bool(np.isfinite(nodes["value"]).all())
    if not (fine and all(_is_tree(nodes[begin:end]) for begin, end in spans_of(nodes))):
        raise ModelError("the trees of the model are damaged: copy the model directory again, or train again.")


def one_leaf_trees(values: Floats) -> Nodes:
    """A tree of one leaf for each output: what all records get."""
    nodes = np.zeros(len(values), dtype=NODE)
    nodes["tree"] = nodes["output"] = np.arange(len(values))
    nodes["feature"] = nodes["left"] = nodes["right"] = -1
    nodes["value"] = values
    return nodes


def stacked(parts: Sequence[Nodes]) -> Nodes:
    """Trees behind trees."""
    counts = [len(starts_of(part)) for part in parts]
    found = np.concatenate(parts)
    found["tree"] += np.repeat(np.cumsum([0, *counts[:-1]]), [len(part) for part in parts])
    return found


def starts_of(nodes: Nodes) -> Ints:
    """Where each tree begins."""
    return np.flatnonzero(np.append(True, np.diff(nodes["tree"]) != 0)) if len(nodes) else np.zeros(0, dtype=np.int64)


def spans_of(nodes: Nodes) -> list[tuple[int, int]]:
    """Where each tree begins and ends."""
    starts = starts_of(nodes).tolist()
    return list(zip(starts, [*starts[1:], len(nodes)], strict=True))


def _is_tree(nodes: Nodes) -> bool:
    """Whether nodes stand as a walk meets them that goes left first, and nothing is left over."""
    if len(set(nodes["output"].tolist())) != 1:
        return False
    open_right: list[int] = []
    rights, lefts = nodes["right"].tolist(), nodes["left"].tolist()
    for number, feature in enumerate(nodes["feature"].tolist()):
        if feature >= 0:
            if lefts[number] != number + 1:
                return False
            open_right.append(rights[number])
        elif not open_right:
            return number == len(nodes) - 1
        elif open_right.pop() != number + 1:
            return False
    return False
