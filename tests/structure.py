"""The structure of the product code, read from its syntax trees: imports, folders, functions.

The rule: nothing is imported. An import inside a function counts as any other one, and so does a
module that `import_module` is given; one under `if TYPE_CHECKING:` does not, since it never runs.

    python tests/structure.py       a summary of all packages, and of each folder
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "formats", "annotator", "dataset_builder", "trainer", "maskdpo")
MAX_FILES = 20
MAX_LINES = 60
MAX_P90 = 34
_NEVER_RUN = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function or method; `where` is `path:name`."""

    where: str
    lines: int


def paths_of(package: str, root: Path = ROOT) -> list[Path]:
    """All modules of a package, in the order of their paths."""
    return sorted((root / package).rglob("*.py"))


def module_name(path: Path, root: Path = ROOT) -> str:
    """`a/b.py` is `a.b`; `a/__init__.py` is `a`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_trees(root: Path = ROOT) -> dict[str, ast.Module]:
    """The syntax tree of every module, by its name."""
    return {
        module_name(path, root): ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in paths_of(package, root)
    }


def imported_names(tree: ast.AST, *, for_types: bool = False) -> set[str]:
    """Every name that a module imports: `a.b` and, of `from a.b import c`, `a.b.c`.

    `for_types` adds what only a type checker imports.
    """
    return set(_imported(tree, for_types))


def import_graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which of the modules each one imports; `from a import b` is `a.b` where that is a module."""
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        found = {_nearest(imported, trees) for imported in imported_names(tree)}
        found.update(_imported_by_name(tree, trees))
        graph[name] = {one for one in found if one and one != name}
    return graph


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, each sorted (Tarjan's components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(found)


def files_per_folder(root: Path = ROOT) -> Counter[str]:
    """How many modules each folder has, `__init__.py` included."""
    return Counter(
        path.parent.relative_to(root).as_posix()
        for package in PACKAGES
        for path in paths_of(package, root)
    )


def functions(root: Path = ROOT) -> list[Function]:
    """All functions and methods, the longest last. Decorators do not count as lines."""
    found = [
        Function(
            where=f"{path.relative_to(root).as_posix()}:{node.name}",
            lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        )
        for package in PACKAGES
        for path in paths_of(package, root)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return sorted(found, key=lambda item: (item.lines, item.where))


def percentile(found: list[Function], share: float) -> int:
    """Lines of the function that is longer than `share` of all, which are sorted."""
    return found[int(len(found) * share)].lines


def _imported_by_name(tree: ast.Module, trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Modules that `import_module` may get: of an f-string all that fit, else all named ones."""
    nodes = list(ast.walk(tree))
    named = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    for node in nodes:
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("import_module"):
            continue
        given = node.args[0]
        if isinstance(given, ast.JoinedStr):
            pattern = re.sub(r"\{.*?\}", r"\\w+", ast.unparse(given)[2:-1])
            yield from (name for name in trees if re.fullmatch(pattern, name))
        else:
            yield from named & trees.keys()


def _nearest(name: str, trees: Mapping[str, ast.Module]) -> str:
    """The module that a name belongs to: itself, or the one that it is imported from."""
    if name in trees:
        return name
    outer = name.rpartition(".")[0]
    return outer if outer in trees else ""


def _imported(node: ast.AST, for_types: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    children = ast.iter_child_nodes(node)
    if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) in _NEVER_RUN:
        children = iter(node.orelse)
    for child in children:
        yield from _imported(child, for_types)


def summary() -> Iterator[str]:
    """The lines of the summary."""
    graph, found, folders = import_graph(read_trees()), functions(), files_per_folder()
    yield f"modules {len(graph)}, imports {sum(map(len, graph.values()))}"
    yield f"cycles {cycles(graph) or 'none'}"
    p50, p90 = percentile(found, 0.5), percentile(found, 0.9)
    yield f"functions {len(found)}, lines p50 {p50}, p90 {p90}, longest {found[-1].lines}"
    yield f"functions above {MAX_LINES} lines:"
    yield from (f"{item.lines:5} {item.where}" for item in found if item.lines > MAX_LINES)
    yield f"folders {len(folders)}, files per folder:"
    yield from (f"{number:5} {folder}" for folder, number in sorted(folders.items()))


if __name__ == "__main__":
    print("\n".join(summary()))
