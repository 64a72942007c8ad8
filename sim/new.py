"""``make new NAME=foo``: a small datapath that works, in all the places a datapath consists of."""

import argparse
import keyword
import re
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

from hdl.datapath import ENTRY_POINT_GROUP
from sim.paths import ROOT

TEMPLATE = Path(__file__).parent / "template"
#: What the datapath of the template is called; its files are valid, and linted, under this name.
PLACEHOLDER = "skeleton"
LONGEST_NAME = 32
OWN_PACKAGES = {"hdl", "golden", "sim", "synth", "tests", "docs", "build"}
#: Folders of ``build`` that belong to no datapath.
BUILD_FOLDERS = {"libraries", "mappings", "report", "runtime"}


class RefusedError(ValueError):
    """No datapath can be made; nothing was written."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make new", description=__doc__)
    parser.add_argument("name", nargs="?", default="", metavar="NAME")
    name = parser.parse_args().name
    try:
        files = create(name)
    except (RefusedError, OSError) as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    width = max(len(path) for path in files)
    print(f"datapath {name} is made:")
    for path, text in files.items():
        print(f"  {path:{width}}  {_title(text)}")
    print("docs/add-a-datapath.md goes through these files; next:")
    print(f"  make sim DATAPATH={name}")
    print(f"  make synth DATAPATH={name}")
    print("  make test")
    return 0


def create(name: str, root: Path = ROOT) -> dict[str, str]:
    """Write the datapath ``name`` and return its files' text by path; all of them or none.

    Raises RefusedError, or OSError if a file cannot be written.
    """
    check_name(name)
    files = render(name)
    check_places(name, files, root)
    write(files, root)
    return files


def check_name(name: str) -> None:
    """Raises RefusedError unless ``name`` can be the name of a datapath."""
    if not name:
        raise RefusedError("NAME is missing: make new NAME=foo")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
        raise RefusedError(
            f"NAME is {name!r}; allowed are a lower-case letter and then lower-case letters, "
            f"digits and underscores, {LONGEST_NAME} in all"
        )
    if keyword.iskeyword(name):
        raise RefusedError(f"NAME is {name!r}, a keyword of Python: choose another")
    if name in sys.stdlib_module_names:
        raise RefusedError(f"NAME is {name!r}, a module of Python's library: choose another")
    if name in OWN_PACKAGES:
        raise RefusedError(f"NAME is {name!r}, a folder of this project: choose another")
    if name in BUILD_FOLDERS:
        raise RefusedError(f"NAME is {name!r}, a folder that build needs: choose another")
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            raise RefusedError(f"a datapath {name} is installed already, as {entry.value}")


def render(name: str) -> dict[str, str]:
    """Text of the files of a datapath by path; imports and lines formatted for this name."""
    sources = sorted(
        path
        for path in TEMPLATE.rglob("*")
        if PLACEHOLDER in path.relative_to(TEMPLATE).as_posix() and path.suffix in (".py", ".md")
    )
    if not sources:
        raise RefusedError(f"the template is missing: {TEMPLATE}")
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        for source in sources:
            path = source.relative_to(TEMPLATE).as_posix().replace(PLACEHOLDER, name)
            files[path] = Path(folder, path)
            files[path].parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8").replace(PLACEHOLDER, name)
            files[path].write_text(text, encoding="utf-8")
        _ruff("check", "--select", "I", "--fix", folder)
        _ruff("format", folder)
        return {path: file.read_text(encoding="utf-8") for path, file in files.items()}


def _ruff(command: str, *arguments: str) -> None:
    """Which import comes first and where a line breaks depend on the name."""
    options = ["--quiet", "--no-cache", "--config", str(TEMPLATE / "ruff.toml")]
    finished = subprocess.run(
        [sys.executable, "-m", "ruff", command, *options, *arguments],
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        said = (finished.stdout + finished.stderr).strip()
        raise RefusedError(f"ruff cannot format the files: {said}")


def check_places(name: str, files: dict[str, str], root: Path) -> None:
    """Raises RefusedError if ``root`` is no checkout, or something with that name is there."""
    if not (root / "pyproject.toml").is_file():
        raise RefusedError(
            f"{root} is no checkout of the project. A datapath in a package of your own: "
            "see docs/add-a-datapath.md"
        )
    packages = {Path(path).parts[0] for path in files if path.endswith(".py")} - {"tests"}
    modules = {f"{package}/{name}{end}" for package in packages for end in ("", ".py")}
    alone = {path for path in files if not any(path.startswith(f"{each}/") for each in modules)}
    taken = [path for path in sorted(modules | alone) if (root / path).exists()]
    if taken:
        raise RefusedError(f"NAME is {name!r}, but there is already: {', '.join(taken)}")


def write(files: dict[str, str], root: Path) -> None:
    """Write all files; if one fails, take back those before it and raise its error."""
    made: list[Path] = []
    try:
        for path, text in files.items():
            target = root / path
            for folder in reversed(target.relative_to(root).parents):
                if not (root / folder).exists():
                    (root / folder).mkdir()
                    made.append(root / folder)
            with target.open("x", encoding="utf-8") as file:
                made.append(target)
                file.write(text)
    except BaseException:
        for each in reversed(made):
            if each.is_dir():
                each.rmdir()
            else:
                each.unlink()
        raise


def _title(text: str) -> str:
    """The first line of a docstring or of a page, up to where it goes into detail."""
    line = text.partition("\n")[0].strip('"# ')
    return line.partition(":")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
