"""Programs of jobs that several tests of faults run."""

from __future__ import annotations

# Prints numbered lines and logs numbered points, and goes on until it is told to end.
TALKER = """
import os, sys, time
import foundations
n = 0
while not os.path.exists(sys.argv[1]):
    n += 1
    print("line", n)
    foundations.log_metric("n", n, step=n)
    time.sleep(0.005)
print("total", n)
"""
# Leaves a mark outside of its folder: how often has it run?
MARKER = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(os.environ["FOUNDATIONS_JOB_ID"] + "\\n")
"""
