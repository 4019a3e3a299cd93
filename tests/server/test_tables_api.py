"""What the browser asks of the server, against a real one with real jobs."""

from __future__ import annotations

import csv
import http.client
import io
import json
import socket
import threading
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from pyarrow import parquet
from pydantic import TypeAdapter
from tests.live import LiveServer, make_folder

from atlas_server.domain.answers import curves, files, jobs, logs, projects, system, tables
from atlas_server.domain.query.syntax import quoted

ANSWERS = (curves, files, jobs, logs, projects, system, tables)

HOSTILE = "<img src=x onerror=alert(1)>\n\u202e\"'&"
TRACKS = f"""
import foundations, sys
params = foundations.load_parameters()
for step in range(100):
    foundations.log_metric("loss", 1 / (step + params["start"]), step=step)
foundations.log_metric("acc", float("nan"))
foundations.log_metric("acc", params["start"] / 10)
foundations.set_tag("kind", "made")
foundations.set_tag({HOSTILE!r}, {HOSTILE!r})
open("page.html", "w").write("<script>1</script>")
open("clip.mp4", "wb").write(bytes(range(256)) * 4)
foundations.save_artifact("page.html", "page")
foundations.save_artifact("page.html", "page")
foundations.save_artifact("clip.mp4", "a/b clip")
for n in range(1000):
    print("line", n, "é" if n == 500 else "")
print({HOSTILE!r})
"""

WAITS = """
import threading
print("begun", flush=True)
threading.Event().wait()
"""


