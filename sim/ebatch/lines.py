"""Workload: lines of the Python standard library, which are code or prose.

Code is what stands in the modules below. Prose is their docstrings and comments, and the help texts
of ``pydoc_data.topics``. That is real text by many hands, on every machine with Python; the task is
to tell from a line alone which of the two it is.

Code: lines of a module without a ``#`` and without any part of a string that spans lines, as
strings that follow each other do too. Prose: lines that begin with ``# ``, without it, and lines of
docstrings and help texts; not indented ones and doctests, which are mostly code. Lines are stripped
of white space at both ends; those of 1 to 100 characters are taken that have a letter. Equal lines
count once, and not at all if they are code in one place and prose in another.

Documents, which are top-level modules and help texts, are in the test split if the hash of their
name says so. Test lines that stand in a training document too are left out, so the test split
shows how well a network reads documents that it has never seen. Of each class a split has the same
number of lines, those whose hashes come first. Other versions of Python have other lines, but
their documents are in the same splits: weights trained on one version may be tested on another.
"""

import ast
import hashlib
import inspect
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

_NAMES = """
argparse ast asyncio bdb calendar codecs collections concurrent configparser contextlib copy csv
dataclasses datetime difflib dis doctest email enum fractions functools gettext heapq http importlib
inspect ipaddress json locale logging mimetypes os pathlib pdb pickle pkgutil pprint pydoc random
selectors shlex shutil smtplib socket socketserver ssl statistics string subprocess sysconfig
tarfile tempfile textwrap threading tokenize tomllib trace traceback types typing unittest urllib
uuid warnings weakref zipfile
"""
#: Modules in Python; a name stands for a file or a whole package, and for nothing if there is none.
MODULES = tuple(_NAMES.split())

LONGEST = 100
#: Lines of each class in a split.
TRAINING_LINES, TEST_LINES = 12_000, 1_500
SPLIT = "test: documents whose name's SHA-256 begins with a multiple of 4; training: all others"

#: Symbols of the alphabet: the printable ASCII characters, and one for all others.
SYMBOLS = 96


@dataclass(frozen=True)
class Line:
    """One line of text and what it is."""

    text: str
    is_code: bool


@cache
def training_split() -> tuple[Line, ...]:
    """24,000 lines, half of them code, in an order that looks random."""
    return _selected(_corpus()[0], TRAINING_LINES)


@cache
def test_split() -> tuple[Line, ...]:
    """3,000 lines, half of them code, in an order that looks random."""
    return _selected(_corpus()[1], TEST_LINES)


def line_lengths() -> NDArray[np.int64]:
    """How many characters the lines of the test split have, in its order."""
    return np.array([len(line.text) for line in test_split()], dtype=np.int64)


def symbols(text: str) -> NDArray[np.uint8]:
    """The characters of ``text`` as numbers below ``SYMBOLS``, in order."""
    codes = np.array([ord(character) for character in text], dtype=np.int64)
    printable = (codes >= ord(" ")) & (codes <= ord("~"))
    return np.where(printable, codes - ord(" "), SYMBOLS - 1).astype(np.uint8)


def code_and_prose(source: str) -> tuple[list[str], list[str]]:
    """Lines of code and lines of prose in the source text of a module, in its order."""
    # str.splitlines also splits at form feeds, which some modules contain; the parser does not.
    lines = source.split("\n")
    in_string: set[int] = set()
    prose: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                prose += paragraphs(text)
                in_string.update(_rows(node.body[0]))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and len(_rows(node)) > 1:
            in_string.update(_rows(node))
    outside = [line.strip() for row, line in enumerate(lines, 1) if row not in in_string]
    prose += [line[2:].strip() for line in outside if line.startswith("# ") and line[2] != " "]
    return [line for line in outside if "#" not in line], prose


def paragraphs(text: str) -> list[str]:
    """Lines of a docstring or help text that are neither indented nor part of a doctest."""
    found: list[str] = []
    in_doctest = False
    for line in inspect.cleandoc(text).split("\n"):
        in_doctest = line.startswith(">>>") or (in_doctest and line != "")
        if not in_doctest and not line.startswith(" "):
            found.append(line.strip())
    return found


def _rows(node: ast.stmt | ast.expr) -> range:
    """Numbers of the lines that a node of a module stands on."""
    assert node.end_lineno is not None
    return range(node.lineno, node.end_lineno + 1)


@dataclass
class _Split:
    code: set[str]
    prose: set[str]


@cache
def _corpus() -> tuple[_Split, _Split]:
    """All lines of the training documents, and of the test documents."""
    training, test = _Split(set(), set()), _Split(set(), set())
    for name, code, prose in _documents():
        split = test if _hash(name)[0] % 4 == 0 else training
        split.code.update(filter(_is_fit, code))
        split.prose.update(filter(_is_fit, prose))
    known = training.code | training.prose
    ambiguous = (training.code | test.code) & (training.prose | test.prose)
    for lines in (training.code, training.prose):
        lines -= ambiguous
    for lines in (test.code, test.prose):
        lines -= ambiguous | known
    return training, test


def _documents() -> Iterator[tuple[str, list[str], list[str]]]:
    """Name, lines of code and lines of prose of every module file and help text."""
    library = Path(sysconfig.get_path("stdlib"))
    for name in MODULES:
        for path in sorted([*library.glob(f"{name}.py"), *(library / name).rglob("*.py")]):
            with tokenize.open(path) as file:
                code, prose = code_and_prose(file.read())
            yield name, code, prose
    for name, text in topics.items():
        yield name, [], paragraphs(text)


def _is_fit(line: str) -> bool:
    return len(line) <= LONGEST and any(character.isalpha() for character in line)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _selected(split: _Split, count: int) -> tuple[Line, ...]:
    """``count`` lines of each class, those whose hashes come first, sorted by hash."""
    chosen: list[Line] = []
    for lines, is_code in ((split.code, True), (split.prose, False)):
        if len(lines) < count:
            raise RuntimeError(
                f"the standard library has {len(lines)} lines of {'code' if is_code else 'prose'}; "
                f"{count} are needed"
            )
        chosen += [Line(text, is_code) for text in _first(lines, count)]
    return tuple(sorted(chosen, key=lambda line: _hash(line.text)))


def _first(lines: Iterable[str], count: int) -> list[str]:
    return sorted(lines, key=_hash)[:count]
