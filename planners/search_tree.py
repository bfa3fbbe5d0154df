"""Memory of a graph search over poses: nodes, open list and the table of cells (compiled)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
EMPTY = -1
_MIX = 0x9E3779B97F4A7C1  # an odd number near 2**60 / golden ratio: spreads neighbouring cells


class SearchTree(NamedTuple):
    """Nodes with their parents, a binary heap of open nodes and a hash table of cells.

    Args:
        pose: Of each node ``(x, y, heading)``, shape ``(N, 3)``.
        cost: Of the way to each node, metres, shape ``(N,)``.
        arc: Curvature and signed length of the arc from the parent, shape ``(N, 2)``.
        parent: Index of the parent, -1 at the root, shape ``(N,)``.
        cell: Table row of each node, shape ``(N,)``.
        heap_key: Priorities, smallest first, shape ``(N,)``.
        heap_node: Nodes in the heap, shape ``(N,)``.
        table_key: Cells, -1 where a row is free, shape ``(2**k,)``.
        table_node: The cheapest node of each cell, shape ``(2**k,)``.
        used: Number of nodes and number in the heap, shape ``(2,)``.
    """

    pose: Array
    cost: Array
    arc: Array
    parent: NDArray[np.int64]
    cell: NDArray[np.int64]
    heap_key: Array
    heap_node: NDArray[np.int64]
    table_key: NDArray[np.int64]
    table_node: NDArray[np.int64]
    used: NDArray[np.int64]


def make_tree(capacity: int) -> SearchTree:
    """Memory for ``capacity`` nodes (untouched pages cost nothing)."""
    rows = 1 << math.ceil(math.log2(2 * capacity))
    return SearchTree(
        np.empty((capacity, 3)),
        np.empty(capacity),
        np.empty((capacity, 2)),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        np.empty(capacity),
        np.empty(capacity, np.int64),
        np.full(rows, EMPTY, np.int64),
        np.empty(rows, np.int64),
        np.zeros(2, np.int64),
    )


@njit(cache=True, error_model="numpy")
def clear(tree: SearchTree) -> None:
    """Forget all nodes; only the rows that were used are written."""
    for i in range(tree.used[0]):
        tree.table_key[tree.cell[i]] = EMPTY
    tree.used[:] = 0


@njit(cache=True, error_model="numpy")
def find_row(tree: SearchTree, key: int) -> int:
    """Table row of a cell, or the free row where it belongs."""
    mask = len(tree.table_key) - 1
    mixed = key * _MIX
    row = (mixed ^ (mixed >> 29)) & mask
    while tree.table_key[row] != EMPTY and tree.table_key[row] != key:
        row = (row + 1) & mask
    return row


@njit(cache=True, error_model="numpy")
def add_node(
    tree: SearchTree,
    row: int,
    key: int,
    x: float,
    y: float,
    heading: float,
    cost: float,
    curvature: float,
    length: float,
    parent: int,
) -> int:
    """Append a node as the best of its cell; its index."""
    node = int(tree.used[0])
    tree.used[0] += 1
    tree.pose[node, 0] = x
    tree.pose[node, 1] = y
    tree.pose[node, 2] = heading
    tree.cost[node] = cost
    tree.arc[node, 0] = curvature
    tree.arc[node, 1] = length
    tree.parent[node] = parent
    tree.cell[node] = row
    tree.table_key[row] = key
    tree.table_node[row] = node
    return node


@njit(cache=True, error_model="numpy")
def push(tree: SearchTree, key: float, node: int) -> None:
    """Put a node into the open list."""
    i = tree.used[1]
    tree.used[1] += 1
    while i > 0:
        up = (i - 1) >> 1
        if tree.heap_key[up] <= key:
            break
        tree.heap_key[i] = tree.heap_key[up]
        tree.heap_node[i] = tree.heap_node[up]
        i = up
    tree.heap_key[i] = key
    tree.heap_node[i] = node


@njit(cache=True, error_model="numpy")
def pop(tree: SearchTree) -> int:
    """Take the node of the smallest key out of the open list, which must not be empty."""
    top = int(tree.heap_node[0])
    tree.used[1] -= 1
    n = tree.used[1]
    key = tree.heap_key[n]
    node = tree.heap_node[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and tree.heap_key[child + 1] < tree.heap_key[child]:
            child += 1
        if tree.heap_key[child] >= key:
            break
        tree.heap_key[i] = tree.heap_key[child]
        tree.heap_node[i] = tree.heap_node[child]
        i = child
    tree.heap_key[i] = key
    tree.heap_node[i] = node
    return top


@njit(cache=True, error_model="numpy")
def trace(tree: SearchTree, node: int, out: Array) -> int:
    """Write the arcs from a node back to the root, ``(curvature, length)``, into ``out``.

    Returns:
        How many; rows beyond ``len(out)`` are counted but not written.
    """
    n = 0
    while tree.parent[node] >= 0:
        if n < len(out):
            out[n, 0] = tree.arc[node, 0]
            out[n, 1] = tree.arc[node, 1]
        n += 1
        node = tree.parent[node]
    return n
