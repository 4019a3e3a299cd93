"""The API as any program may use it, rightly and wrongly, against a real server."""

from __future__ import annotations

import base64
import errno
import http.client
import json
import socket
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.live import Answer, LiveServer, make_folder

from atlas_server.archive.logs import LogArchive
from foundations.contract import manifest
from foundations.contract.version import API_VERSION, VERSION_HEADER
from foundations.errors import StorageFull

NOBODY = "ffffffff-ffff-4fff-8fff-ffffffffffff"
MAIN = """
import hashlib, os, sys, threading
print("begun", flush=True)
if "wait" in sys.argv:
    threading.Event().wait()
print(hashlib.sha256(os.environ.get("WIKI_TOKEN", "").encode()).hexdigest())
"""


class Site:
    """A server whose CPUs are all held by one job, so that every other job waits."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.address = urlsplit(server.url).netloc
        self.folder = make_folder(server.root / "code", main=MAIN)
        secret = {"WIKI_TOKEN": "hunter2-hunter2", "PLAIN": "shown"}
        self.finished = server.send(self.folder, "main.py", environment=secret)
        server.completed(self.finished)
        self.held = server.send(self.folder, "main.py", "wait", resources={"cpus": 2})
        server.has_logged(self.held, b"begun\n")
        self.bundle = server.job(self.held)["bundle"]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            sent = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            head = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, head, response.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any, headers: dict[str, str] | None = None) -> Answer:
        return self.ask("POST", "/api/v1" + path, json.dumps(value).encode(), headers)

    def get(self, path: str) -> Answer:
        return self.ask("GET", "/api/v1" + path)

    def spec(self, **values: Any) -> dict[str, Any]:
        return {
            "project": "tests", "bundle": self.bundle, "command": ["main.py"],
            "interpreter": sys.executable, "user": "tester", **values,
        }  # fmt: skip

    def queued(self, job_id: str | None = None, **values: Any) -> str:
        query = f"?job_id={job_id}" if job_id else ""
        answer = self.post("/jobs" + query, self.spec(**values))
        assert answer.status == 201, answer
        return answer.json["job_id"]

    def attempt(self, job_id: str) -> dict[str, Any]:
        """What only the attempt's runner knows."""
        database = sqlite3.connect(f"file:{self.server.home}/database/atlas.db?mode=ro", uri=True)
        with database:
            query = (
                "SELECT attempts.id, token, number FROM attempts JOIN jobs ON jobs.id = job"
                " WHERE job_id = ?"
            )
            key, token, number = database.execute(query, [job_id]).fetchone()
        database.close()
        return {"attempt": key, "token": token, "number": number}

    @property
    def instance(self) -> str:
        return (self.server.home / "database" / "instance").read_text()

    def report(self, job_id: str, token: str | None = None, **values: Any) -> Answer:
        attempt = self.attempt(job_id)
        body = {
            "attempt": attempt["attempt"], "instance": self.instance, "phase": "running", **values,
        }  # fmt: skip
        authorization = {"Authorization": f"Bearer {token or attempt['token']}"}
        return self.post("/runner/report", body, authorization)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("api")) as server:
        yield Site(server)
        assert "Traceback" not in server.log(), server.log()


def assert_error(answer: Answer, *statuses: int) -> dict[str, Any]:
    """The one shape; returns the error."""
    assert 400 <= answer.status < 500 or answer.status == 507, answer
    assert not statuses or answer.status in statuses, answer
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"error"}
    error = answer.json["error"]
    assert set(error) == {"code", "message", "hint", "details"}
    assert error["code"].replace("_", "").isalpha()
    assert error["message"].strip()
    assert "\n" not in error["message"]
    return error


def assert_answered(answer: Answer) -> None:
    """An answer or a well-told error."""
    if answer.status >= 300:
        assert_error(answer)
    assert "html" not in answer.headers.get("content-type", "")


# -- every route, wrongly used


