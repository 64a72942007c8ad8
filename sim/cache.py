"""Build folders named by the hash of what went into them, so that nothing is built twice."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
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


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """``folder``, made by ``build`` if it does not exist yet.

    ``build`` fills a temporary folder, which gets its name only when it is complete: an
    interrupted build leaves nothing that a later one would trust.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        build(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


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
