"""Documents break the build when they lie: figures, commands, links, examples, the tree."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

from allfocus.cli.main import COMMANDS
from architecture.test_imports import ALLOWED

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]
DOCUMENTS += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
SOURCE = ROOT / "src" / "allfocus"
CODE = [path for folder in ("src", "tests", "benchmarks", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
WRITTEN_BY_BENCHMARKS = " ".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "benchmarks").glob("*.py"))
)
WITH_EXAMPLES = sorted(path for path in SOURCE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


PAGES = ["readme", "evaluation_page", "training_page", "simulator_page", "speed_page", "clusters_page", "capture_page"]
PAGES += ["batch_page"]


@pytest.mark.parametrize("page", PAGES)
def test_figures_of_the_pages_are_those_of_the_result_files(page: str) -> None:
    line = [sys.executable, str(ROOT / "tools" / f"{page}.py"), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Each fenced block: its language, and its text with continued lines joined."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    return [(language, block.replace("\\\n", " ")) for language, block in found]


def shell_lines(text: str) -> list[str]:
    """Every line of the blocks of commands, without prompt and comment."""
    blocks = [block for language, block in code_blocks(text) if language == "bash"]
    lines = [re.sub(r"(?:^|\s)#\s.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    return [re.sub(r"^(?:[A-Z_]+=\S+ )+| &$", "", line.removeprefix("$ ")) for line in lines if line]


def command_lines(text: str) -> list[tuple[str, bool]]:
    """What follows `allfocus`, and whether it is a whole command (in a block) or a mention (in backticks)."""
    lines = [(line, True) for line in shell_lines(text)]
    lines += [(block.strip(), True) for block in re.findall(r"^ *(?:entrypoint: )(allfocus .*)$", text, re.MULTILINE)]
    lines += [(" ".join(line.split()), False) for line in re.findall(r"`(allfocus [^`]+)`", text)]
    found = [(re.match(r"(?:\S*bin/|python -m |.* -m )?allfocus (.*)$", line), whole) for line, whole in lines]
    return [(match[1], whole) for match, whole in found if match]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_line_of_a_command_block_is_a_command_that_is_checked(document: Path) -> None:
    """Of make, its target; of python, the script and its options; of pip, the extras; of allfocus, see below."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    text = document.read_text(encoding="utf-8")
    assert {language for language, _ in code_blocks(text)} <= {"bash", "python", "yaml", "json", "text"}, document.name
    mentions = re.findall(r"`((?:make|python) [^`]+)`", text)
    for line in [*shell_lines(text), *(" ".join(mention.split()) for mention in mentions)]:
        words = shlex.split(line.removeprefix("job=$("))
        if words[0] == "make":
            assert set(words[1:]) <= targets, f"{document.name}: {line}"
        elif words[0].endswith("pip") and "install" in words:
            for named in re.findall(r"\[([\w,]+)\]", line):
                assert set(named.split(",")) <= extras, f"{document.name}: {line}"
        elif words[0] == "python" and words[1].endswith(".py"):
            source = (ROOT / words[1]).read_text(encoding="utf-8")
            source += (ROOT / "tools" / "page.py").read_text(encoding="utf-8") if "from page import" in source else ""
            options = [word for word in words[2:] if word.startswith("--")]
            assert all(f'"{word}"' in source for word in options), f"{document.name}: {line}"
        elif words[0] == "python" and words[1] == "-m" and words[2].startswith("allfocus."):
            assert (SOURCE / f"{words[2].partition('.')[2].replace('.', '/')}.py").is_file(), f"{document.name}: {line}"
        elif document.name != "CHANGELOG.md":
            known = (
                "allfocus",
                "curl",
                "torchrun",
                "python",
                "export",
                "kill",
                "wait",
                "source",
            )  # run by tests/web/test_docs.py
            assert words[0].rpartition("/")[2] in known, f"{document.name}: {line}"


