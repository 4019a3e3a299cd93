"""Every endpoint and everybody: who reaches it, and who does not."""

from __future__ import annotations

import json

import pytest
from tests.guarded import GuardedServer, guarded

NOBODY = "ffffffff-ffff-4fff-8fff-ffffffffffff"
EVERYBODY = {"anonymous", "viewer", "other", "owner", "admin", "job", "stranger", "runner"}
PEOPLE = {"viewer", "other", "owner", "admin"}
MEMBERS = PEOPLE - {"viewer"}
# Who reaches what. `other` is a member, and so is the `owner` of the job that the path names; `job`
# has that job's own token, `stranger` that of another user's job, `runner` that of its runner.
REACHED = {
    "anybody": EVERYBODY,
    "people": PEOPLE,
    "readers of the job": PEOPLE | {"job"},
    "members": MEMBERS,
    "makers": MEMBERS | {"job", "stranger"},
    "copiers": MEMBERS | {"job"},
    "its own": {"owner", "admin", "job"},
    # Of a search that there is not; jobs have no say in those of other users.
    "readers of results": PEOPLE | {"job", "stranger"},
    "searchers": PEOPLE | {"job", "stranger"},
    "senders": MEMBERS | {"job", "stranger", "runner"},
    "fetchers": PEOPLE | {"runner"},
    "whoever shows anything": EVERYBODY - {"anonymous"},
    "admins": {"admin"},
}
TABLE = """
anybody:            GET /auth/me; POST /auth/login; GET /health
people:             POST /auth/logout; POST /auth/password; GET /tokens; POST /tokens
                    DELETE /tokens/{token}; GET /jobs; GET /projects; GET /projects/{project}
                    GET /projects/{project}/notes; GET /listing; GET /columns; GET /columns/values
                    GET /values; GET /groups; GET /query/check; GET /query/complete; POST /curves
                    GET /feed; GET /limits; GET /server; GET /nodes; GET /nodes/live
                    GET /queue; GET /export; GET /retention
                    POST /tensorboards; GET /tensorboards/{session_id}
                    DELETE /tensorboards/{session_id}; GET /searches
readers of results: GET /results
searchers:          GET /searches/{name}; GET /searches/{name}/row; GET /searches/{name}/trials
                    GET /searches/{name}/curves; GET /searches/{name}/importance
                    GET /searches/{name}/stream
readers of the job: GET /jobs/{reference}; GET /jobs/{reference}/diff/{other}
                    GET /jobs/{reference}/metrics; GET /jobs/{reference}/reproduce
                    GET /jobs/{reference}/logs; GET /jobs/{reference}/stream
                    GET /jobs/{reference}/log/lines; GET /jobs/{reference}/log/search
                    GET /jobs/{reference}/archive; GET /jobs/{reference}/artifacts.tgz
                    GET /jobs/{reference}/artifacts; GET /jobs/{reference}/artifacts/files
                    GET /jobs/{reference}/artifacts/content; GET /jobs/{reference}/files
                    GET /jobs/{reference}/files/content; GET /jobs/{reference}/directory
                    GET /jobs/{reference}/directory/file; GET /jobs/{reference}/system
members:            PATCH /projects/{project}; DELETE /projects/{project}
                    POST /projects/{project}/notes; PATCH /projects/{project}/notes/{note}
                    DELETE /projects/{project}/notes/{note}; POST /bulk; DELETE /queue
                    POST /queue/move
makers:             POST /searches/{name}/stop; POST /searches/{name}/resume
                    POST /searches/{name}/extend
                    POST /jobs; POST /jobs/batch; POST /jobs/check; POST /jobs/executed
                    POST /searches; POST /searches/check
copiers:            POST /jobs/{reference}/rerun
its own:            PATCH /jobs/{reference}; DELETE /jobs/{reference}; POST /jobs/{reference}/stop
senders:            POST /bundles; POST /blobs; GET /blobs/{digest}/incoming;
                    PUT /blobs/{digest}/incoming
fetchers:           GET /blobs/{digest}
whoever shows anything: POST /runner/report; PUT /runner/file; POST /runner/claim
                    POST /runner/pilot
admins:             GET /users; POST /users; PATCH /users/{user}; DELETE /users/{user}; GET /audit
                    PATCH /limits; DELETE /limits/{kind}/{name}; PATCH /nodes
                    PATCH /retention; DELETE /retention/{project}
"""