def routes(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    """Every (method, path, operation) of the OpenAPI description."""
    described = site.get("/openapi.json").json
    found = [
        (method.upper(), path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    assert len(found) > 20
    return found


def filled(path: str, job: str) -> str:
    """The path with something in place of its {names}."""
    blob = path.replace("{digest}", "0" * 64)
    return blob.replace("{reference}", job).replace("{other}", job)


def required(operation: dict[str, Any]) -> dict[str, str]:
    """Values for the query parameters that must be there."""
    return {
        item["name"]: "x"
        for item in operation.get("parameters", [])
        if item["in"] == "query" and item.get("required")
    }


def with_query(path: str, values: dict[str, str]) -> str:
    return path + "?" + "&".join(f"{name}={quote(value)}" for name, value in values.items())


REFERENCES = [
    NOBODY, "zzz", "none", "last~x", "last~-1", "last~%C2%B2", "last~99999999999999999999999",
    "%00", "..%2F..%2Fetc", "%FF%FE", "-", "f" * 4000, "%F0%9F%A6%86",
]  # fmt: skip


def test_unknown_jobs_on_every_route(site):
    tried = 0
    for method, path, operation in routes(site):
        if "{reference}" not in path:
            continue
        for reference in REFERENCES:
            target = with_query(filled(path, reference), required(operation))
            body = b"{}" if "requestBody" in operation else None
            # 405: a reference with slashes may be another path, which only pages are read from.
            assert_error(site.ask(method, target, body), 404, 405, 409)
            tried += 1
    assert tried > 100


BAD_VALUES = [
    "x", "", "-1", "1.5", "9" * 40, "-" + "9" * 40, "\0", "\N{DUCK}", "a=b=c", "%s", "1e3",
]  # fmt: skip


def test_bad_query_values_on_every_route(site):
    for method, path, operation in routes(site):
        if method != "GET" or path.endswith("/feed"):  # which goes on for ever
            continue
        names = [item["name"] for item in operation.get("parameters", []) if item["in"] == "query"]
        for name in names:
            for value in BAD_VALUES:
                values = {**required(operation), name: value}
                assert_answered(site.ask(method, with_query(filled(path, site.finished), values)))


BODIES = [
    b"", b"{", b"[]", b"null", b'"x"', b"1", b"{}", b"\xff\xfe", b'{"a":' * 3000, b"NaN",
    b'{"project": 1}', b'{"project": null, "bundle": {}}', b'{"project": "\\ud800", "bundle": ""}',
    b'{"attempt": "x"}', b'{"\\ud800": 1}', b"\0" * 200,
]  # fmt: skip


def test_malformed_bodies_on_every_route(site):
    for method, path, operation in routes(site):
        if "requestBody" not in operation:
            continue
        for body in BODIES:
            answer = site.ask(method, filled(path, NOBODY), body)
            # 409: there is nobody to log in where nobody is asked.
            assert_error(answer, 400, 401, 404, 409, 422)


def test_bodies_where_bytes_are_expected(site):
    for body in BODIES:
        assert_error(site.ask("POST", "/api/v1/bundles", body), 400)
        if body:
            assert_error(site.ask("POST", "/api/v1/blobs", body), 400)


def test_wrong_methods_on_every_route(site):
    known: dict[str, set[str]] = {}
    for method, path, _ in routes(site):
        known.setdefault(path, set()).add(method)
    for path, methods in known.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - methods:
            # Where another path begins alike, its word counts as a job's name: there is no such
            # job, or that method would want a body.
            error = assert_error(site.ask(method, filled(path, NOBODY)), 400, 404, 405)
            assert method in error["message"] or error["code"] in ("not_found", "invalid_request")


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/nothing", "/nothing", "/api/v2/jobs"])
def test_unknown_paths(site, path):
    error = assert_error(site.ask("GET", path), 404)
    assert path in error["message"]


def test_health_needs_nothing(site):
    answer = site.get("/health")
    assert answer.status == 200
    assert answer.json["pid"] == site.server.pid


# -- who may speak


def test_other_api_version_is_told_so(site):
    for method, path, operation in routes(site):
        target = with_query(filled(path, site.finished), required(operation))
        answer = site.ask(method, target, b"{}", {VERSION_HEADER: "999"})
        if path == "/api/v1/health":
            assert answer.status == 200
            continue
        error = assert_error(answer, 426)
        assert "999" in error["message"]
        assert API_VERSION in error["message"]
        assert error["hint"]
    assert site.ask("GET", "/api/v1/jobs", None, {VERSION_HEADER: API_VERSION}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "", "10.0.0.1", "[::2]"]
)
def test_foreign_host_is_refused(site, host):
    for path in ("/", "/api/v1/health", "/api/v1/jobs"):
        assert_error(site.ask("GET", path, None, {"Host": host}), 403, 409)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:5000", "[::1]:5000"])
def test_own_names_are_served(site, host):
    assert site.ask("GET", "/api/v1/health", None, {"Host": host}).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example"]
)
def test_other_sites_cannot_change_anything(site, origin):
    waiting = site.queued()
    for method, path, operation in routes(site):
        if method == "GET":
            continue
        target = with_query(filled(path, waiting), required(operation))
        assert_error(site.ask(method, target, b"{}", {"Origin": origin}), 403, 409)
    assert site.server.job(waiting)["state"] == "queued"


def test_own_page_can_change_things(site):
    job = site.queued()
    path = f"/api/v1/jobs/{job}/stop"
    assert site.ask("POST", path, None, {"Origin": f"http://{site.address}"}).status == 200


# -- bundles


def packed(*contents: bytes) -> bytes:
    return b"".join(f"{manifest.digest(data)}{len(data):016x}".encode() + data for data in contents)


def stored(site: Site, data: bytes) -> bool:
    return site.get(f"/blobs/{manifest.digest(data)}").status == 200


def test_pack_of_blobs(site):
    contents = [b"", b"one", b"\x00" * 300_000]
    assert site.ask("POST", "/api/v1/blobs", packed(*contents)).status == 204
    for data in contents:
        answer = site.get(f"/blobs/{manifest.digest(data)}")
        assert (answer.status, answer.body) == (200, data)


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda good: good[:-1],
        lambda good: good + b"x",
        lambda good: good + b"0" * 79,
        lambda good: good + b"f" * 64 + b"%016x" % 3 + b"abc",
        lambda good: good + b"f" * 64 + b"f" * 16,
        lambda good: good + b"f" * 64 + b"f" * 16 + b"x" * 100_000,
        lambda good: good + b"f" * 64 + b"-000000000000001" + b"x",
        lambda good: good + b"f" * 64 + b"+000000000000_01" + b"x",
        lambda good: good + b"f" * 64 + b"               1" + b"x",
        lambda good: good + b"Z" * 64 + b"%016x" % 0,
        lambda good: good + b"../" * 21 + b"." + b"%016x" % 0,
        lambda good: good + b"\xff" * 64 + b"%016x" % 0,
    ],
    ids=[
        "cut in a blob", "a stray byte", "cut in a header", "another digest", "too large a size",
        "larger than what follows", "negative", "signed", "padded", "no digest", "a path",
        "no text",
    ],
)  # fmt: skip
def test_spoiled_pack_stores_nothing(site, spoiled, request):
    data = request.node.name.encode()
    assert_error(site.ask("POST", "/api/v1/blobs", spoiled(packed(data, b"more" + data))), 400)
    assert not stored(site, data)
    assert not stored(site, b"more" + data)


