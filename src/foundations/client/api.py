"""One method for each endpoint of the server's API.

Answers are JSON objects as `foundations.contract` and the server's OpenAPI describe them.
"""

from __future__ import annotations

import json

from foundations import config
from foundations.client.http import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

    Json = Dict[str, Any]

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """Return `text` as one component of a path or query."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _SAFE else "%{:02X}".format(byte) for byte in data)


def query(values: Dict[str, Any]) -> str:
    """Return `?name=value&...` without the values that are None; lists repeat their name."""
    parts = []
    for name, value in values.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None:
                parts.append("{}={}".format(name, quote(str(item))))
    return "?" + "&".join(parts) if parts else ""


class Api:
    """A server's API, over one connection. Methods raise FoundationsError."""

    def __init__(self, url: str, token: Optional[str] = None) -> None:
        self.connection = Connection(url, token)
        self.url = url

    @classmethod
    def of_user(cls, url: str) -> Api:
        """Return the API of a server for whoever uses this program: with what shows who it is."""
        api = cls(url, config.token(url))
        api.connection.renew = config.token
        return api

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def health(self) -> Json:
        """Return the server's version, process and home."""
        return self._get("/health")

    def server(self) -> Json:
        """Return nodes, what is free on them, and the number of jobs in each state."""
        return self._get("/server")

    def nodes(self) -> List[Json]:
        """Return every node with what goes on there."""
        return self._get("/nodes")["nodes"]

    # -- accounts

    def me(self) -> Json:
        """Return `{authentication, user}`: whether the server asks who somebody is, and who."""
        return self._get("/auth/me")

    def login(self, user: str, password: str, name: str) -> Json:
        """Return `{user, token, ports}` for whoever knows a user's password."""
        return self._call("POST", "/auth/login", {"user": user, "password": password, "name": name})

    def logout(self, everywhere: bool = False) -> None:
        """End this login, or all sessions and logins of the user."""
        self._call("POST", "/auth/logout", {"everywhere": everywhere})

    def tokens(self) -> List[Json]:
        """Return one's personal tokens, logins and sessions, the newest first."""
        return self._get("/tokens")["tokens"]

    def create_token(self, name: str, scope: str, lifetime: Optional[float]) -> Json:
        """Return `{secret, token}`: a new personal token; `lifetime` in seconds."""
        return self._call("POST", "/tokens", {"name": name, "scope": scope, "lifetime": lifetime})

    def revoke_token(self, key: int) -> None:
        """End a token, login or session."""
        self._call("DELETE", "/tokens/{}".format(key))

    # -- bundles

    def send_manifest(self, data: bytes) -> Tuple[str, List[str]]:
        """Store a manifest; return its digest and the blobs that the server lacks."""
        answer = json.loads(self.connection.request("POST", "/api/v1/bundles", data).read())
        return answer["digest"], answer["missing"]

    def send_blobs(self, parts: Iterable[bytes]) -> None:
        """Send a pack: for each blob its digest (64 letters), size (16 hex digits) and bytes."""
        self.connection.request("POST", "/api/v1/blobs", parts, timeout=600.0).read()

    def blob(self, digest: str) -> Iterator[bytes]:
        """Yield the content of a blob."""
        return self.connection.request("GET", "/api/v1/blobs/" + digest).chunks

    # -- jobs

    def submit(self, spec: Json, job_id: str) -> Json:
        """Queue a job under an ID of our choice, so that sending it twice is harmless."""
        return self._call("POST", "/jobs" + query({"job_id": job_id}), spec)

    def submit_batch(self, spec: Json, jobs: List[Json]) -> List[str]:
        """Queue a job for each `{"job_id", "params"}`, all or none; return their IDs."""
        return self._call("POST", "/jobs/batch", {"spec": spec, "jobs": jobs}, 600.0)["job_ids"]

    def check(self, spec: Json) -> Json:
        """Return what submitting `spec` would do, without doing it."""
        return self._call("POST", "/jobs/check", spec)

    def jobs(self, **conditions: Any) -> Json:
        """Return `{"jobs": [...], "next": cursor or null}`, newest first."""
        return self._get("/jobs" + query(conditions))

    def listing(self, **conditions: Any) -> Json:
        """Return `{total, offset, jobs, unknown}`: a window of the jobs that a query selects."""
        return self._get("/listing" + query(conditions))

    def complete_query(self, text: str, project: Optional[str]) -> Json:
        """Return `{start, end, words}`: what may be typed at the end of a query."""
        return self._get("/query/complete" + query({"text": text, "project": project}))

    def bulk(self, deed: Json) -> Json:
        """Do something with the jobs of a query or with these IDs, or only tell what would be."""
        return self._call("POST", "/bulk", deed)

    def edit(self, reference: str, changes: Json) -> Json:
        """Change a job's name, notes or tags."""
        return self._call("PATCH", "/jobs/" + quote(reference), changes)

    def job(self, reference: str) -> Json:
        """Return everything about a job named by its ID, a unique prefix of it, or `last`."""
        return self._get("/jobs/" + quote(reference))

    def stop(self, reference: str) -> Json:
        """Stop a job."""
        return self._call("POST", "/jobs/{}/stop".format(quote(reference)))

    def delete(self, reference: str) -> Json:
        """Delete a finished job."""
        return self._call("DELETE", "/jobs/" + quote(reference))

    def rerun(self, reference: str, changes: Json) -> Json:
        """Queue a copy of a job; `changes` replaces fields of its spec."""
        return self._call("POST", "/jobs/{}/rerun".format(quote(reference)), changes)

    def diff(self, first: str, second: str) -> Json:
        """Return how code, parameters and environment of two jobs differ."""
        return self._get("/jobs/{}/diff/{}".format(quote(first), quote(second)))

    def logs(self, reference: str, tail: Optional[int] = None) -> Iterator[bytes]:
        """Yield the log of a job's newest attempt as it stands."""
        path = "/api/v1/jobs/{}/logs{}".format(quote(reference), query({"tail": tail}))
        return self.connection.request("GET", path).chunks

    def stream(
        self, reference: str, attempt: int = 0, offset: int = 0, tail: Optional[int] = None
    ) -> Iterator[Tuple[str, Json]]:
        """Yield (event, data) until the job is over: `state` and `log` (attempt, offset, text).

        `waiting`, without data, comes now and then while nothing happens.
        Begins at byte `offset` of the log of `attempt` (0: of the newest).
        """
        path = "/api/v1/jobs/{}/stream{}".format(
            quote(reference), query({"attempt": attempt, "offset": offset, "tail": tail})
        )
        # The server sends a comment every few seconds: longer silence means it is gone.
        response = self.connection.request("GET", path, timeout=60.0)
        return _server_sent_events(response.chunks)

    def archive(self, reference: str, source: bool = True, results: bool = True) -> Iterator[bytes]:
        """Yield a gzipped tarball of a job's code and results."""
        which = query({"source": int(source), "results": int(results)})
        path = "/api/v1/jobs/{}/archive{}".format(quote(reference), which)
        return self.connection.request("GET", path, timeout=600.0).chunks

    def artifacts_archive(self, reference: str) -> Iterator[bytes]:
        """Yield a gzipped tarball of a job's artifacts."""
        path = "/api/v1/jobs/{}/artifacts.tgz".format(quote(reference))
        return self.connection.request("GET", path, timeout=600.0).chunks

    def directory(self, reference: str, key: str) -> List[Json]:
        """Return `{"path", "size", "mtime_ns"}` of each file of a synchronised directory."""
        path = "/jobs/{}/directory{}".format(quote(reference), query({"key": key}))
        return self._get(path)["files"]

    def directory_file(self, reference: str, key: str, path: str) -> Iterator[bytes]:
        """Yield the content of a file of a synchronised directory."""
        which = query({"key": key, "path": path})
        where = "/api/v1/jobs/{}/directory/file{}".format(quote(reference), which)
        return self.connection.request("GET", where, timeout=600.0).chunks

    def metric(self, reference: str, name: str) -> List[List[Any]]:
        """Return all points `[seq, time, step, value]` of one metric."""
        path = "/jobs/{}/metrics{}".format(quote(reference), "{}")
        points = []  # type: List[List[Any]]
        while True:
            after = points[-1][0] if points else 0
            page = self._get(path.format(query({"name": name, "after": after})))["points"]
            points.extend(page)
            if not page:
                return points

    # -- searches

    def start_search(self, wanted: Json) -> Json:
        """Start a search, see `POST /searches`; return its row."""
        return self._call("POST", "/searches", wanted)

    def searches(self, **conditions: Any) -> List[Json]:
        """Return searches, and jobs that programs submitted together, the newest first."""
        return self._get("/searches" + query(conditions))["searches"]

    def search(self, name: str, part: str = "") -> Json:
        """Return everything about a search, or the `part` /row, /trials or /importance."""
        return self._get("/searches/" + quote(name) + part)

    def change_search(self, name: str, deed: str, how: Json) -> Json:
        """Do `stop`, `resume` or `extend` with a search; return its row."""
        return self._call("POST", "/searches/{}/{}".format(quote(name), deed), how)

    def search_stream(self, name: str) -> Iterator[Tuple[str, Json]]:
        """Yield (`search`, row) at every change of a search until it is over."""
        path = "/api/v1/searches/{}/stream".format(quote(name))
        response = self.connection.request("GET", path, timeout=60.0)
        return _server_sent_events(response.chunks)

    # -- TensorBoard

    def open_tensorboard(self, job_ids: List[str]) -> Json:
        """Start a TensorBoard over jobs; return its `id` and the `path` of its pages."""
        return self._call("POST", "/tensorboards", {"jobs": job_ids}, 900.0)

    def keep_tensorboard(self, session_id: str) -> Json:
        """Count a TensorBoard as used. NotFound: it has ended."""
        return self._get("/tensorboards/" + quote(session_id))

    def end_tensorboard(self, session_id: str) -> None:
        """End a TensorBoard."""
        self._call("DELETE", "/tensorboards/" + quote(session_id))

    # -- queue and projects

    def queue(self) -> Json:
        """Return the jobs that run and those that wait, with why they wait."""
        return self._get("/queue")

    def clear_queue(self, project: Optional[str] = None, user: Optional[str] = None) -> Json:
        """Stop every waiting job; return `{"cleared": [job IDs]}`."""
        return self._call("DELETE", "/queue" + query({"project": project, "user": user}))

    def projects(self, archived: Optional[str] = None) -> List[Json]:
        """Return projects with the number of their jobs in each state; archived: true or all."""
        return self._get("/projects" + query({"archived": archived}))["projects"]

    def change_project(self, name: str, changes: Json) -> Json:
        """Rename, archive or describe a project."""
        return self._call("PATCH", "/projects/" + quote(name), changes)

    def delete_project(self, name: str) -> Json:
        """Delete a project with all its jobs; return `{project, deleted}`."""
        return self._call("DELETE", "/projects/" + quote(name))

    def results(self, project: str, selected: str = "") -> Iterator[List[Any]]:
        """Yield every job of a project, newest first, or those that a query has `selected`.

        NotFound: there is no such project.

        `[job_id, user, state, submitted_at, started_at, finished_at, given parameters or None,
        recorded parameters, newest values of the metrics, tags]`
        """
        path = "/api/v1/results" + query({"project": project, "query": selected or None})
        rest = b""
        for chunk in self.connection.request("GET", path, timeout=600.0).chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, lines)

    # -- runners

    def send_file(self, place: Json, content: Union[bytes, Iterable[bytes]]) -> None:
        """Send a file, or the part at `offset`, of an attempt's synchronised directory.

        `place` has attempt, directory, path, offset (None: the whole file), mtime_ns.
        """
        path = "/api/v1/runner/file" + query(place)
        self.connection.request("PUT", path, content, timeout=600.0).read()

    def report(self, payload: Json) -> Json:
        """Send a runner's report."""
        return self._call("POST", "/runner/report", payload)

    def take(self, job: Json) -> Json:
        """Announce a job that runs, or ran, without a scheduler."""
        return self._call("POST", "/jobs/executed", job)

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(
        self, method: str, path: str, payload: Any = None, timeout: Optional[float] = None
    ) -> Any:
        return self.connection.call(method, "/api/v1" + path, payload, timeout)


def _server_sent_events(chunks: Iterator[bytes]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Parse text/event-stream as WHATWG HTML describes it, for single-line JSON data."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        blocks = pending.split(b"\n\n")
        pending = blocks.pop()
        for block in blocks:
            event, data = "message", None
            for line in block.split(b"\n"):
                if line.startswith(b"event: "):
                    event = line[7:].decode()
                elif line.startswith(b":"):
                    event, data = "waiting", {}
                elif line.startswith(b"data: "):
                    data = json.loads(line[6:])
            if data is not None:
                yield event, data
