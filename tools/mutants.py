"""One-line faults for the modules of edgebert, found in their syntax trees.

A fault replaces a piece of one line, and what comes out is still Python: a comparison that is turned or shifted, a
condition that is dropped, a check that never speaks, a constant that is one more, and so on (`_Finder`). What no test
should notice is left alone: docstrings, annotations, ``__all__``, the wording of errors and of the command's help.
"""

from __future__ import annotations

import ast
import difflib
import itertools
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

__all__ = ["Mutant", "draw", "mutants_of"]

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<", "<=", ">"),
    ast.LtE: ("<=", "<", ">="),
    ast.Gt: (">", ">=", "<"),
    ast.GtE: (">=", ">", "<="),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
"""An operator as it is written, and what it becomes."""
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_SWAPPED = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}
_SWAPPED |= {"argmax": "argmin", "argmin": "argmax", "zeros": "ones", "first": "last", "startswith": "endswith"}
_DROPPED = {"copy", "strip", "lstrip", "rstrip", "lower", "casefold", "split", "mean", "flatten"}
"""Methods without arguments whose call is dropped."""
_NO_DIFFERENCE = {"strict", "encoding", "stacklevel", "daemon", "help", "metavar", "name"}
"""Keywords that only guard against mistakes of the programmer, or only word what a person reads."""
_WORDS = {
    "_tell",
    "Notice",
    "checked_iterator",
    "echo",
    "secho",
    "warn",
    "damaged",
    "append",
    "option",
    "argument",
    "command",
    "main",
}
"""Functions whose strings are read by people."""
_EASY = {"arguments swapped", "nothing returned"}
_ANY_ORDER = {
    "min",
    "max",
    "minimum",
    "maximum",
    "fma",
    "share",
    "isinstance",
    "issubclass",
    "zip",
    "cast",
    "add",
    "mul",
    "fadd",
    "fmul",
}
"""Functions whose first two arguments make no difference in another order, or are no values."""