def test_uploads_that_stall_do_not_keep_runners_from_reporting(site):
    head = f"POST /api/v1/blobs HTTP/1.1\r\nHost: {site.address}\r\nContent-Length: 999\r\n\r\n"
    host, port = site.address.split(":")
    stalled = [socket.create_connection((host, int(port)), timeout=60) for _ in range(70)]
    try:
        for connection in stalled:
            connection.sendall(head.encode() + b"0")
        assert site.report(site.held).status == 200
    finally:
        for connection in stalled:
            connection.close()
    # Those that waited for a turn have gone, too.
    assert site.ask("POST", "/api/v1/blobs", packed(b"after the stalled ones")).status == 204


def test_connection_cut_in_a_pack_stores_nothing(site):
    data = b"never arrives whole"
    body = packed(data, data + b"2")
    host, port = site.address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /api/v1/blobs HTTP/1.1\r\nHost: {site.address}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-5])
    assert not stored(site, data)
    assert site.ask("POST", "/api/v1/blobs", body).status == 204
    assert stored(site, data)


A = "a" * 64


def hostile_manifests() -> dict[str, bytes]:
    def of(*entries: tuple[str, str, str, int]) -> bytes:
        return manifest.encode(entries)

    plain = of(("a", "f", A, 1))
    return {
        "parent": of(("../a", "f", A, 1)),
        "parent inside": of(("a/../../b", "f", A, 1)),
        "absolute": of(("/etc/passwd", "f", A, 1)),
        "dot": of(("./a", "f", A, 1)),
        "empty name": of(("a//b", "f", A, 1)),
        "empty": of(("", "f", A, 1)),
        "link out": of(("l", "l", "../x", 0)),
        "absolute link": of(("l", "l", "/etc", 0)),
        "link out from below": of(("d/l", "l", "../../x", 0)),
        "through a link": of(("l", "l", "d", 0), ("l/x", "f", A, 1)),
        "below a file": of(("a", "f", A, 1), ("a/b", "f", A, 1)),
        "twice": of(("a", "f", A, 1), ("a", "f", A, 1)),
        "file and folder": of(("a", "d", "", 0), ("a", "f", A, 1)),
        "NUL": of(("a\0b", "f", A, 1)),
        "long name": of(("n" * 300, "f", A, 1)),
        "deep": of(("/".join("n" * 300), "f", A, 1)),
        "surrogate": of(("\ud800", "f", A, 1)),
        "kind": of(("a", "z", A, 1)),
        "digest": of(("a", "f", "A" * 64, 1)),
        "short digest": of(("a", "f", "aa", 1)),
        "negative size": of(("a", "f", A, -1)),
        "huge size": of(("a", "f", A, 1 << 60)),
        "spaces": plain.replace(b":", b": "),
        "order": b'{"version":1,"entries":[["b","f","%s",1],["a","f","%s",1]]}'
        % (A.encode(), A.encode()),
        "keys the other way": b'{"entries":[],"version":1}',
        "another version": plain.replace(b'"version":1', b'"version":2'),
        "true as version": plain.replace(b'"version":1', b'"version":true'),
        "more keys": plain[:-1] + b',"x":1}',
        "short entry": b'{"version":1,"entries":[["a","f"]]}',
        "newline at the end": plain + b"\n",
        "not JSON": b"{",
        "nothing": b"",
    }