def parse(command: Any, name: str, words: list[str]) -> None:
    """Read the words as the command would, those of a subcommand too, without running it."""
    context = command.make_context(name, list(words))
    if hasattr(command, "resolve_command") and words:
        below, inner, rest = command.resolve_command(context, list(words))
        parse(inner, below, rest)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_parse_flags_and_all(document: Path) -> None:
    for line, whole in command_lines(document.read_text(encoding="utf-8")):
        name, *words = shlex.split(re.sub(r"[\[\]]|\.\.\.", "", line))
        if name.startswith("-"):
            assert name in ("--version", "--help", "--debug"), line
            continue
        assert name in COMMANDS, f"{document.name}: allfocus {line}"
        module, function = COMMANDS[name]
        found = getattr(import_module(module), function)
        application = found if isinstance(found, typer.Typer) else typer.Typer()
        if application is not found:
            application.command(name)(found)
        try:
            parse(typer.main.get_command(application), name, words)
        except Exception as error:  # typer's own copy of click has no public name for its errors
            mention = type(error).__name__ in ("MissingParameter", "BadOptionUsage", "NoArgsIsHelpError")
            if type(error).__name__ != "Exit" and (whole or not mention):
                pytest.fail(f"{document.name}: allfocus {line}: {error}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_files_that_documents_name_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), f"{document.name}: {target}"
    if document.name == "CHANGELOG.md":
        return  # speaks of its time
    for path in re.findall(r"(?<![\w/.])((?:benchmarks|tools|results|recipes|docs|examples)/[\w./@-]*\w\.\w+)", text):
        assert (ROOT / path).exists() or Path(path).name in WRITTEN_BY_BENCHMARKS, f"{document.name}: {path}"


def test_no_file_names_a_page_that_the_repository_does_not_have() -> None:
    pages = {path.name for folder in ("", "docs", "examples", "results") for path in (ROOT / folder).glob("*.md")}
    pages |= {path.name for path in SOURCE.rglob("*.md")}
    for path in [*DOCUMENTS, *CODE]:
        named = set(re.findall(r"[\w-]+\.md\b", path.read_text(encoding="utf-8")))
        assert named <= pages | {"tables.md"}, f"{path.relative_to(ROOT)}: {sorted(named - pages)}"


def test_what_the_project_is_built_on_is_called_the_paper() -> None:
    for path in [*DOCUMENTS, *CODE]:
        text = path.read_text(encoding="utf-8").replace("poster.txt", "")
        assert path == Path(__file__) or "poster" not in text.lower(), path.relative_to(ROOT)
    assert "https://arxiv.org/abs/2108.13610" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_examples_in_docstrings_run(path: Path) -> None:
    name = ".".join(("allfocus", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    module = import_module(name)
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.attempted and not found.failed


def test_the_tree_of_architecture_is_the_tree() -> None:
    """Each part of the package has one row, each row's part is there, and so is each file that a row names."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]*) \| ([^|]*) \|$", text, flags=re.MULTILINE)
    named = [part for where, _, _ in rows for part in re.findall(r"`([^`]+)`", where)]
    here = {path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    tops = [name.rstrip("/").split("/")[0] for name in named]
    assert sorted(set(tops)) == sorted(here - {"__init__.py", "__main__.py"})
    assert len(named) == len(set(named)), "one row each"
    for where, what, _ in rows:
        folders = [SOURCE / part for part in re.findall(r"`([^`]+/)`", where)]
        for file in re.findall(r"`([\w/]+\.py|[\w/]+/)`", what):
            assert any((folder / file).exists() for folder in [*folders, SOURCE]), f"{where}: {file}"


def test_what_is_where_is_there() -> None:
    """A row of "Where is what": each file that it names defines one of the things to look for, and none is missing."""
    section = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Where is what")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+\?) \| (.+) \| (.+) \|$", section, flags=re.MULTILINE)
    assert len(rows) >= 15
    for question, files, names in rows:
        wanted = re.findall(r"`(\w+)`", names)
        defined = {
            file: set(re.findall(r"^(?:def |class )?(\w+)", (SOURCE / file).read_text(encoding="utf-8"), re.MULTILINE))
            for file in re.findall(r"`([\w/]+\.py)`", files)
        }
        assert wanted and set(wanted) <= set().union(*defined.values()), question
        assert all(found & set(wanted) for found in defined.values()), question


def test_architecture_sums_up_the_import_table_as_it_is() -> None:
    """`a`, `b` and `c` know only `d`; `e` knows `f`: a sentence of ARCHITECTURE is a row of ALLOWED."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    summary = " ".join(text.split("## Who may import whom")[1].split("##")[0].split()).split("In short: ")[1]
    rooms = {*ALLOWED, "cli"}
    told = 0
    for clause in summary.split(";"):
        subjects, verb, known = clause.partition(" know")
        if not verb or "anything" in known:
            continue
        names = {name.removesuffix(".py") for name in re.findall(r"`([^`]+)`", subjects)}
        wanted = {name.removesuffix(".py") for name in re.findall(r"`([^`]+)`", known)}
        assert names | wanted <= rooms, clause
        for name in names:
            told += 1
            extra = ALLOWED[name] - {"errors", "atomic_file"} - wanted
            assert wanted <= ALLOWED[name] and not (extra and "only" in known), f"{clause}: {sorted(ALLOWED[name])}"
    assert told >= 5


def test_the_import_table_names_what_is_there() -> None:
    here = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert ALLOWED.keys() <= here
    for room, known in ALLOWED.items():
        assert known <= here, room