class Site:
    """A server with three finished jobs of the project `vision`, one waiting of `speech`."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.address = urlsplit(server.url).netloc
        folder = make_folder(server.root / "code", tracks=TRACKS, waits=WAITS)
        self.jobs = [
            server.send(
                folder, "tracks.py", project="vision", name=name, params={"start": start},
                tags={"sweep": "a"} if start < 3 else {}, user="ada",
            )
            for start, name in ((1, "first"), (2, HOSTILE), (3, None))
        ]  # fmt: skip
        for job in self.jobs:
            server.completed(job)
        self.running = server.send(folder, "waits.py", project="speech", resources={"cpus": 2})
        server.has_logged(self.running, b"begun")
        self.waiting = [
            server.send(folder, "waits.py", project="speech", resources={"cpus": 2})
            for _ in range(3)
        ]

    def ask(
        self, method: str, path: str, value: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            body = None if value is None else json.dumps(value).encode()
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            sent = {"Content-Type": "application/json", **named}
            connection.request(method, "/api/v1" + path, body, sent)
            response = connection.getresponse()
            head = {name.lower(): text for name, text in response.getheaders()}
            return response.status, head, response.read()
        finally:
            connection.close()

    def get(self, path: str, shape: str | None = None, **values: Any) -> Any:
        query = urlencode(values, doseq=True)
        return self.json("GET", path + ("?" + query if query else ""), None, shape)

    def json(self, method: str, path: str, value: Any = None, shape: str | None = None) -> Any:
        status, _, body = self.ask(method, path, value)
        assert status < 300, body
        found = json.loads(body) if body else None
        if shape is not None:
            told_rightly(shape, found)
        return found

    def refused(self, method: str, path: str, value: Any = None, status: int = 409) -> Any:
        found, _, body = self.ask(method, path, value)
        assert found == status, body
        return json.loads(body)["error"]


def told_rightly(shape: str, value: Any) -> None:
    """Check an answer against the type that OpenAPI says it has, with nothing left over."""
    kind = next(vars(module)[shape] for module in ANSWERS if shape in vars(module))
    adapter = TypeAdapter(kind)
    adapter.validate_python(value, strict=False)
    assert set(value) <= all_keys(kind), set(value) - all_keys(kind)


def all_keys(kind: Any) -> set[str]:
    return set(kind.__required_keys__) | set(kind.__optional_keys__)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("tables")) as server:
        yield Site(server)
        assert "Traceback" not in server.log(), server.log()


def ids(page: Any) -> list[str]:
    return [job["job_id"] for job in page["jobs"]]


def test_a_window_of_a_table(site):
    first, second, third = site.jobs
    page = site.get("/listing", "JobPage", project="vision")
    assert (page["total"], ids(page)) == (3, [third, second, first])
    page = site.get("/listing", project="vision", sort="-params.start", offset=1, limit=1)
    assert (page["total"], page["offset"], ids(page)) == (3, 1, [second])
    page = site.get("/listing", query="params.start >= 2 and tag:sweep=a sort:name")
    assert ids(page) == [second]
    page = site.get("/listing", query="project:vision sort:best(metrics.acc)", sort="params.start")
    assert ids(page) == [first, second, third]
    assert site.get("/listing", ids=[second, first])["total"] == 2
    assert site.refused("GET", "/listing?project=visoin", status=404)["hint"].startswith("Did you")


def test_rows_have_what_is_asked_for(site):
    row = site.get("/listing", query="params.start:1", project="vision")["jobs"][0]
    assert row["metrics"]["loss"] == {
        "value": 0.01, "step": 99, "time": row["metrics"]["loss"]["time"], "count": 100,
        "min": 0.01, "max": 1, "best": 0.01,
    }  # fmt: skip
    assert row["params"] == {"start": 1}
    assert row["tags"]["sweep"] == "a"
    some = site.get("/listing", project="vision", columns=["metrics.acc", "tags.kind", "name"])
    assert [(set(r["params"]), set(r["metrics"]), r["tags"]) for r in some["jobs"]] == [
        (set(), {"acc"}, {"kind": "made"})
    ] * 3
    none = site.get("/listing", project="vision", columns="")
    assert none["jobs"][0]["metrics"] == {} == none["jobs"][0]["tags"]


def test_hostile_names_come_back_as_text(site):
    _, head, body = site.ask("GET", "/listing?project=vision")
    assert head["content-type"] == "application/json"
    row = next(r for r in json.loads(body)["jobs"] if r["name"])
    assert any(r["name"] == HOSTILE for r in json.loads(body)["jobs"]), row
    assert row["tags"][HOSTILE] == HOSTILE
    found = site.get("/listing", project="vision", query=f"tags.{quoted(HOSTILE)} ~ onerror")
    assert found["total"] == 3
    lines = site.get(f"/jobs/{site.jobs[0]}/log/lines", "LogLines", first=-3)
    assert lines["lines"][1] == "<img src=x onerror=alert(1)>"


def test_mistakes_of_queries_are_told_with_their_place(site):
    error = site.refused("GET", "/listing?query=metrics.loss+%3C+", status=400)
    assert error["code"] == "invalid_query"
    assert error["details"] == {"position": 14, "length": 1, "suggestions": []}
    check = site.get("/query/check", "QueryCheck", query="los < 1", project="vision")
    assert not check["valid"]
    assert check["error"]["suggestions"][0] == "metrics.loss"
    check = site.get("/query/check", query="metrics.los < 1 sort:-metrics.acc", project="vision")
    assert check["valid"]
    assert check["unknown"][0]["suggestions"] == ["metrics.loss"]
    assert (check["sort"], check["without_sort"]) == (["-metrics.acc"], "metrics.los < 1")
    words = site.get("/query/complete", "Completion", text="status:fa", project="vision")
    assert (words["start"], words["words"][0]["text"]) == (7, "failed")
    words = site.get("/query/complete", text="tags.kind = ", project="vision")
    assert words["words"][0]["text"] == "made"
    assert site.refused("GET", "/listing?tz=Nowhere", status=400)["code"] == "invalid_request"


def test_columns_and_their_values(site):
    columns = site.get("/columns", "Columns", project="vision")
    assert columns["params"] == [
        {"name": "start", "jobs": 3, "numbers": 3, "texts": 0, "others": 0}
    ]
    assert columns["metrics"] == [
        {"name": "acc", "jobs": 3, "numbers": 3, "goal": "max"},
        {"name": "loss", "jobs": 3, "numbers": 3, "goal": "min"},
    ]
    assert {tag["name"]: tag["jobs"] for tag in columns["tags"]}["sweep"] == 2
    values = site.get("/columns/values", "ColumnValues", project="vision", column="params.start")
    assert (values["min"], values["max"], values["more"]) == (1, 3, False)
    assert values["values"] == [{"value": n, "jobs": 1} for n in (1, 2, 3)]
    table = site.get(
        "/values", "ValueTable", project="vision", sort="params.start",
        columns=["params.start", "min(metrics.loss)", "name", "metrics.nothing"],
    )  # fmt: skip
    assert table["jobs"] == site.jobs
    assert table["columns"]["params.start"] == [1, 2, 3]
    assert table["columns"]["min(metrics.loss)"][0] == 0.01
    assert table["columns"]["metrics.nothing"] == [None] * 3
    groups = site.get("/groups", "Groups", project="vision", by="tags.sweep", metrics="metrics.acc")
    assert groups["groups"][0]["by"] == ["a"]
    spread = groups["groups"][0]["metrics"]["metrics.acc"]
    assert spread["mean"] == pytest.approx(0.15)
    assert spread["deviation"] == pytest.approx(0.05 * 2**0.5)


def test_curves(site):
    asked = [(site.jobs[0], "loss"), (site.jobs[1], "acc")]
    wanted = {"curves": [{"job": job, "metric": name} for job, name in asked]}
    loss, acc = site.json("POST", "/curves", wanted, "Curves")["curves"]
    assert (loss["count"], loss["last"], loss["sampled"]) == (100, 100, False)
    assert loss["step"] == list(range(100))
    assert acc["value"] == ["NaN", 0.2]
    few = site.json("POST", "/curves", {**wanted, "points": 20})["curves"][0]
    assert few["sampled"]
    assert len(few["value"]) <= 20
    assert (few["value"][0], few["value"][-1]) == (1, 0.01)
    part = {**wanted, "from": 10, "to": 12, "axis": "step"}
    assert site.json("POST", "/curves", part)["curves"][0]["step"] == [10, 11, 12]
    later = {"curves": [{"job": site.jobs[0], "metric": "loss", "after": 98}]}
    assert site.json("POST", "/curves", later)["curves"][0]["seq"] == [99, 100]


def test_logs_by_lines(site):
    job = site.jobs[0]
    found = site.get(f"/jobs/{job}/log/search", "LogMatches", text="LINE 50")
    begin = found["matches"][0]["line"] - 50
    assert [match["line"] - begin for match in found["matches"]][:2] == [50, 500]
    lines = site.get(f"/jobs/{job}/log/lines", "LogLines", first=begin + 499, count=3)
    assert lines["lines"] == ["line 499 ", "line 500 é", "line 501 "]
    assert lines["total_lines"] == begin + 1002
    assert found["next"] is None
    one = found["matches"][1]
    assert one["text"][one["start"] : one["end"]] == "line 50"
    _, _, body = site.ask("GET", f"/jobs/{job}/logs?offset={one['offset']}&limit=8")
    assert body == b"line 500"
    found = site.get(f"/jobs/{job}/log/search", text="9{3}", regex=True, case=True)
    assert [match["line"] - begin for match in found["matches"]] == [999]
    assert site.refused("GET", f"/jobs/{job}/log/search?text=(&regex=1", status=400)
    assert site.refused("GET", f"/jobs/{job}/log/lines?attempt=5", status=404)


def test_files_are_served_safely(site):
    job = site.jobs[0]
    artifacts = site.get(f"/jobs/{job}/artifacts", "Artifacts")["artifacts"]
    assert [(a["key"], a["version"], a["type"]) for a in artifacts] == [
        ("a/b clip", 1, "video/mp4"), ("page", 1, "text/html"), ("page", 2, "text/html"),
    ]  # fmt: skip
    path = f"/jobs/{job}/artifacts/content?key=page"
    status, head, body = site.ask("GET", path)
    assert (status, body) == (200, b"<script>1</script>")
    assert head["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert head["x-content-type-options"] == "nosniff"
    assert head["content-disposition"].startswith("inline")
    assert site.ask("GET", path, None, If_None_Match=head["etag"])[0] == 304
    assert site.ask("GET", path + "&download=1")[1]["content-disposition"].startswith("attachment")
    clip = f"/jobs/{job}/artifacts/content?key={quote('a/b clip')}"
    status, head, body = site.ask("GET", clip, None, Range="bytes=10-19")
    assert (status, head["content-range"], body) == (206, "bytes 10-19/1024", bytes(range(10, 20)))
    assert site.ask("GET", clip, None, Range="bytes=-4")[2] == bytes(range(252, 256))
    assert site.ask("GET", clip, None, Range="bytes=2000-")[0] == 416
    files = site.get(f"/jobs/{job}/files", "Files")["files"]
    assert {file["path"] for file in files} == {"tracks.py", "waits.py"}
    status, head, body = site.ask("GET", f"/jobs/{job}/files/content?path=tracks.py")
    assert head["content-type"] == "text/plain; charset=utf-8"
    assert b"load_parameters" in body
    made = site.get(f"/jobs/{job}/files", of="results")["files"]
    assert {file["path"] for file in made} >= {"page.html", "clip.mp4"}
    assert site.refused("GET", f"/jobs/{job}/files/content?path=../x", status=404)
    assert site.refused("GET", f"/jobs/{job}/artifacts/content?key=pag", status=404)


def test_jobs_are_edited(site):
    job = site.jobs[2]
    edit = {"name": "third", "notes": "# Good", "tags": {"best": ""}, "untag": ["kind"]}
    row = site.json("PATCH", f"/jobs/{job}", edit, "JobRow")
    assert (row["name"], row["notes"]) == ("third", "# Good")
    assert "best" in row["tags"]
    assert "kind" not in row["tags"]
    for query in ("notes:good", "third", "name = third"):
        assert ids(site.get("/listing", query=query)) == [job]
    edit = {"name": None, "tags": {"kind": "made"}, "untag": ["best"]}
    row = site.json("PATCH", f"/jobs/{job}", edit)
    assert (row["name"], row["notes"]) == (None, "# Good")
    assert {"kind", "sweep"} - set(row["tags"]) == {"sweep"}
    told = site.get(f"/jobs/{job}/reproduce", "Reproduction")
    assert told["command"] == f"foundations rerun {job}"
    assert "--params '{\"start\": 3}'" in told["from_code"]
    assert site.get(f"/jobs/{job}", "JobDetails")["history"][-1]["kind"] == "job.edited"


def test_bulk(site):
    some = {"query": "params.start <= 2", "project": "vision"}
    wanted = {"action": "tag", **some, "tags": {"x": "1"}}
    dry = site.json("POST", "/bulk", {**wanted, "dry_run": True}, "BulkDone")
    assert (dry["matched"], set(dry["done"])) == (2, set(site.jobs[:2]))
    assert site.get("/listing", query="tag:x")["total"] == 0
    error = site.refused("POST", "/bulk", {**wanted, "expected": 3})
    assert "2 jobs fit by now" in error["message"]
    assert site.json("POST", "/bulk", {**wanted, "expected": 2})["done_total"] == 2
    assert site.get("/listing", query="tag:x=1")["total"] == 2
    site.json("POST", "/bulk", {"action": "untag", "jobs": site.jobs, "keys": ["x"]})
    assert site.get("/columns", project="vision")["tags"][-1]["name"] != "x"
    error = site.refused("POST", "/bulk", {"action": "delete", "query": "missing:metrics.los"}, 400)
    assert error["message"] == "No job has metrics.los. Did you mean metrics.loss?"
    dry = site.json("POST", "/bulk", {"action": "delete", "query": "", "dry_run": True})
    assert dry["matched"] == 7
    assert set(dry["done"]) == set(site.jobs)
    assert dry["refused_total"] == 4
    assert site.refused("POST", "/bulk", {"action": "stop"}, 400)


def test_the_queue_is_put_in_another_order(site):
    def order() -> list[str]:
        return [job["job_id"] for job in site.get("/queue", "Queue")["queued"]]

    def until(expected: list[str]) -> None:
        site.server.wait_for(lambda: order() == expected, "the new order")

    one, two, three = site.waiting
    until([one, two, three])
    site.json("POST", "/queue/move", {"job": three, "before": two}, "PlainJob")
    until([one, three, two])
    site.json("POST", "/queue/move", {"job": two, "to": "front"})
    until([two, one, three])
    site.json("POST", "/queue/move", {"job": two, "to": "back"})
    until([one, three, two])
    site.json("POST", "/queue/move", {"job": two, "priority": 3})
    until([two, one, three])
    for _ in range(25):  # more often than there is room between two places
        site.json("POST", "/queue/move", {"job": three, "before": one})
        site.json("POST", "/queue/move", {"job": one, "before": three})
    until([two, one, three])
    assert site.refused("POST", "/queue/move", {"job": site.jobs[0], "to": "front"})
    assert site.refused("POST", "/queue/move", {"job": one}, 400)


def test_nodes_show_what_goes_on(site):
    node = site.get("/nodes", "Nodes")["nodes"][0]
    assert node["live"]["memory_total"] >= node["live"]["memory_used"] > 0
    assert [job["job_id"] for job in node["jobs"]] == [site.running]
    site.get("/server", "ServerShown")
    site.get("/health", "Health")


def test_projects(site):
    vision = site.get("/projects/vision", "Project")
    assert vision["best"] == {"metric": "acc", "goal": "max", "value": 0.3, "job_id": site.jobs[2]}
    change = {"description": "# Eyes", "metric": "loss", "goals": {"loss": "max"}}
    vision = site.json("PATCH", "/projects/vision", change, "Project")
    assert vision["description"] == "# Eyes"
    assert vision["best"]["value"] == 1
    assert site.json("PATCH", "/projects/vision", {"name": "eyes"})["name"] == "eyes"
    assert site.get("/listing", project="eyes")["total"] == 3
    assert site.refused("PATCH", "/projects/eyes", {"name": "speech"})
    assert site.refused("PATCH", "/projects/eyes", {"name": ".."}, 400)
    again = site.json("POST", f"/jobs/{site.jobs[0]}/rerun", {"resources": {"cpus": 2}})
    assert again["project"] == "eyes"
    site.json("POST", f"/jobs/{again['job_id']}/stop")
    site.json("DELETE", f"/jobs/{again['job_id']}")
    note = site.json("POST", "/projects/eyes/notes", {"body": HOSTILE, "author": "ada"}, "Note")
    assert note["body"] == HOSTILE
    path = f"/projects/eyes/notes/{note['id']}"
    assert site.json("PATCH", path, {"body": "better"})["edited_at"] is not None
    assert [n["body"] for n in site.get("/projects/eyes/notes", "Notes")["notes"]] == ["better"]
    site.json("DELETE", path)
    assert site.get("/projects/eyes/notes")["notes"] == []
    site.json("PATCH", "/projects/eyes", {"archived": True})
    assert [p["name"] for p in site.get("/projects", "Projects")["projects"]] == ["speech"]
    assert [p["name"] for p in site.get("/projects", archived="true")["projects"]] == ["eyes"]
    site.json("PATCH", "/projects/eyes", {"archived": False, "name": "vision"})
    assert site.refused("DELETE", "/projects/speech")["message"].endswith("are not over.")


def test_tables_are_exported(site):
    columns = ["id", "params.start", "min(metrics.loss)", "metrics.acc", "submitted"]
    wanted = urlencode({"project": "vision", "sort": "params.start", "columns": columns}, True)
    status, head, body = site.ask("GET", f"/export?{wanted}")
    assert (status, head["content-disposition"]) == (200, 'attachment; filename="jobs.csv"')
    rows = list(csv.reader(io.StringIO(body.decode())))
    assert rows[0] == columns
    assert next(row[:4] for row in rows[1:]) == [site.jobs[0], "1", "0.01", "0.1"]
    assert rows[1][4].endswith("+00:00")
    found = json.loads(site.ask("GET", f"/export?{wanted}&format=json")[2])
    assert [row["id"] for row in found] == site.jobs
    lines = site.ask("GET", f"/export?{wanted}&format=jsonl")[2].splitlines()
    assert [json.loads(line) for line in lines] == found
    data = site.ask("GET", f"/export?{wanted}&format=parquet")[2]
    table = parquet.read_table(io.BytesIO(data))
    assert table.column("params.start").to_pylist() == [1.0, 2.0, 3.0]
    assert table.column("id").to_pylist() == site.jobs
    everything = json.loads(site.ask("GET", "/export?project=vision&format=json")[2])
    assert everything[-1]["tags.kind"] == "made"
    assert site.ask("GET", "/export?query=status:queued+name:nothing&format=json")[2] == b"[]\n"
    formula = {"name": "=1+1", "tags": {"-x": "+cmd"}}
    site.json("PATCH", f"/jobs/{site.jobs[0]}", formula)
    text = site.ask("GET", f"/export?project=vision&query=id:{site.jobs[0]}")[2].decode()
    assert "'=1+1" in text
    assert "'+cmd" in text


class Watch:
    """What the feed tells, in a thread."""

    def __init__(self, site: Site, path: str, **headers: str) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self._changed = threading.Condition()
        self._connection = http.client.HTTPConnection(site.address, timeout=60)
        self._connection.request("GET", "/api/v1" + path, headers=headers)
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._response.close()
        self._connection.close()
        self._socket.close()

    def _read(self) -> None:
        name = key = ""
        for line in self._response:
            text = line.decode().rstrip("\n")
            field, _, value = text.partition(": ")
            if field == "id":
                key = value
            elif field == "event":
                name = value
            elif field == "data":
                with self._changed:
                    self.events.append((name, key, json.loads(value)))
                    self._changed.notify_all()
                key = ""

    def until(self, wanted: Any) -> tuple[str, str, Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self.events)), 30), self.events
            return next(event for event in self.events if wanted(event))


def test_the_feed_tells_what_changes_and_goes_on_where_it_broke(site):
    job = site.jobs[0]
    with Watch(site, "/feed?project=vision") as watch:
        hello = watch.until(lambda event: event[0] == "hello")
        site.json("PATCH", f"/jobs/{site.waiting[0]}", {"notes": "elsewhere"})
        site.json("PATCH", f"/jobs/{job}", {"notes": "seen"})
        told = watch.until(lambda event: event[0] == "jobs")
        assert told[2]["changed"] == [job]
        site.json("PATCH", "/projects/vision", {"description": "new"})
        watch.until(lambda event: event[0] == "projects")
    with Watch(site, "/feed", **{"Last-Event-ID": hello[1]}) as resumed:
        both = resumed.until(lambda event: event[0] == "jobs")
        assert set(both[2]["changed"]) >= {job, site.waiting[0]}
    with Watch(site, "/feed?since=other:3") as stranger:
        stranger.until(lambda event: event[0] == "reload")


def test_every_endpoint_for_browsers_has_a_typed_answer(site):
    document = site.get("/openapi.json")
    untyped = [
        path
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.split("/")[3] in ("listing", "columns", "values", "groups", "query", "curves",
                                  "bulk", "projects", "nodes", "server", "queue")
        and method != "delete"
        and not path.endswith("/live")  # a stream of events
        and "content" not in operation["responses"].get("200", operation["responses"].get("201"))
    ]  # fmt: skip
    assert untyped == []
    row = document["components"]["schemas"]["JobRow"]["properties"]
    assert row["state"]["enum"][0] == "queued"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_pages_of_other_sites_change_nothing(site, headers):
    for method, path in (("POST", "/bulk"), ("PATCH", "/projects/vision"), ("DELETE", "/queue")):
        assert site.ask(method, path, {}, **headers)[0] == 409
    assert site.ask("GET", "/listing", None, Host="evil.example")[0] == 409