@pytest.mark.parametrize("case", hostile_manifests())
def test_hostile_manifest_is_refused(site, case):
    data = hostile_manifests()[case]
    assert_error(site.ask("POST", "/api/v1/bundles", data), 400)
    assert not data or not stored(site, data)


def test_manifest_names_what_is_missing(site):
    known, unknown = b"known content", manifest.digest(b"unknown content")
    site.ask("POST", "/api/v1/blobs", packed(known))
    entries = [("a", "f", manifest.digest(known), len(known)), ("b", "x", unknown, 15)]
    answer = site.ask("POST", "/api/v1/bundles", manifest.encode(entries))
    assert answer.json["missing"] == [unknown]
    spec = site.spec(bundle=answer.json["digest"])
    error = assert_error(site.post("/jobs", spec), 422)
    assert error["details"]["missing"] == [unknown]


# -- jobs


def test_same_job_sent_twice_is_one(site):
    job_id = "0e000000-0000-4000-8000-000000000001"
    spec = site.spec(project="twice")
    first, second = (site.post(f"/jobs?job_id={job_id}", spec) for _ in range(2))
    assert first.status == second.status == 201
    assert first.json == second.json
    assert [job["job_id"] for job in site.get("/jobs?project=twice").json["jobs"]] == [job_id]


def test_another_job_under_a_known_id_is_refused(site):
    job_id = "0e000000-0000-4000-8000-000000000002"
    site.queued(job_id)
    other = site.spec(command=["other.py"])
    error = assert_error(site.post(f"/jobs?job_id={job_id}", other), 409)
    assert job_id in error["message"]
    assert site.server.job(job_id)["command"] == ["main.py"]


