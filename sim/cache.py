"""Build folders named by the hash of what went into them, so that nothing is built twice."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def fingerprint(*parts: str | bytes) -> str:
    """Short hash of the parts and of their boundaries."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:20]


def fingerprint_files(files: Iterable[Path]) -> str:
    """Short hash of the names and contents of files, folders with all that is in them."""
    found = sorted(
        file
        for path in files
        for file in (path.rglob("*") if path.is_dir() else [path])
        if file.is_file() and file.suffix != ".pyc"
    )
    return fingerprint(*(part for file in found for part in (file.name, file.read_bytes())))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for; ``file`` is created and stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """``folder``, made by ``build`` if it does not exist yet; others wait while one builds.

    ``build`` fills a temporary folder, which gets its name only when it is complete: an
    interrupted build leaves nothing that a later one would trust.
    """
    if folder.is_dir():
        return folder
    with locked(folder.parent / f".{folder.name}.lock"):
        if folder.is_dir():
            return folder
        with unfinished_folder(folder.parent) as unfinished:
            build(unfinished)
            unfinished.rename(folder)
    return folder


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in ``parent``, gone at the end unless it was renamed."""
    folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_atomically(file: Path, text: str) -> None:
    """Replace ``file`` by ``text`` so that a reader sees the old or the new one, never a part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