def the_table() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    who = ""
    for line in TABLE.strip().splitlines():
        head, separator, rest = line.partition(":")
        if separator and not line.startswith(" "):
            who = head
        else:
            rest = line
        for entry in filter(str.strip, rest.split(";")):
            method, path = entry.split()
            assert (method, path) not in found, entry
            found[method, path] = REACHED[who]
    return found


ENDPOINTS = the_table()


class Laboratory(GuardedServer):
    """mia's job runs, and so does otto's; what mia's job submits waits."""

    def __init__(self, server) -> None:
        super().__init__(server)
        self.job = self.running("mia")
        self.strange = self.running("otto")
        self.shown = {
            "anonymous": "", "viewer": "vera", "other": "otto", "owner": "mia", "admin": "ada",
            "job": self.job_token(self.job), "stranger": self.job_token(self.strange),
            "runner": self.attempt(self.job)[1],
        }  # fmt: skip

    def target(self, method: str, path: str) -> str:
        """The job that a request is about: a fresh one of mia's where it will be changed."""
        if method == "GET" or "{reference}" not in path or path.endswith("rerun"):
            return self.job
        return self.submit(self.shown["job"])


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    with_people = guarded(tmp_path_factory.mktemp("rights"))
    try:
        yield Laboratory(with_people)
        assert "Traceback" not in with_people.log(), with_people.log()
    finally:
        with_people.close()


def test_no_endpoint_is_missing_from_the_table(laboratory):
    document = laboratory.ask("GET", "/openapi.json", who="ada").json
    known = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert known == set(ENDPOINTS)


@pytest.mark.parametrize("who", sorted(EVERYBODY))
def test_who_reaches_which_endpoint(laboratory, who):
    wrong = []
    for (method, path), reached in ENDPOINTS.items():
        job = laboratory.target(method, path) if who in reached else laboratory.job
        filled = path.replace("{reference}", job).replace("{other}", job)
        for name in ("project", "session_id", "digest", "user"):
            filled = filled.replace("{" + name + "}", "nothing")
        filled = filled.replace("{token}", "99999").replace("{note}", "99999")
        # A body that is none: whoever gets so far is refused for that.
        body = None if method in ("GET", "DELETE") or path.endswith("stop") else b"{"
        headers = {"Content-Type": "application/json"}
        if path == "/auth/logout":
            headers = {}
        answer = laboratory.ask(method, filled, body, laboratory.shown[who], headers)
        expected = None if who in reached else 401 if who == "anonymous" else 403
        refused = answer.status if answer.status in (401, 403) else None
        if refused != expected or answer.status >= 500:
            wrong.append((method, path, answer.status, answer.body[:200]))
    assert wrong == []


def test_a_job_reads_results_of_its_own_project_alone(laboratory):
    other = laboratory.submit("mia", project="other")

    def results(project, who):
        return laboratory.ask("GET", f"/results?project={project}", who=who)

    own, stranger = laboratory.shown["job"], laboratory.shown["stranger"]
    found = results("tests", own)
    jobs = {json.loads(line)[0] for line in found.body.splitlines()}
    assert {laboratory.job, laboratory.strange} <= jobs
    assert other not in jobs
    assert found.body == results("tests", "mia").body == results("tests", stranger).body
    for project in ("other", "nothing"):
        refused = results(project, own)
        assert refused.status == 403
        assert "its own project, 'tests'" in refused.error["message"]
    # Whose user is nobody any more is left what is its own.
    assert laboratory.ask("DELETE", "/users/otto", who="ada").status == 204
    assert results("tests", stranger).status == 403
    assert laboratory.ask("GET", f"/jobs/{laboratory.strange}", who=stranger).status == 200
