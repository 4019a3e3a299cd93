"""What the first of several nodes runs: with a further node, of which the test plays the part."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.slurm import free_ports

from atlas_runner import launcher

PROGRAM = "import time; print('here', flush=True); time.sleep(600)"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def first(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    group = {"nodes": 2, "port": port, "key": "the key"}
    words = [sys.executable, "-I", launcher.__file__, "5", tmp_path / "lost"]
    started = subprocess.Popen(
        [*words, sys.executable, "-c", PROGRAM],
        env={launcher.GROUP: json.dumps(group), "FOUNDATIONS_ATTEMPT_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    with started:
        yield started
        started.kill()


def come(port: int, key: str) -> Connection:
    while True:
        try:
            way = Connection(socket.create_connection(("127.0.0.1", port)).detach())
        except ConnectionRefusedError:
            continue
        way.send_bytes(json.dumps({"rank": 1, "key": key}).encode())
        return way


def test_a_node_that_is_lost_ends_the_others(
    first: subprocess.Popen[bytes], port: int, tmp_path: Path
) -> None:
    with come(port, "another key") as stranger, pytest.raises(EOFError):
        stranger.recv_bytes()
    with come(port, "the key") as node:
        assert node.recv_bytes() == launcher.START
        for name in ("log", "journal/one.jsonl", "journal/../../escaped", "facts"):
            node.send_bytes(launcher.WRITTEN + name.encode() + b"\0some\nthing")
        assert first.stdout is not None
        begin = {first.stdout.readline() for _ in range(2)}
        assert begin == {b"0: here\n", b"1: some\n"}
    told, _ = first.communicate()
    assert first.returncode == 1
    assert b"1: thing\n" in told
    assert "node 1" in (tmp_path / "lost").read_text()
    assert sorted(os.listdir(tmp_path)) == ["journal", "lost"]
    assert (tmp_path / "journal" / "one.jsonl").read_text() == "some\nthing"


def test_the_first_exit_code_counts(first: subprocess.Popen[bytes], port: int) -> None:
    with come(port, "the key") as node:
        assert node.recv_bytes() == launcher.START
        node.send_bytes(launcher.ENDED + json.dumps({"code": 3, "said": "no more"}).encode())
        told, _ = first.communicate()
    assert first.returncode == 3
    assert b"1: no more" in told
