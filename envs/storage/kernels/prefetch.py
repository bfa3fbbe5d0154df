"""Asks for memory early: pages are touched at random, so each would be waited for."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

READ_WRITE, KEEP, DATA = 1, 3, 1  # arguments of LLVM's prefetch


def _prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Fetch ``array[index]`` (an index from 0) into the caches; changes nothing else.

    Args:
        typingctx: Of numba.
        array: One-dimensional and contiguous.
        index: Within the array.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from llvmlite import ir  # type: ignore[import-untyped]  # numba's own back end

        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        at = builder.gep(data, [arguments[1]])
        pointer = builder.bitcast(at, cgutils.voidptr_t)
        word = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        name = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], shape)
        builder.call(name, [pointer, *(word(k) for k in (READ_WRITE, KEEP, DATA))])
        return context.get_dummy_value()

    return types.none(array, index), generate


def _nothing(array: Any, index: Any) -> None:
    """Uncompiled, as for coverage, there is nothing to ask for."""


UNCOMPILED = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009
prefetch: Any = _nothing if UNCOMPILED else intrinsic(_prefetch)
