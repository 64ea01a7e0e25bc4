"""The mechanical part of plain English: rules that a program can hold over docstrings, comments, names and documents.

`python -m tests.english [PATH ...]` prints what breaks them, below these paths or everywhere.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("async_loader", "benchmarks", "core", "tests")
# A docstring of fewer words is a fragment, which only its neighbours explain.
FEWEST_WORDS = 4
# A reader of a longer sentence in a document has to begin again.
MOST_WORDS = 40

# A function's docstring opens with one of these, also with `re-` before it. Add the one you need if it is not there.
VERBS = frozenset((ROOT / "tests" / "verbs.txt").read_text().split())

# Words that make a reader stop, and what to write instead.
BANNED = {
    r"nobody(?:'s)?|somebody(?:'s)?": "name the actor: the caller, another process, no one else",
    r"whoever": "name the actor: the caller, a user who",
    r"tells?|told|telling": "report, say, state, return, or distinguish for `tell apart`",
    r"behind": "after",
    r"so many": "that many, or the number",
    r"lets? go|letting go": "release",
    r"likewise": "say it again, or leave it out",
    r"as above": "say it again, or leave it out",
}
# In code there are no people, only callers, processes, threads, users.
BANNED_IN_CODE = BANNED | {r"who(?:m)?": "the caller, the process, which, that"}

# Nearly all texts hold none of them, and need no look for each.
_ANY_BANNED = re.compile(rf"\b(?:{'|'.join(BANNED_IN_CODE)})\b", re.IGNORECASE)

# Names that mean nothing out of context.
BANNED_NAMES = re.compile(
    "a_few|behind|called|found|no|nobody|of|somebody|such|told|that|those|what|who|whoever"
    "|(.*_)?(behind|let_go|lets_go|likewise|nobodys?|so_many|somebodys?|tells|told|whoever)(_.*)?|tell_.*|.*_tell"
)

_INLINE_CODE = re.compile(r"``.+?``|`[^`\n]+`", re.DOTALL)
_FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
# A paragraph, an item of a list, or a cell of a table; and what ends a sentence within one.
_BLOCK = re.compile(r"(?:(?!\n\n|\n\s*[-#] |\n\s*\d+\. |\n\||\| ).)+", re.DOTALL)
_END_OF_SENTENCE = re.compile(r"(?<=[.!?:;])\s")
_WORD = re.compile(r"(?:[Rr]e-)?([\w-]+).*")
_LINK = re.compile(r"\]\([^)]*\)")


@dataclass(frozen=True)
class Finding:
    """A place in a file that breaks a rule, and how to mend it."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.message}"


def modules() -> list[Path]:
    """List the Python files that the rules hold for."""
    own = (ROOT / "manage.py", ROOT / "noxfile.py")
    return sorted([*own, *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))])


def documents() -> list[Path]:
    """List the documents that the rules hold for."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def findings(path: Path) -> list[Finding]:
    """Return what breaks a rule in a file, in the order of its lines."""
    text = path.read_text()
    broken = _in_document(text) if path.suffix == ".md" else _in_module(path, text)
    return [Finding(path, line, message) for line, message in sorted(set(broken))]


def _in_document(text: str) -> Iterator[tuple[int, str]]:
    prose = _FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    prose = _LINK.sub("]", prose)
    yield from _banned_words(prose, 1, BANNED)
    yield from _long_sentences(prose)


def _long_sentences(prose: str) -> Iterator[tuple[int, str]]:
    for block in _BLOCK.finditer(prose):
        for sentence in _END_OF_SENTENCE.split(_INLINE_CODE.sub("code", block[0])):
            if (words := len(re.findall(r"\S*\w\S*", sentence))) > MOST_WORDS:
                yield prose.count("\n", 0, block.start()) + 1, f"a sentence of {words} words: divide it"


def _in_module(path: Path, text: str) -> Iterator[tuple[int, str]]:
    nodes = list(ast.walk(ast.parse(text)))
    # This file must name what it forbids.
    if path != Path(__file__):
        yield from _in_prose(nodes, text, are_strings_data=path.is_relative_to(ROOT / "tests"))
    for node in nodes:
        yield from _in_docstring(node)
        yield from _in_names(node)


def _in_prose(nodes: Sequence[ast.AST], text: str, *, are_strings_data: bool) -> Iterator[tuple[int, str]]:
    """Look through docstrings, comments and, unless strings are data, messages."""
    docstrings = {id(each.node) for each in filter(None, map(_docstring, nodes))}
    for each in filter(None, map(_string, nodes)):
        if id(each.node) in docstrings or (" " in each.value and not are_strings_data):
            yield from _banned_words(each.value, each.node.lineno, BANNED_IN_CODE)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from _banned_words(token.string, token.start[0], BANNED_IN_CODE)


def _banned_words(text: str, line: int, banned: dict[str, str]) -> Iterator[tuple[int, str]]:
    if not _ANY_BANNED.search(text):
        return
    prose = _INLINE_CODE.sub(lambda code: "`" + "\n" * code[0].count("\n"), text)
    for pattern, advice in banned.items():
        for match in re.finditer(rf"\b(?:{pattern})\b", prose, re.IGNORECASE):
            yield line + prose.count("\n", 0, match.start()), f"{match[0]!r}: {advice}"


@dataclass(frozen=True)
class _String:
    node: ast.Constant
    value: str


def _string(node: ast.AST) -> _String | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _String(node, node.value)
    return None


def _docstring(node: ast.AST) -> _String | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return None
    first = node.body[0]
    return _string(first.value) if isinstance(first, ast.Expr) else None


def _in_docstring(node: ast.AST) -> Iterator[tuple[int, str]]:
    docstring = _docstring(node)
    if docstring is None:
        return
    line, words = docstring.node.lineno, docstring.value.split()
    if len(words) < FEWEST_WORDS:
        yield line, f"a docstring of {len(words)} words is a fragment: finish it or delete it"
    elif _opens_with_a_verb(node) and _WORD.sub(r"\1", words[0]).lower() not in VERBS:
        yield line, f"{words[0]!r}: a function's docstring opens with a verb in the imperative"


def _opens_with_a_verb(node: ast.AST) -> bool:
    """Return whether the rule is for this node: a function that is neither a test nor a property."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("test_"):
        return False
    return not any("property" in ast.unparse(each) for each in node.decorator_list)


def _in_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    for name, line in _names(node):
        if BANNED_NAMES.fullmatch(name.strip("_")):
            yield line, f"{name!r}: a name makes sense out of context"


def _names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Give the names that a reader meets far from where they are made: of functions, parameters, classes and fields."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.name, node.lineno
            arguments = node.args
            for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                yield each.arg, each.lineno
        case ast.ClassDef():
            yield node.name, node.lineno
            fields = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
            yield from ((field.id, field.lineno) for field in fields if isinstance(field, ast.Name))


def _below(path: Path, places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _main(arguments: Sequence[str]) -> None:
    places = [Path(each).resolve() for each in arguments] or [ROOT]
    for path in [*modules(), *documents()]:
        if _below(path, places):
            for finding in findings(path):
                sys.stdout.write(f"{finding}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