@pytest.mark.parametrize("job_id", ["x", "last", "0E000000-0000-4000-8000-00000000000A", "%00", ""])
def test_impossible_job_id_is_refused(site, job_id):
    assert_error(site.post(f"/jobs?job_id={job_id}", site.spec()), 400)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"comand": ["x"]}, "comand"),
        ({"resources": {"cpu": 1}}, "cpu"),
        ({"project": None}, "project"),
        ({"command": "main.py"}, "command"),
        ({"command": []}, "command"),
        ({"command": ["a\0b"]}, "NUL"),
        ({"project": ""}, "project"),
        ({"project": "a/b"}, "project"),
        ({"project": "a\nb"}, "project"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": 1e400}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"priority": 10**9}, "priority"),
        ({"resources": {"cpus": 0}}, "CPU"),
        ({"resources": {"cpus": float("nan")}}, "cpus"),
        ({"resources": {"cpus": float("inf")}}, "cpus"),
        ({"resources": {"gpus": -1}}, "gpu"),
        ({"resources": {"memory": 0}}, "memory"),
        ({"resources": {"memory": 10**40}}, "memory"),
        ({"resources": {"cpus": 3}}, "CPU"),
        ({"tags": {"a": 1}}, "tags"),
        ({"environment": {"A=B": "1"}}, "environment"),
        ({"environment": {"": "1"}}, "environment"),
        ({"environment": {"A": "x\0y"}}, "environment"),
        ({"worker": {"environment": ["A=1"]}}, "environment"),
        ({"worker": {"environment": {"A=B": 1}}}, "environment"),
        ({"resources": {"cpu_limit": 0}}, "cpu_limit"),
        ({"worker": {"image": "X"}}, "worker.image"),
        ({"worker": {"imag": "x"}}, "did you mean 'image'"),
        ({"worker": {"shm_size": "8 apples"}}, "worker.shm_size"),
        ({"worker": {"image_id": "sha256:" + "0" * 64}}, "worker.image_id"),
        ({"worker": {"volumes": {"/var/run": {"bind": "/x"}}}}, "socket"),
        ({"worker": {"memswap_limit": "1G"}}, "memswap_limit"),
        ({"name": "\ud800"}, "name"),
        ({"bundle": "../../etc/passwd"}, "digest"),
        ({"params": [1]}, "params"),
        ({"params": {"a": "\ud800"}}, "params"),
        ({"params": {"\ud800": 1}}, "params"),
        ({"worker": {"a": "\ud800"}}, "worker"),
    ],
)
def test_impossible_spec_is_refused_by_name(site, values, named):
    spec = json.dumps(site.spec(project="impossible") | values).encode()
    for path in ("/jobs/check", "/jobs"):
        if path.endswith("check") and "bundle" in values:
            continue
        error = assert_error(site.ask("POST", "/api/v1" + path, spec), 400, 409, 422)
        assert named.lower() in error["message"].lower()
    assert site.get("/jobs?project=impossible").json["jobs"] == []


def test_numbers_that_json_lacks_are_kept_out_of_answers(site):
    body = json.dumps(site.spec(params={"a": float("nan"), "b": [float("inf")]})).encode()
    answer = site.ask("POST", "/api/v1/jobs", body)
    assert_answered(answer)
    if answer.status == 201:
        job = answer.json["job_id"]
        for path in (f"/jobs/{job}", "/jobs", "/queue", f"/jobs/{job}/diff/{site.finished}"):
            answer = site.get(path)
            assert answer.status == 200
            json.loads(answer.body, parse_constant=pytest.fail)


def test_rerun_with_unknown_field_is_refused(site):
    error = assert_error(site.post(f"/jobs/{site.finished}/rerun", {"comand": ["x"]}), 400)
    assert "comand" in error["message"]


def test_secrets_are_masked_in_every_answer(site):
    again = site.post(f"/jobs/{site.finished}/rerun", {}).json["job_id"]
    answers = [site.get(f"/jobs/{job}") for job in (site.finished, again)]
    for answer in answers:
        environment = answer.json["spec"]["environment"]
        assert environment["PLAIN"] == "shown"
        assert set(environment["WIKI_TOKEN"]) == {"*"}
    answers += [
        site.get("/jobs"), site.get("/queue"), site.get(f"/jobs/{again}/diff/{site.finished}"),
        site.get(f"/jobs/{site.finished}/stream"), site.get(f"/jobs/{site.finished}/archive"),
        site.post("/jobs", site.spec(environment={"WIKI_TOKEN": "hunter2-hunter2"})),
        site.post(f"/jobs/{again}/rerun", {"environment": {"A_PASSWORD": "hunter2-hunter2"}}),
        site.post(f"/jobs/{again}/stop", {}),
    ]  # fmt: skip
    for answer in answers:
        assert answer.status < 300
        assert b"hunter2" not in answer.body
    assert "hunter2" not in site.server.log()
    # The worker had it all the same.
    told = manifest.digest(b"hunter2-hunter2").encode()
    assert told in site.server.job_log(site.finished)


