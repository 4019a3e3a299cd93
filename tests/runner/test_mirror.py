"""What is written on a further node of a job, on its way to the first one."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path

from atlas_runner import launcher
from atlas_runner.mirror import Mirror
from atlas_runner.workspace import Workspace


def test_all_of_it_is_sent_and_what_a_line_names_before_the_line(tmp_path: Path) -> None:
    workspace = Workspace.create(str(tmp_path), "job", 1, rank=1)
    assert workspace.root.name == "1-1"
    sent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # There before anybody watches.
    workspace.log_path.write_text("early\n")
    mirror = Mirror(workspace, sent.put)
    thread = threading.Thread(target=mirror.send_on)
    thread.start()
    assert sent.get(timeout=30) == launcher.WRITTEN + b"log\0early\n"
    saved = workspace.artifacts_dir / "random" / "model"
    saved.parent.mkdir()
    saved.write_text("weights")
    line = json.dumps({"k": "artifact", "staged": "random/model"}) + "\n"
    (workspace.journal_dir / "writer.jsonl").write_text(line + '{"not": "whole')
    whole = b"journal/writer.jsonl\0"
    begin, weights, told = [sent.get(timeout=30)[1:] for _ in range(3)]
    assert [begin, weights] == [b"artifacts/random/model\0", b"artifacts/random/model\0weights"]
    assert told == whole + line.encode()
    assert not saved.exists()
    mirror.close()
    thread.join()
    mirror.send_rest()
    assert sent.get(timeout=30)[1:] == whole + b'{"not": "whole'
