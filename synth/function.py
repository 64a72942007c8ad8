"""Boolean functions as Liberty writes them, such as ``!((A1 & A2) | B1)``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*([A-Za-z_][\w.]*(?:\[\d+\])?|[01]|[!'&*+|^()])")


@dataclass(frozen=True)
class Function:
    """A node of the expression: a pin, a constant ``0`` or ``1``, or an operation on functions.

    ``operator`` is ``!``, ``&``, ``|``, ``^``, or empty for a leaf, whose ``name`` then says what
    it is. Functions of the same shape are equal; ``truth_table`` tells whether they mean the same.
    """

    operator: str
    name: str = ""
    operands: tuple["Function", ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The pins the function reads, in the order of their first appearance."""
        return tuple(dict.fromkeys(self._leaves()))

    def _leaves(self) -> Iterator[str]:
        if not self.operator and self.name not in ("0", "1"):
            yield self.name
        for operand in self.operands:
            yield from operand._leaves()

    def evaluate(self, values: Mapping[str, int], ones: int = 1) -> int:
        """The result for given pin values; with wider ``ones``, one case in every bit position."""
        if not self.operator:
            return {"0": 0, "1": ones}[self.name] if self.name in ("0", "1") else values[self.name]
        results = [operand.evaluate(values, ones) for operand in self.operands]
        if self.operator == "!":
            return results[0] ^ ones
        if self.operator == "&":
            return results[0] & results[1]
        if self.operator == "|":
            return results[0] | results[1]
        return results[0] ^ results[1]

    def truth_table(self, inputs: Sequence[str]) -> int:
        """Bit ``n`` is the result where input ``i`` has the value of bit ``i`` of ``n``."""
        cases = 1 << len(inputs)
        values = {
            name: sum(1 << case for case in range(cases) if case >> index & 1)
            for index, name in enumerate(inputs)
        }
        return self.evaluate(values, (1 << cases) - 1)

    @property
    def verilog(self) -> str:
        """The same function as a Verilog expression."""
        if not self.operator:
            return f"1'b{self.name}" if self.name in ("0", "1") else self.name
        parts = [
            operand.verilog if not operand.operands else f"({operand.verilog})"
            for operand in self.operands
        ]
        return f"~{parts[0]}" if self.operator == "!" else f" {self.operator} ".join(parts)

    def __str__(self) -> str:
        """The same function in Liberty's notation, without brackets that change nothing."""
        if not self.operator:
            return self.name
        parts = [
            f"({operand})" if operand.operator not in ("", "!", self.operator) else str(operand)
            for operand in self.operands
        ]
        return f"!{parts[0]}" if self.operator == "!" else self.operator.join(parts)


def parse(text: str) -> Function:
    """Read a Liberty function. Negation binds first, then ``^``, then and, then or."""
    parser = _Parser(text)
    function = parser.either()
    if parser.next:
        raise parser.error("an operator or the end")
    return function


class _Parser:
    """Recursive descent, one method for each level of binding."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._place = 0

    def _split(self) -> Iterator[str]:
        place, end = 0, len(self._text.rstrip())
        while place < end:
            match = _TOKEN.match(self._text, place)
            if match is None:
                raise ValueError(f"cannot read {self._text[place:]!r} in function {self._text!r}")
            yield match[1]
            place = match.end()

    @property
    def next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def error(self, expected: str) -> ValueError:
        found = repr(self.next) if self.next else "the end"
        return ValueError(f"function {self._text!r}: expected {expected}, found {found}")

    def _accept(self, *tokens: str) -> bool:
        if self.next not in tokens:
            return False
        self._place += 1
        return True

    def either(self) -> Function:
        left = self._both()
        while self._accept("+", "|"):
            left = Function("|", operands=(left, self._both()))
        return left

    def _both(self) -> Function:
        left = self._exclusive()
        while self._accept("&", "*") or self.next not in ("", "+", "|", ")", "^", "'"):
            left = Function("&", operands=(left, self._exclusive()))
        return left

    def _exclusive(self) -> Function:
        left = self._negation()
        while self._accept("^"):
            left = Function("^", operands=(left, self._negation()))
        return left

    def _negation(self) -> Function:
        if self._accept("!"):
            return Function("!", operands=(self._negation(),))
        if self._accept("("):
            inner = self.either()
            if not self._accept(")"):
                raise self.error("')'")
        elif self.next and self.next not in "!'&*+|^()":
            inner = Function("", self.next)
            self._place += 1
        else:
            raise self.error("a pin or '('")
        while self._accept("'"):
            inner = Function("!", operands=(inner,))
        return inner
