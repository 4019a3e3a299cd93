"""Execution mode: a program run by hand is a job, without a scheduler.

`startup` looks at the program when `foundations` is imported, `jobs` begins and ends jobs, and
`folder` is what they leave on the disk for a server to take in, now or later.
"""
