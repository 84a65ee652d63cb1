"""A LightGBM forest taken apart for one purpose: one customer, many arms, exactly the sum LightGBM gives.

Every row of such a matrix repeats the customer's columns, and the arms' columns never change while a catalogue lives.
So the tests on arms are answered once, those on the customer once a decision, and the two are put together by one AND
for each tree and arm. Leaves are bits, counted from the left; a test that fails clears the leaves on its left; the
first bit left is the exit leaf (QuickScorer: Lucchese et al., SIGIR 2015). `make bench` prints the gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.uint64]

#: What LightGBM takes for 0 before it looks at a threshold: `kZeroThreshold`, 1e-35 as a single.
ZERO = float(np.float32(1e-35))
#: Leaves a tree may have: one bit each.
MOST_LEAVES = 64
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_SHIFT = 1, 2, 2
_MISSING_ZERO, _MISSING_NAN = 1, 2
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests `column <= threshold` of a forest, tree after tree; a failed one ANDs `mask` onto its tree's leaves.

    All arrays are (m,); `starts` (trees,) is where each tree begins: it has at least one test, if only an idle one.
    """

    column: NDArray[np.int64]
    threshold: Floats
    left_if_missing: NDArray[np.bool_]
    mask: Masks
    starts: NDArray[np.int64]

    def leaves(self, row: Floats) -> Masks:
        """(trees,) the leaves these tests leave open for a row."""
        values = np.where(np.abs(row) <= ZERO, 0.0, row)[self.column]
        passed = (values <= self.threshold) | (np.isnan(values) & self.left_if_missing)
        return np.bitwise_and.reduceat(np.where(passed, _ALL, self.mask), self.starts)


@dataclass(frozen=True, slots=True)
class Arms:
    """The leaves that m arms leave open. Arms differ in few of a tree's tests: each pattern is looked up once.

    `patterns` (p,) are the different ones, tree after tree, `trees` (p,) says of which tree each is, and `place`
    (trees, m) which of them is an arm's.
    """

    patterns: Masks
    trees: NDArray[np.int64]
    place: NDArray[np.int64]


class Forest:
    """The tests on the first `customer_width` columns and those on the others, and the values of the leaves."""

    def __init__(self, text: str, customer_width: int) -> None:
        """`text` is LightGBM's model text. Raises ValueError for a forest this cannot do: see `_tree`."""
        trees = [_tree(block) for block in _blocks(text)]
        leaves = max(len(values) for _, values in trees)
        self._values = np.zeros((len(trees), leaves))
        for number, (_, values) in enumerate(trees):
            self._values[number, : len(values)] = values
        self._offsets = np.arange(len(trees)) * leaves
        nodes = [tree for tree, _ in trees]
        self._customer = _tests(nodes, lambda column: column < customer_width, 0)
        self._arm = _tests(nodes, lambda column: column >= customer_width, customer_width)

    def arms(self, rows: Floats) -> Arms:
        """What the arms' tests leave open; `rows` (m, a) are their columns."""
        patterns: list[Masks] = []
        trees: list[int] = []
        place: list[NDArray[np.int64]] = []
        for tree, masks in enumerate(np.stack([self._arm.leaves(row) for row in rows], axis=1)):
            distinct, which = np.unique(masks, return_inverse=True)
            place.append(which + len(trees))
            patterns.append(distinct)
            trees += [tree] * len(distinct)
        return Arms(np.concatenate(patterns), np.array(trees), np.stack(place))

    def margins(self, customer: Floats, arms: Arms) -> Floats:
        """(m,) raw scores of one customer (k,) with these arms, added up tree after tree as LightGBM does."""
        open_leaves = arms.patterns & self._customer.leaves(customer)[arms.trees]
        first = open_leaves & (~open_leaves + np.uint64(1))
        # The place of the only bit set is the exponent of the number as a double.
        leaf = (first.astype(np.float64).view(np.int64) >> 52) - 1023
        values = self._values.ravel().take(leaf + self._offsets[arms.trees]).take(arms.place)
        # Along the first axis numpy adds one row after another: the same order, so the same last bit. A single column
        # it would add up in pairs, unless it has to tell every sum on the way.
        return np.add.reduce(values, axis=0) if values.shape[1] > 1 else np.add.accumulate(values, axis=0)[-1]


@dataclass(frozen=True, slots=True)
class _Node:
    column: int
    threshold: float
    left_if_missing: bool
    mask: int


def _blocks(text: str) -> Iterator[Mapping[str, str]]:
    """The lines `key=value` of each tree."""
    for block in text.split("\nTree=")[1:]:
        yield dict(line.split("=", 1) for line in block.split("\n\n")[0].splitlines() if "=" in line)


def _tree(block: Mapping[str, str]) -> tuple[list[_Node], list[float]]:
    """(tests, leaf values from left to right) of one tree.

    Raises ValueError for categorical splits, zeros taken as missing, linear leaves, or more than 64 leaves.
    """
    values = [float(v) for v in block["leaf_value"].split()]
    if len(values) > MOST_LEAVES or block.get("is_linear", "0") != "0":
        raise ValueError("more leaves than bits, or leaves that are not numbers")
    if len(values) == 1:
        return [], values
    columns, kinds = (_integers(block[name]) for name in ("split_feature", "decision_type"))
    left, right = (_integers(block[name]) for name in ("left_child", "right_child"))
    thresholds = [float(v) for v in block["threshold"].split()]
    nodes: list[_Node] = []
    order: list[int] = []

    def walk(node: int) -> int:
        """Visits a subtree from left to right; gives the bits of its leaves."""
        if node < 0:
            order.append(~node)
            return 1 << (len(order) - 1)
        missing = (kinds[node] >> _MISSING_SHIFT) & 3
        if kinds[node] & _CATEGORICAL or missing == _MISSING_ZERO:
            raise ValueError("categories, or zeros taken as missing")
        # A value that is missing counts as 0 where the tree has never seen one.
        default = bool(kinds[node] & _DEFAULT_LEFT) if missing == _MISSING_NAN else thresholds[node] >= 0.0
        lefts = walk(left[node])
        nodes.append(_Node(columns[node], thresholds[node], default, ~lefts & (2**64 - 1)))
        return lefts | walk(right[node])

    walk(0)
    return nodes, [values[leaf] for leaf in order]


def _integers(text: str) -> list[int]:
    return [int(v) for v in text.split()]


def _tests(trees: list[list[_Node]], wanted: Callable[[int], bool], first_column: int) -> Tests:
    """The tests on some of the columns, which are then counted from `first_column`."""
    idle = _Node(first_column, np.inf, True, 2**64 - 1)
    chosen = [[idle, *(node for node in tree if wanted(node.column))] for tree in trees]
    flat = [node for tree in chosen for node in tree]
    return Tests(
        np.array([node.column - first_column for node in flat]),
        np.array([node.threshold for node in flat]),
        np.array([node.left_if_missing for node in flat]),
        np.array([node.mask for node in flat], dtype=np.uint64),
        np.cumsum([0, *(len(tree) for tree in chosen[:-1])]),
    )
