"""Prints how many lines of `src` carry a comment and how often docstrings use person words. For information, no limit.

Person words (who, nobody, whoever ...) often mark a sentence that is hard to read. Prose is judged by reading it, never
by this figure. Run by `make lint`; `python tools/source_figures.py --by-folder` shows where they stand.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "countingroom"
PERSONS = frozenset(
    [
        "who",
        "whoever",
        "whom",
        "whose",
        "nobody",
        "somebody",
        "everybody",
        "anybody",
        "anyone",
        "everyone",
        "someone",
        "nothing",
    ]
)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def figures(text: str) -> Counter[str]:
    """Counts of one file: `lines`, `comments` (lines with one), `words` of docstrings and the `persons` among them."""
    found: Counter[str] = Counter(lines=len(text.splitlines()))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    # Directives for linters are no comments.
    found["comments"] = sum(
        token.type == tokenize.COMMENT and not re.match(r"# ?(noqa|ruff|pyright|type):", token.string + ":")
        for token in tokens
    )
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED):
            words = re.findall(r"[A-Za-z']+", ast.get_docstring(node) or "")
            found["words"] += len(words)
            found["persons"] += sum(word.lower() in PERSONS for word in words)
    return found


def line(name: str, found: Counter[str]) -> str:
    """One line of the report."""
    comments = 100 * found["comments"] / max(found["lines"], 1)
    persons = 1000 * found["persons"] / max(found["words"], 1)
    return f"{name}: {found['lines']} lines, {comments:.1f} % with a comment, {persons:.1f} person words per 1,000"


def main() -> None:
    """Print the figures of the package, or of each of its folders."""
    folders: dict[str, Counter[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        folder = str(path.parent.relative_to(PACKAGE.parent))
        folders.setdefault(folder, Counter()).update(figures(path.read_text()))
    if "--by-folder" in sys.argv[1:]:
        sys.stdout.writelines(line(folder, found) + "\n" for folder, found in folders.items())
    sys.stdout.write(line("src", sum(folders.values(), Counter())) + "\n")


if __name__ == "__main__":
    main()
