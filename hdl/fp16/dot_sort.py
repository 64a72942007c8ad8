"""Terms of a dot product, normalised and in order."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from hdl.fp16.dot_terms import Term
from hdl.leading_zeros import count_leading_zeros
from hdl.wire import wire


def normalise(m: Module, term: Term, name: str) -> Term:
    """The same number with its leading one on top; a zero has exponent 0."""
    zeros = wire(m, count_leading_zeros(m, term.significand), f"{name}_zeros")
    significand = Signal(len(term.significand), name=f"{name}_normal")
    exponent = Signal(len(term.exponent), name=f"{name}_normal_exponent")
    m.d.comb += [
        significand.eq(term.significand << zeros),
        exponent.eq(Mux(significand[-1], term.exponent - zeros, 0)),
    ]
    return Term(term.sign, exponent, significand)


def sort(m: Module, terms: Sequence[Term]) -> tuple[Term, Term, Term]:
    """Three normalised terms, that of the largest magnitude first.

    If two of them are opposite, which leaves the third one: that one and two zeros.
    """
    keys = [Cat(term.significand, term.exponent) for term in terms]
    ordered, opposite = [], []
    for j, k in ((0, 1), (0, 2), (1, 2)):
        differ = terms[j].sign ^ terms[k].sign
        ordered.append(wire(m, keys[j] >= keys[k], f"ordered_{j}{k}"))
        opposite.append(wire(m, (keys[j] == keys[k]) & differ, f"opposite_{j}{k}"))
    o01, o02, o12 = ordered
    largest = (o01 & o02, ~o01 & o12, ~o02 & ~o12)
    smallest = (~o01 & ~o02, o01 & ~o12, o02 & o12)
    # Of three equal magnitudes more than one pair may be opposite; the first pair is taken.
    left = (~opposite[0] & ~opposite[1], ~opposite[0] & opposite[1], opposite[0])
    cancels = wire(m, Cat(opposite).any(), "cancels")
    first = [Mux(cancels, one, other) for one, other in zip(left, largest, strict=True)]
    last = [~cancels & each for each in smallest]
    middle = [~cancels & ~high & ~low for high, low in zip(largest, smallest, strict=True)]
    return (
        _select(m, terms, first, "largest"),
        _select(m, terms, middle, "middle"),
        _select(m, terms, last, "smallest"),
    )


def _select(m: Module, terms: Sequence[Term], chosen: Sequence[Value], name: str) -> Term:
    """The chosen one of the terms; zero if none is."""
    signals = [wire(m, each, f"{name}_is_{number}") for number, each in enumerate(chosen)]

    def pick(field: str) -> Value:
        values = [getattr(term, field) for term in terms]
        masked = (v & s.replicate(len(v)) for v, s in zip(values, signals, strict=True))
        return wire(m, reduce(or_, masked), f"{name}_{field}")

    return Term(pick("sign"), pick("exponent"), pick("significand"))
