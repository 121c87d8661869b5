"""One name for one noun, and nothing that the tree promises is made twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path


def modules(repository: Path) -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    source = repository / "src"
    return {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in sorted(source.rglob("*.py"))
    }


def test_no_two_classes_have_one_name(repository: Path) -> None:
    places = defaultdict(list)
    for module, tree in modules(repository).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert places.keys() > {"Photo", "Card", "IFAN"}
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def imports(tree: ast.Module, module: str, known: set[str]) -> set[str]:
    """The modules of ours that a module imports anywhere, inside functions too, but not for type checkers alone."""
    found = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        waiting.extend(ast.iter_child_nodes(node))
    return (found & known) - {module}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other."""
    reached = {module: set(others) for module, others in graph.items()}
    for middle in graph:
        for module in graph:
            if middle in reached[module]:
                reached[module] |= reached[middle]
    both = {frozenset(other for other in reached[module] if module in reached[other]) for module in graph}
    return [sorted(group) for group in both if group]


def test_a_planted_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]
    tree = ast.parse("if TYPE_CHECKING:\n    import a.b\ndef f():\n    from a import c, g")
    assert imports(tree, "a", {"a", "a.b", "a.c"}) == {"a.c"}


def test_no_modules_import_each_other_in_a_circle(repository: Path) -> None:
    trees = modules(repository)
    assert circles({module: imports(tree, module, trees.keys()) for module, tree in trees.items()}) == []


FOLDERS_RENAMED = {"allfocus/engine/openvino.py"}
"""A cache of several files becomes whole by the name of its folder."""


def renames(tree: ast.Module) -> list[int]:
    """Lines that give a file another name: PATH.replace(TO), PATH.rename(TO), os.replace, os.rename, shutil.move."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, module = node.func.attr, ast.unparse(node.func.value)
            of_a_path = name in ("replace", "rename") and len(node.args) == 1 and not node.keywords
            if of_a_path or f"{module}.{name}" in ("os.replace", "os.rename", "shutil.move"):
                found.append(node.lineno)
    return found


def test_a_planted_rename_is_found() -> None:
    moved = ["a.replace(b)", "os.replace(a, b)", "shutil.move(a, b)", "c.rename(d)"]
    code = "\n".join([*moved, 'text.replace("a", "b")', "replace(value, a=1)"])
    assert renames(ast.parse(code)) == [1, 2, 3, 4]


def test_every_file_that_is_written_beside_and_renamed_goes_through_atomic_file(repository: Path) -> None:
    by_hand = []
    for root in ("src", "benchmarks", "tools", "integrations"):
        for path in sorted((repository / root).rglob("*.py")):
            name = path.relative_to(repository / root).as_posix()
            if name != "allfocus/atomic_file.py" and name not in FOLDERS_RENAMED:
                by_hand += [f"{root}/{name}:{line}" for line in renames(ast.parse(path.read_text()))]
    assert by_hand == []
