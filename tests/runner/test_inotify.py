from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from atlas_runner import inotify

pytestmark = pytest.mark.skipif(not inotify.available(), reason="inotify is Linux's")


def wait_for_news(watcher: inotify.Watcher, timeout: float = 20.0) -> list[str]:
    assert select.select([watcher], [], [], timeout)[0], "no news came"
    return watcher.read_events()


def test_a_folder_tells_of_new_written_and_moved_files(tmp_path: Path) -> None:
    with inotify.Watcher() as watcher:
        watcher.add(tmp_path)
        (tmp_path / "one").write_text("1")
        (tmp_path / "two words").write_text("2")
        assert wait_for_news(watcher) == [str(tmp_path / "one"), str(tmp_path / "two words")]
        os.replace(tmp_path / "one", tmp_path / "three")
        assert wait_for_news(watcher) == [str(tmp_path / "three")]


def test_a_watched_file_tells_of_appended_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb", buffering=0) as writer, inotify.Watcher() as watcher:
        watcher.add(log)
        for _ in range(3):
            writer.write(b"line\n")
            assert wait_for_news(watcher) == [str(log)]


def test_no_news_is_an_empty_answer_and_not_readable(tmp_path: Path) -> None:
    with inotify.Watcher() as watcher:
        watcher.add(tmp_path)
        assert watcher.read_events() == []
        assert not select.select([watcher], [], [], 0)[0]


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    with inotify.Watcher() as watcher:
        watcher.add(tmp_path)
        (tmp_path / name).touch()
        assert wait_for_news(watcher) == [os.path.join(tmp_path, name)]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with inotify.Watcher() as watcher, pytest.raises(FileNotFoundError, match="nowhere"):
        watcher.add(tmp_path / "nowhere")


def test_closing_twice_is_harmless() -> None:
    watcher = inotify.Watcher()
    watcher.close()
    watcher.close()