def test_ids_by_prefix_and_place(site):
    prefix = "0d00000a-0000-4000-8000-00000000000"
    first, second = site.queued(prefix + "1"), site.queued(prefix + "2")
    assert site.get(f"/jobs/{second[:-1]}2").json["job_id"] == second
    assert site.get(f"/jobs/{first.upper()}").json["job_id"] == first
    assert site.get("/jobs/last").json["job_id"] == second
    assert site.get("/jobs/last~0").json["job_id"] == second
    assert site.get("/jobs/last~1").json["job_id"] == first
    error = assert_error(site.get("/jobs/0d00000a"), 409)
    assert first in error["message"]
    assert second in error["message"]
    alone = site.queued("0c00000b-0000-4000-8000-000000000000")
    assert site.get("/jobs/0c00000b").json["job_id"] == alone


def test_list_filters(site):
    mine = site.queued(project="lists", user="ada", tags={"kind": "a", "big": ""})
    theirs = site.queued(project="lists", user="bob", tags={"kind": "b"})
    site.post(f"/jobs/{theirs}/stop", {})

    def listed(query: str) -> list[str]:
        jobs = site.get("/jobs?project=lists&" + query).json["jobs"]
        return [job["job_id"] for job in jobs]

    assert listed("") == [theirs, mine]
    assert listed("user=ada") == [mine]
    assert listed("status=queued") == [mine]
    assert listed("status=queued,stopped") == [theirs, mine]
    assert listed("status=queued&status=STOPPED") == [theirs, mine]
    assert listed("tag=kind") == [theirs, mine]
    assert listed("tag=kind%3Da") == [mine]
    assert listed("tag=kind%3Da&tag=big") == [mine]
    assert listed("tag=kind%3Da&tag=kind%3Db") == []
    assert listed("user=%25") == []
    assert site.get("/jobs?project=none").json == {"jobs": [], "next": None}
    error = assert_error(site.get("/jobs?status=done"), 400)
    assert "completed" in error["hint"]


