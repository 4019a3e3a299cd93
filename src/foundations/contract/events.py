"""What a training program records: the lines of the journal. No I/O.

A journal is a folder of files, one per writer (a process that logs), each an append-only
sequence of JSON lines. A file that has grown to SEGMENT_BYTES is left, and its writer goes on in
the next one: WRITER.jsonl, WRITER.000002.jsonl, WRITER.000003.jsonl. On the way to the server each
file is a writer by itself, whose lines are taken in after those of the file before.

    {"n": 1, "t": 1790000000.25, "k": "metric", "key": "loss", "value": 0.3, "step": 5}

`n` counts the writer's lines from 1, `t` is the time in seconds since the epoch, `k` the kind:

    metric    key, value (number, string, bool), step (number or null)
    params    values: {name: JSON value}, merged into the job's parameters
    tag       key, value (string)
    artifact  key, staged (name of the copy in the job's artifact folder), filename, size, step
    project   name
    file      directory (key of a synchronised one), path in it, staged (as above), size, mtime_ns;
              `offset` where it is not the whole file but what comes at that byte
    system    values: {name: number} that the runner measured
    error     type, message, traceback: the exception that ended the program; round

`r` is the rank of a process of a distributed training, in all lines of its journal.
"""

from __future__ import annotations

METRIC = "metric"
PARAMS = "params"
TAG = "tag"
ARTIFACT = "artifact"
PROJECT = "project"
FILE = "file"
SYSTEM = "system"
ERROR = "error"

# The synchronised directory that TensorBoard's files go to.
TENSORBOARD = "__tensorboard__"

# A line longer than this is refused where it is logged: no chart or table could show it.
MAX_LINE_BYTES = 1_000_000

# At this size a writer begins its next file: those that a server has taken in can be deleted.
SEGMENT_BYTES = 16_000_000
# What a job's journal may hold that no server has taken in yet; then what is logged is refused.
JOURNAL_BYTES = 4_000_000_000
