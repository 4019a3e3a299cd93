"""Environment variables that Atlas sets in a job, and those whose values are never recorded."""

from __future__ import annotations

JOB_ID = "FOUNDATIONS_JOB_ID"
PROJECT_NAME = "FOUNDATIONS_PROJECT_NAME"
USER = "FOUNDATIONS_USER"
HOME = "FOUNDATIONS_HOME"
# Shows servers that ask for it who somebody is.
TOKEN = "FOUNDATIONS_TOKEN"  # noqa: S105 - its name
# The attempt's folder: journal/ and artifacts/ lie below it. Its presence means "inside a job".
ATTEMPT_DIR = "FOUNDATIONS_ATTEMPT_DIR"
# Set by jobs that run without a scheduler: which files their standard streams are.
OUTPUTS = "FOUNDATIONS_OUTPUTS"
# What a process has of the job that started it.
OF_A_JOB = (ATTEMPT_DIR, JOB_ID, PROJECT_NAME, USER, OUTPUTS)
# A true value: programs run by hand are no jobs.
COMMAND_LINE = "FOUNDATIONS_COMMAND_LINE"
# How much of what a job logs may wait for a server, as in 500MB.
JOURNAL_LIMIT = "FOUNDATIONS_JOURNAL_LIMIT"

# Below FOUNDATIONS_HOME: the folders of jobs that run without a scheduler, until a server has them.
LOCAL_FOLDER = "local"
# Beside such a folder: a server may take the job in.
READY_SUFFIX = ".ready"
# In it: the job is for a server on another machine.
REMOTE_FILE = "remote.json"
# In it: the server knows the job.
TAKEN_FILE = "attempt.json"

# Below the attempt's folder: where the runner passes on what a program asks the server's API.
# Beside the journal because that is what every worker can reach, a container without network too.
API_SOCKET = "journal/api.sock"
# In the journal's folder: how many bytes of the files that are there a server has taken in.
TAKEN_IN_FILE = "taken_in"
# In the journal's folder: one JSON object a line, whose `path` is a folder of TensorBoard's files.
LOGDIRS_FILE = "logdirs"

PARAMETERS_FILE = "foundations_job_parameters.json"
CONFIG_FILE = "job.config.yaml"

_SECRET_WORDS = (
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "AUTH",
    "COOKIE",
    "SESSION",
)


def looks_secret(name: str) -> bool:
    """Whether the value of the environment variable `name` must not be shown or kept."""
    upper = name.upper()
    return upper.endswith("_KEY") or any(word in upper for word in _SECRET_WORDS)