def test_list_pages(site):
    jobs = [site.queued(project="pages") for _ in range(5)]
    seen, cursor = [], ""
    while True:
        page = site.get(f"/jobs?project=pages&limit=2{cursor}").json
        seen += [job["job_id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        cursor = f"&before={page['next']}"
    assert seen == jobs[::-1]


def test_clearing_a_project_leaves_the_others(site):
    kept = site.queued(project="kept")
    gone = [site.queued(project="gone") for _ in range(3)]
    answer = site.ask("DELETE", "/api/v1/queue?project=gone")
    assert sorted(answer.json["cleared"]) == sorted(gone)
    assert site.server.job(kept)["state"] == "queued"
    assert {site.server.job(job)["state"] for job in gone} == {"stopped"}


def test_unfinished_job_is_not_deleted(site):
    error = assert_error(site.ask("DELETE", f"/api/v1/jobs/{site.held}"), 409)
    assert "foundations stop" in error["hint"]


# -- runners


@pytest.mark.parametrize("token", ["wrong", "x" * 100_00, "\xe9", " "])
def test_report_with_a_wrong_token_changes_nothing(site, token):
    result = {"exit_code": 0}
    answer = site.report(site.held, token, phase="finished", result=result)
    assert_error(answer, 410)
    assert site.server.job(site.held)["state"] == "running"


def test_report_for_another_server_changes_nothing(site):
    answer = site.report(site.held, instance=NOBODY, phase="finished", result={"exit_code": 0})
    assert_error(answer, 421)
    assert site.server.job(site.held)["state"] == "running"


@pytest.mark.parametrize("attempt", [0, -1, 10**6, 10**30])
def test_report_of_an_unknown_attempt(site, attempt):
    assert_error(site.report(site.held, attempt=attempt), 400, 410)


@pytest.mark.parametrize(
    "values",
    [
        {"log": "no base64!"},
        {"log": "\N{DUCK}"},
        {"log": "eA==", "log_offset": -1},
        {"phase": "dreaming"},
        {"phase": "finished", "result": {"exit_code": 0, "reason": "boredom"}},
        {"phase": "finished", "result": {"exit_code": 10**40}},
        {"phase": "finished", "result": {"exit_code": 0, "outputs": "../x"}},
        {"phase": "finished", "result": {"usage": {"cpu_seconds": float("inf")}}},
        {"journal": [{"writer": "w", "first": 1}]},
        {"journal": [{"writer": "w", "first": 0, "events": [{"k": "tag"}]}]},
        {"journal": [{"writer": "w", "first": 10**40, "events": [{"k": "tag"}]}]},
        {"journal": [{"writer": "../w", "first": 1, "events": [{"k": "tag"}]}]},
        {"journal": [{"writer": "\N{DUCK}", "first": 1, "events": [{"k": "tag"}]}]},
        {"journal": [{"writer": "w" * 129, "first": 1, "events": [{"k": "tag"}]}]},
        {"runner": "\ud800"},
        {"started_at": float("nan")},
        {"environment": {"deep": json.loads("[" * 150 + "]" * 150)}},
        {"phase": "finished", "result": {"exit_code": 0, "message": "\ud800"}},
        {"phase": "finished", "result": {"exit_code": 0, "usage": {"\ud800": 1.0}}},
    ],
)
def test_malformed_report_is_refused(site, values):
    assert_error(site.report(site.held, **values), 400)
    assert site.server.job(site.held)["state"] == "running"


ODD_EVENTS: list[dict[str, Any]] = [
    {},
    {"k": "unknown"},
    {"k": 1},
    {"k": "metric"},
    {"k": "metric", "key": "a", "value": {"x": 1}},
    {"k": "metric", "key": "a", "value": 1, "step": "three"},
    {"k": "metric", "key": "a", "value": 1, "step": [1]},
    {"k": "metric", "key": "a", "value": 1, "t": "now"},
    {"k": "metric", "key": {"a": 1}, "value": 10**400},
    {"k": "metric", "key": "a", "value": 1, "step": float("inf"), "t": 1},
    {"k": "metric", "key": "a", "value": 1, "t": float("nan")},
    {"k": "params"},
    {"k": "params", "values": [1]},
    {"k": "tag"},
    {"k": "tag", "key": "k"},
    {"k": "artifact"},
    {"k": "artifact", "key": "a", "filename": "a", "digest": "../x", "size": 1},
    {"k": "artifact", "key": "a", "filename": "a", "digest": 5, "size": "x"},
    {"k": "metric", "key": "half \ud800", "value": "half \ud800"},
    {"k": "params", "values": {"half \ud800": ["half \ud800"]}},
    {"k": "params", "values": {"deep": json.loads("[" * 500 + "]" * 500)}},
    {"k": "tag", "key": "half \ud800", "value": "half \ud800"},
    {"k": "artifact", "key": "\ud800", "filename": "\ud800", "digest": "0" * 64, "size": 0},
]


def test_events_that_no_program_of_ours_writes_do_not_hold_up_the_rest(site):
    # A job can write anything into its journal; its runner must not send it for ever.
    good = {"k": "tag", "key": "after", "value": "odd ones"}
    for number, event in enumerate(ODD_EVENTS):
        batch = {"writer": f"odd{number}", "first": 1, "events": [event, good]}
        assert site.report(site.held, journal=[batch]).status == 200, event
    job = site.server.job(site.held)
    assert job["tags"]["after"] == "odd ones"
    # What no answer could carry is shown as far as it can be.
    assert job["tags"]["half ?"] == "half ?"
    assert job["params"]["half ?"] == ["half ?"]
    for path in (f"/jobs/{site.held}", "/jobs", "/queue"):
        assert site.get(path).status == 200


def test_journal_is_taken_in_once(site):
    def metric(value: int) -> dict[str, Any]:
        return {"k": "metric", "key": "loss", "value": value, "t": 1.0}

    for first, last in [(1, 3), (1, 3), (2, 5), (4, 4), (6, 6)]:
        events = [metric(n) for n in range(first, last + 1)]
        batch = {"writer": "w", "first": first, "events": events}
        assert site.report(site.held, journal=[batch]).status == 200
    points = site.get(f"/jobs/{site.held}/metrics?name=loss").json["points"]
    assert [point[3] for point in points] == [1, 2, 3, 4, 5, 6]


def test_log_offsets(site):
    size = site.server.job(site.held)["log_size"]

    def send(offset: int, data: bytes) -> int:
        log = base64.b64encode(data).decode()
        answer = site.report(site.held, log=log, log_offset=size + offset)
        assert answer.status == 200, answer
        return answer.json["log_size"] - size

    assert send(0, b"abc") == 3
    assert send(0, b"abc") == 3
    assert send(4, b"left a gap") == 3
    assert send(1, b"bcde") == 5
    assert send(-size, b"") == 5
    assert send(5, b"f\n") == 7
    assert site.server.job_log(site.held)[size:] == b"abcdef\n"


def test_late_result_is_kept_and_not_taken(site):
    late = {"exit_code": 7, "message": "too late", "usage": {"cpu_seconds": 1.0}}
    error = assert_error(site.report(site.finished, phase="finished", result=late), 410)
    assert site.finished in error["message"]
    job = site.server.job(site.finished)
    assert (job["state"], job["exit_code"]) == ("completed", 0)
    kept = job["attempt_list"][0]["late_result"]
    assert (kept["exit_code"], kept["message"]) == (7, "too late")
    # The first one stays.
    site.report(site.finished, phase="finished", result={"exit_code": 8})
    assert site.server.job(site.finished)["attempt_list"][0]["late_result"] == kept


def test_result_that_is_sent_again_is_acknowledged(site):
    job = site.server.job(site.finished)
    result = {"exit_code": 0, "usage": job["attempt_list"][0]["usage"]}
    assert site.report(site.finished, phase="finished", result=result).status == 200


# -- the log archive


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """A log, and pieces of it in any order, some of them again and again."""
    data = draw(st.binary(max_size=60))
    places = st.integers(0, len(data))
    pieces = draw(st.lists(st.tuples(places, places).map(lambda p: (min(p), max(p))), max_size=30))
    return data, pieces


@given(deliveries())
@settings(max_examples=150, deadline=None)
def test_log_archive_keeps_the_same_bytes_whatever_is_sent_when(case):
    data, pieces = case
    with tempfile.TemporaryDirectory() as folder:
        archive = LogArchive(Path(folder))
        size = 0
        for begin, end in pieces:
            expected = max(size, end) if begin <= size else size
            size = archive.append("job", 1, begin, data[begin:end])
            assert size == expected == archive.length("job", 1)
        # What a sender does after all that: it goes on where the server says.
        while size < len(data):
            size = archive.append("job", 1, size, data[size : size + 7])
        assert archive.read("job", 1, 0, 1000) == data
        assert archive.read("job", 2, 0, 1000) == b""


def test_log_that_finds_no_room_at_all_says_so_and_goes_on_later(tmp_path, monkeypatch):
    archive = LogArchive(tmp_path)
    really = Path.open

    def full(path: Path, mode: str = "r", *rest: Any) -> Any:
        if "a" in mode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(path, mode, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(StorageFull):
            archive.append("job", 1, 0, b"first")
    assert archive.append("job", 1, 0, b"first") == 5


@given(
    st.lists(st.sampled_from([0, 1, 2, 65534, 65535, 65536, 131072]), max_size=6),
    st.booleans(),
    st.integers(0, 8),
)
@settings(max_examples=150, deadline=None)
def test_tail_is_the_last_lines(lengths, ends_with_newline, wanted):
    data = b"\n".join(b"x" * length for length in lengths) + b"\n" * ends_with_newline
    lines = data.splitlines(keepends=True)
    expected = b"".join(lines[len(lines) - min(wanted, len(lines)) :])
    with tempfile.TemporaryDirectory() as folder:
        archive = LogArchive(Path(folder))
        archive.append("job", 1, 0, data)
        assert data[archive.tail_offset("job", 1, wanted) :] == expected