class Mutant(NamedTuple):
    """A fault.

    Attributes
    ----------
    path : str
        The module, from the root of the repository.
    line, begin, end : int
        Which line, from 1 on, and which of its characters are replaced.
    text : str
        What they are replaced by.
    kind : str
    """

    path: str
    line: int
    begin: int
    end: int
    text: str
    kind: str

    def apply(self, source: str) -> str:
        """Return the module with the fault in it."""
        lines = source.splitlines(keepends=True)
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.begin] + self.text + line[self.end :]
        return "".join(lines)

    def changes(self, source: str) -> bool:
        """Say whether it leaves the module Python, and not the same."""
        try:
            return ast.dump(ast.parse(self.apply(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False

    def diff(self, source: str) -> str:
        """Return the line as it was and as it becomes."""
        pair = source.splitlines(), self.apply(source).splitlines()
        changed = [line for line in difflib.unified_diff(*pair, n=0, lineterm="") if not line.startswith("@@")]
        return "\n".join(changed[2:])


class _Finder(ast.NodeVisitor):
    """Collects the faults of one module."""

    def __init__(self, path: str, source: str) -> None:
        self._path, self._lines = path, source.splitlines()
        self.found: list[Mutant] = []
        self.visit(ast.parse(source))

    def _column(self, line: int, offset: int) -> int:
        """Turn an offset in bytes, which the tree has, into one in characters."""
        return len(self._lines[line - 1].encode()[:offset].decode())

    def _text(self, node: ast.expr) -> str:
        line = self._lines[node.lineno - 1].encode()
        return line[node.col_offset : node.end_col_offset].decode()

    def _add(self, kind: str, first: ast.AST, last: ast.AST, text: str) -> None:
        """Replace from the beginning of one node to the end of another, where that is one line."""
        line = first.lineno
        if line == last.end_lineno:
            begin, end = self._column(line, first.col_offset), self._column(line, last.end_col_offset)
            self.found.append(Mutant(self._path, line, begin, end, text, kind))

    def _between(self, kind: str, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Replace an operator between two nodes of one line."""
        if left.end_lineno != right.lineno:
            return
        begin = self._column(right.lineno, left.end_col_offset)
        gap = self._lines[right.lineno - 1][begin : self._column(right.lineno, right.col_offset)]
        if gap.count(old) == 1:
            at = begin + gap.index(old)
            self.found.append(Mutant(self._path, right.lineno, at, at + len(old), new, kind))

    # What is left alone.

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave the wording of errors."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave what is put together for people."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Leave what only tells the type checker."""

    def visit_Assign(self, node: ast.Assign) -> None:
        """Leave ``__all__``."""
        if not (isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Leave the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def _function(self, node: ast.FunctionDef) -> None:
        if node.name == "__repr__":
            return
        for each in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(each)

    visit_FunctionDef = _function  # noqa: N815 (the name that `ast.NodeVisitor` looks for)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Leave the bases and what decorates it."""
        for each in node.body:
            self.visit(each)

    # What is changed.

    def visit_Expr(self, node: ast.Expr) -> None:
        """Drop a statement; leave docstrings."""
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call):
            self._add("statement dropped", node, node, "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Turn it, or drop it."""
        self._add("statement dropped", node, node, "pass")
        if type(node.op) in _OPERATORS:
            old, new = _OPERATORS[type(node.op)]
            self._between("operator", node.target, node.value, f"{old}=", f"{new}=")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """Never check, or never take the branch; always take it."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        kind = "check dropped" if isinstance(node.body[-1], ast.Raise) else "branch never taken"
        self._add(kind, node.test, node.test, "False")
        if not isinstance(node.body[-1], ast.Raise):
            self._add("branch always taken", node.test, node.test, "True")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """Take one side only."""
        for side in (node.body, node.orelse):
            if side.lineno == side.end_lineno:
                self._add("one side only", node, node, self._text(side))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Turn or shift a comparison."""
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            old, *others = _COMPARISONS[type(operator)]
            for new in others:
                self._between("comparison", left, right, old, new)
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Drop an operand: the one behind an ``and`` or ``or``, or the one before it."""
        for before, after in itertools.pairwise(node.values):
            line = after.lineno
            if before.end_lineno == line == after.end_lineno:
                places = (
                    (before.end_lineno, before.end_col_offset),
                    (line, after.col_offset),
                    (line, after.end_col_offset),
                )
                first, second, end = (self._column(*place) for place in places)
                if not set("()") & set(self._lines[line - 1][first:second]):
                    self.found.append(Mutant(self._path, line, first, end, "", "operand dropped"))
            if before.lineno == before.end_lineno == line:
                begin, end = (self._column(line, each.col_offset) for each in (before, after))
                self.found.append(Mutant(self._path, line, begin, end, "", "operand dropped"))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop ``not``, the minus or the tilde."""
        if node.operand.lineno == node.operand.end_lineno:
            self._add("unary operator dropped", node, node, f"({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Take another operator; leave types, and strings that are put together."""
        sides = (node.left, node.right)
        if type(node.op) in _OPERATORS and not any(map(_no_number, sides)):
            self._between("operator", *sides, *_OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Take another constant."""
        value = node.value
        if value is True or value is False:
            self._add("constant", node, node, str(not value))
        elif type(value) is int:
            self._add("constant", node, node, f"{value + 1}")
            if value > 1:
                self._add("constant", node, node, f"{value - 1}")
        elif type(value) is float:
            self._add("constant", node, node, repr(value * 1.5 or 1.0))
        elif isinstance(value, str) and value and " " not in value and not self._in_words:
            quote = self._text(node)[:1]
            if quote in "'\"" and node.lineno == node.end_lineno:
                self._add("constant", node, node, self._text(node)[:-1] + f"?{quote}")

    _in_words = False

    def visit_Call(self, node: ast.Call) -> None:
        """Swap a function with its opposite, two arguments with each other; drop a keyword or a method."""
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in _SWAPPED and function.lineno == function.end_lineno:
            text = self._text(function)
            self._add("opposite function", function, function, text[: len(text) - len(name)] + _SWAPPED[name])
        if name in _DROPPED and isinstance(function, ast.Attribute) and not node.args and not node.keywords:
            self._add("method dropped", node, node, self._text(function.value))
        if len(node.args) > 1 and not any(isinstance(each, ast.Starred) for each in node.args[:2]):
            first, second = node.args[:2]
            one_line = first.lineno == first.end_lineno == second.lineno == second.end_lineno
            if one_line and name not in _ANY_ORDER:
                self._add("arguments swapped", first, second, f"{self._text(second)}, {self._text(first)}")
        for keyword in node.keywords:
            if keyword.arg in _NO_DIFFERENCE or keyword.arg is None or keyword.lineno != keyword.end_lineno:
                continue
            line = keyword.lineno
            begin, end = (self._column(line, offset) for offset in (keyword.col_offset, keyword.end_col_offset))
            end += self._lines[line - 1][end : end + 1] == ","
            self.found.append(Mutant(self._path, line, begin, end, "", "keyword dropped"))
        outer, self._in_words = self._in_words, self._in_words or name in _WORDS
        self.visit(function)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in _NO_DIFFERENCE:
                self.visit(keyword.value)
        self._in_words = outer

    def visit_Slice(self, node: ast.Slice) -> None:
        """Move a bound by one."""
        for bound in (node.lower, node.upper):
            if bound is not None and not isinstance(bound, ast.Constant) and bound.lineno == bound.end_lineno:
                self._add("bound moved", bound, bound, f"{self._text(bound)} + 1")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """Return nothing."""
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._add("nothing returned", node.value, node.value, "None")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        """Go on."""
        self._add("goes on", node, node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        """Stop."""
        self._add("stops", node, node, "break")


def _no_number(node: ast.expr) -> bool:
    """Say whether it is a type or a text."""
    if isinstance(node, ast.Name):
        return node.id in _TYPES or (node.id[:1].isupper() and node.id[1:2].islower())
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and not isinstance(node.value, (int, float))
    )


_TYPES = {"str", "int", "float", "bool", "bytes", "None", "object", "list", "dict", "tuple", "type"}


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return what may be a fault of a module, in the order of its lines (`Mutant.changes` says whether it is one)."""
    return sorted(set(_Finder(path, source).found))


def draw(root: Path, paths: Iterable[str], count: int, seed: int) -> list[Mutant]:
    """Draw faults at random, no two of one line, from the modules of a repository, in the order that they are tried."""
    lines: dict[tuple[str, int], dict[str, list[Mutant]]] = {}
    sources = {path: (root / path).read_text(encoding="utf-8") for path in sorted(paths)}
    for path, source in sources.items():
        for mutant in mutants_of(path, source):
            lines.setdefault((path, mutant.line), {}).setdefault(mutant.kind, []).append(mutant)
    random, drawn = Random(seed), []
    order = list(lines.values())
    random.shuffle(order)
    for kinds in order:
        if len(drawn) == count:
            break
        # First the line, then the kind: else lines with many constants would be most of the faults. What fails at once
        # is taken where there is nothing else.
        hard = [kind for kind in kinds if kind not in _EASY] or list(kinds)
        mutant = random.choice(kinds[random.choice(hard)])
        if mutant.changes(sources[mutant.path]):
            drawn.append(mutant)
    return drawn
