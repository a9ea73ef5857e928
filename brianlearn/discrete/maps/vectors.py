"""Vector instructions for loops that the compiler does not vectorise by itself, as functions that numba inlines.

Lists of spikes are followed by short loops over rows of memory: too short for the tests on overlap that a compiler puts
before a loop that it has vectorised. These functions keep a row in registers. They are written for vectors of 8
numbers, which LLVM maps to what the processor has. Offsets count numbers of the flat array; nothing checks bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

__all__ = ["CHAINS", "WIDTH", "accumulate", "accumulate_together", "add_scaled", "lowest_bit", "nonzero_mask"]

#: Numbers in a vector.
WIDTH = 8

#: Lists that are followed at once: a sum waits for its last addition, and the processor adds to the others meanwhile.
CHAINS = 2

intrinsic: Any = extending.intrinsic

_INT = ir.IntType(64)
_CONTRACT = ["contract"]


def _pointer(context: Any, builder: ir.IRBuilder, array: types.Array, value: ir.Value, offset: ir.Value) -> ir.Value:
    return builder.gep(context.make_array(array)(context, builder, value).data, [offset])


def _vector(builder: ir.IRBuilder, pointer: ir.Value, k: int = 0) -> ir.Value:
    """The address of vector k behind a pointer to numbers."""
    kind = ir.VectorType(pointer.type.pointee, WIDTH)
    return builder.bitcast(builder.gep(pointer, [_INT(WIDTH * k)]), kind.as_pointer())


def _load(builder: ir.IRBuilder, pointer: ir.Value, k: int = 0) -> ir.Value:
    return builder.load(_vector(builder, pointer, k), align=_bytes(pointer))


def _store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, k: int = 0) -> None:
    builder.store(value, _vector(builder, pointer, k), align=_bytes(pointer))


def _bytes(pointer: ir.Value) -> int:
    return 8 if isinstance(pointer.type.pointee, ir.DoubleType) else 4


def _repeat(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """A vector of equal numbers."""
    undefined = ir.Constant(ir.VectorType(number.type, WIDTH), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return builder.fadd(c, builder.fmul(a, b, flags=_CONTRACT), flags=_CONTRACT)


@intrinsic(prefer_literal=True)
def accumulate(
    typing: Any, out: Any, o: Any, rows: Any, r: Any, index: Any, value: Any, first: Any, last: Any, n: Any
) -> Any:
    """``out[o:o + w] += sum over e in first:last of value[e]*rows[r + index[e]*w:][:w]``, w = 8 n, n a literal."""
    vectors = n.literal_value
    size = types.intp
    signature = types.void(out, size, rows, size, index, value, size, size, n)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        out_type, _, rows_type, _, index_type, value_type, *_ = signature.args
        target = _pointer(context, builder, out_type, args[0], args[1])
        table = _pointer(context, builder, rows_type, args[2], args[3])
        indices = _pointer(context, builder, index_type, args[4], _INT(0))
        values = _pointer(context, builder, value_type, args[5], _INT(0))
        before = [_load(builder, target, k) for k in range(vectors)]
        entry = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        event = builder.phi(_INT)
        event.add_incoming(args[6], entry)
        sums = [builder.phi(x.type) for x in before]
        for total, x in zip(sums, before, strict=True):
            total.add_incoming(x, entry)
        builder.cbranch(builder.icmp_signed("<", event, args[7]), body, end)
        builder.position_at_end(body)
        j = builder.sext(builder.load(builder.gep(indices, [event])), _INT)
        factor = _repeat(builder, builder.load(builder.gep(values, [event])))
        row = builder.gep(table, [builder.mul(j, _INT(WIDTH * vectors))])
        for k, total in enumerate(sums):
            total.add_incoming(_multiply_add(builder, factor, _load(builder, row, k), total), body)
        event.add_incoming(builder.add(event, _INT(1)), body)
        builder.branch(head)
        builder.position_at_end(end)
        for k, total in enumerate(sums):
            _store(builder, total, target, k)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def accumulate_together(typing: Any, out: Any, rows: Any, index: Any, value: Any, starts: Any, n: Any) -> Any:
    """For `CHAINS` lists c of ``n`` entries each, from ``starts[c]`` on, what `accumulate` does for one of them.

    ``out[8*c:8*c + 8] += sum over e in starts[c]:starts[c] + n of value[e]*rows[8*index[e]:][:8]``.
    """
    signature = types.void(out, rows, index, value, starts, types.intp)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        kinds = signature.args
        target, table, indices, values, begins = (
            _pointer(context, builder, kind, given, _INT(0)) for kind, given in zip(kinds[:5], args[:5], strict=True)
        )
        first = [builder.load(builder.gep(begins, [_INT(c)])) for c in range(CHAINS)]
        before = [_load(builder, target, c) for c in range(CHAINS)]
        entry = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        event = builder.phi(_INT)
        event.add_incoming(_INT(0), entry)
        sums = [builder.phi(x.type) for x in before]
        for total, x in zip(sums, before, strict=True):
            total.add_incoming(x, entry)
        builder.cbranch(builder.icmp_signed("<", event, args[5]), body, end)
        builder.position_at_end(body)
        for total, start in zip(sums, first, strict=True):
            e = builder.add(start, event)
            row = builder.gep(
                table, [builder.mul(builder.sext(builder.load(builder.gep(indices, [e])), _INT), _INT(WIDTH))]
            )
            factor = _repeat(builder, builder.load(builder.gep(values, [e])))
            total.add_incoming(_multiply_add(builder, factor, _load(builder, row), total), body)
        event.add_incoming(builder.add(event, _INT(1)), body)
        builder.branch(head)
        builder.position_at_end(end)
        for c, total in enumerate(sums):
            _store(builder, total, target, c)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_scaled(typing: Any, out: Any, o: Any, row: Any, r: Any, value: Any, n: Any) -> Any:
    """``out[o:o + 8*n] += value*row[r:r + 8*n]``."""
    size = types.intp
    signature = types.void(out, size, row, size, value, size)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        target = _pointer(context, builder, signature.args[0], args[0], args[1])
        source = _pointer(context, builder, signature.args[2], args[2], args[3])
        factor = _repeat(builder, args[4])

        def add(start: ir.Value, vectors: int) -> None:
            offset = builder.mul(start, _INT(WIDTH))
            to, of = builder.gep(target, [offset]), builder.gep(source, [offset])
            new = [_multiply_add(builder, factor, _load(builder, of, k), _load(builder, to, k)) for k in range(vectors)]
            for k, x in enumerate(new):
                _store(builder, x, to, k)

        fours = builder.ashr(args[5], _INT(2))
        with cgutils.for_range(builder, fours, intp=_INT) as loop:
            add(builder.shl(loop.index, _INT(2)), 4)
        done = builder.shl(fours, _INT(2))
        with cgutils.for_range(builder, builder.sub(args[5], done), intp=_INT) as loop:
            add(builder.add(done, loop.index), 1)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def nonzero_mask(typing: Any, array: Any, start: Any, n: Any) -> Any:
    """Bit k is 1 where ``array[start + k]`` is not 0, k < 8 n; n is a literal, at most 8."""
    signature = types.uint64(array, types.intp, n)
    vectors = n.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        mask = _INT(0)
        for k in range(vectors):
            x = _load(builder, pointer, k)
            bits = builder.bitcast(builder.fcmp_unordered("!=", x, ir.Constant(x.type, None)), ir.IntType(WIDTH))
            mask = builder.or_(mask, builder.shl(builder.zext(bits, _INT), _INT(WIDTH * k)))
        return mask

    return signature, generate


@intrinsic
def lowest_bit(typing: Any, mask: Any) -> Any:
    """The position of the lowest 1 in a mask that is not 0."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.intp(types.uint64), generate
