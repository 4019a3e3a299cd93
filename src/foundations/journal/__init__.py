"""The journal: what a training program records, as append-only files (see contract.events).

`spool` writes it, in the training process; `reader` reads it, in the runner.
"""
