"""What the server's log never holds, whatever is logged."""

from __future__ import annotations

import json
import logging

import pytest

from atlas_server import log_format

SECRETS = {
    "a token in an address": "GET /api/v1/jobs?limit=3&token=kR4-x_9a failed",
    "a token of ours": "who shows atl_kR4-x_9aLmN or atj_12_kR4-x_9aLmN is refused",
    "a header": "sent {'Authorization': 'Bearer kR4-x_9aLmN', 'Accept': '*/*'}",
    "another header": "Authorization: Basic a1I0LXhfOWE6kR4-x_9a=",
    "a cookie": "Cookie: atlas_session_5000=ats_kR4-x_9aLmN",
    "the database's address": "cannot open postgresql://atlas:kR4-x_9a@db:5432/atlas?sslmode=off",
    "the database's options": "postgresql:///atlas?host=/run&password=kR4-x_9a&user=atlas",
    "a password with what passwords have": "postgresql://atlas:kR4-x_9a@!:x@db/atlas",
    "a job's variable": "docker run -e WIKI_TOKEN=kR4-x_9a -e EPOCHS=3 image",
    "a job's variables": "environment {'WIKI_TOKEN': 'kR4-x_9a and more', 'EPOCHS': '3'}",
    "JSON": '{"aws_secret_access_key": "kR4-x_9a", "epochs": 3}',
    "a setting": "smtp_password: kR4-x_9a",
    "a hash": "kept $argon2id$v=19$m=65536,t=3,p=4$kR4-x_9a$aaaa",
}
HARMLESS = (
    "Job 0f8c1f0e-9f0c-4f6e-8d5e-0123456789ab was started as 12:34:56.789 on node:3",
    "GET /api/v1/jobs?limit=3&sort=-metrics.loss failed",
    "listening at http://[::1]:5000, unix:///run/atlas.sock and http://user@host/atlas",
    "Token 'ci' of 'ada' has ended: who shows it has to log in.",
    "http://127.0.0.1:5000/a@b is no password",
)


def written(kind: str, message: str) -> str:
    """What one of the formats makes of a message, and of an exception that has it."""
    try:
        raise ValueError(message)
    except ValueError as error:
        shown = (type(error), error, error.__traceback__)
    record = logging.LogRecord("atlas", logging.ERROR, "x", 1, "%s", (message,), shown)
    return log_format.formatter(kind).format(record)


@pytest.mark.parametrize("kind", [log_format.TEXT, log_format.JSON])
def test_no_secret_is_logged(kind):
    leaks = [name for name, text in SECRETS.items() if "R4-x_9a" in written(kind, text)]
    assert leaks == []


@pytest.mark.parametrize("kind", [log_format.TEXT, log_format.JSON])
def test_what_is_no_secret_stays(kind):
    for text in HARMLESS:
        line = written(kind, text)
        assert text in (json.loads(line)["message"] if kind == log_format.JSON else line)
    assert "EPOCHS=3 image" in written(kind, SECRETS["a job's variable"])
    assert "@db:5432/atlas" in written(kind, SECRETS["the database's address"])
