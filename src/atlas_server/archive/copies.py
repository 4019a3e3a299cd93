"""Copies of the content store and of jobs' other files, while jobs go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from foundations.blobs import BlobDir
from foundations.disk import digest_of, read_chunks
from foundations.errors import NotFound

Advance = Callable[[int], None]


@dataclass
class Copied:
    """How many files were new and how many bytes they had; how many were there already."""

    files: int = 0
    size: int = 0
    kept: int = 0


def copy_blobs(source: BlobDir, target: BlobDir, advance: Advance, done: Copied) -> None:
    """Copy the blobs that the target lacks; each is verified, and complete once it can be seen."""
    there = set(target.iter_digests())
    for digest in source.iter_digests():
        if digest in there:
            done.kept += 1
        else:
            try:
                with source.open(digest) as file:
                    chunks = iter(lambda: file.read(1 << 20), b"")
                    done.size += target.put_stream(chunks, digest, durable=False)
            except NotFound:
                continue  # of a job that has just been deleted
            done.files += 1
        advance(1)


def drop_blobs(source: BlobDir, target: BlobDir) -> int:
    """Delete blobs of the target that the source has no more; return how many."""
    gone = set(target.iter_digests()) - set(source.iter_digests())
    return sum(target.delete(digest) for digest in gone)


def damaged(blobs: BlobDir, digests: Iterable[str], advance: Advance) -> list[str]:
    """Return those whose content is missing or is not what it was stored as."""
    wrong: list[str] = []
    for digest in digests:
        path = blobs.path(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            wrong.append(digest)
            continue
        try:
            if digest_of(read_chunks(descriptor, path))[0] != digest:
                wrong.append(digest)
        finally:
            os.close(descriptor)
        advance(1)
    return wrong


def mirror(source: Path, target: Path, done: Copied) -> None:
    """Bring a folder of files that only grow to where the source is; what is gone there stays."""
    for folder, _, names in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in names:
            path, copy = Path(folder) / name, here / name
            try:
                found = path.lstat()
                if _is_same(found, copy):
                    done.kept += 1
                    continue
                partial = copy.with_name(copy.name + ".partial")
                shutil.copy2(path, partial, follow_symlinks=False)
                partial.replace(copy)
            except FileNotFoundError:
                continue  # a job's that has just been deleted
            done.files += 1
            done.size += found.st_size


def _is_same(found: os.stat_result, copy: Path) -> bool:
    try:
        other = copy.lstat()
    except FileNotFoundError:
        return False
    return (found.st_size, int(found.st_mtime)) == (other.st_size, int(other.st_mtime))
