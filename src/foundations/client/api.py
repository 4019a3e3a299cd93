"""One method for each endpoint of the server's API.

Answers are JSON objects as `foundations.contract` and the server's OpenAPI describe them.
"""

from __future__ import annotations

import json

from foundations import config
from foundations.client.events import server_sent_events
from foundations.client.limits import LimitCalls
from foundations.client.paths import query, quote
from foundations.client.people import AccountCalls
from foundations.client.trials import SearchCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

    from foundations.client.messages import Pieces
    from foundations.client.persistence import Persistence

    Json = Dict[str, Any]

# Worth compressing.
_LONG = 1 << 16


class Api(AccountCalls, SearchCalls, LimitCalls):
    """A server's API, over one connection. Methods raise FoundationsError."""

    @classmethod
    def of_user(cls, url: str) -> Api:
        """Return the API of a server for whoever uses this program: with what shows who it is."""
        api = cls(url, config.token(url))
        api.connection.renew = config.token
        return api

    def another(self) -> Api:
        """Return a further connection to the same server."""
        api = Api(self.url, self.connection.token)
        api.connection.renew = self.connection.renew
        return api

    def health(self) -> Json:
        """Return the server's version, process and home."""
        return self._get("/health")

    def server(self) -> Json:
        """Return nodes, what is free on them, and the number of jobs in each state."""
        return self._get("/server")

    def nodes(self) -> List[Json]:
        """Return every node with what goes on there."""
        return self._get("/nodes")["nodes"]

    # -- bundles

    def send_manifest(self, data: bytes) -> Tuple[str, List[str]]:
        """Store a manifest; return its digest and the blobs that the server lacks."""
        body, headers = data, {}
        if len(data) > _LONG and not self.connection.address.is_here:
            import zlib  # most are short

            body, headers = zlib.compress(data, 1), {"Content-Encoding": "deflate"}
        answer = json.loads(
            self.connection.request("POST", "/api/v1/bundles", body, headers).read()
        )
        return answer["digest"], answer["missing"]

    def send_blobs(
        self, parts: Union[Pieces, Iterable[bytes]], headers: Optional[Dict[str, str]] = None
    ) -> None:
        """Send a pack: for each blob its digest (64 letters), size (16 hex digits) and bytes."""
        self.connection.request("POST", "/api/v1/blobs", parts, headers, timeout=600.0).read()

    def incoming(self, digest: str) -> Json:
        """Return `{"size", "complete"}`: how many bytes of a blob the server has."""
        return self._get("/blobs/{}/incoming".format(digest))

    def send_part(
        self,
        digest: str,
        offset: int,
        size: int,
        body: Pieces,
        headers: Dict[str, str],
        timeout: float,
    ) -> Json:
        """Send what comes at `offset` of a blob of `size` bytes; answers as `incoming` does."""
        path = "/api/v1/blobs/{}/incoming".format(digest)
        path += query({"offset": offset, "size": size})
        return json.loads(self.connection.request("PUT", path, body, headers, timeout).read())

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

    def export(self, **asked: Any) -> Iterator[bytes]:
        """Yield a file of all jobs that a query selects: CSV, JSON, JSON lines or Parquet."""
        path = "/api/v1/export" + query(asked)
        return self.connection.request("GET", path, timeout=600.0).chunks

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

    def logs(
        self, reference: str, tail: Optional[int] = None, again: Optional[Persistence] = None
    ) -> Iterator[bytes]:
        """Yield the log of a job's newest attempt as it stands, across cuts as `again` says."""
        from foundations.client.download import log
        from foundations.client.persistence import NEVER

        return log(self, "/api/v1/jobs/{}/logs".format(quote(reference)), tail, again or NEVER)

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
        return server_sent_events(response.chunks)

    def archive(
        self,
        reference: str,
        source: bool = True,
        results: bool = True,
        again: Optional[Persistence] = None,
    ) -> Iterator[bytes]:
        """Yield a gzipped tarball of a job's code and results, across cuts as `again` says."""
        which = {"source": int(source), "results": int(results)}
        return self._fetched("/api/v1/jobs/{}/archive".format(quote(reference)), which, again)

    def artifacts_archive(
        self, reference: str, again: Optional[Persistence] = None
    ) -> Iterator[bytes]:
        """Yield a gzipped tarball of a job's artifacts, across cuts as `again` says."""
        return self._fetched("/api/v1/jobs/{}/artifacts.tgz".format(quote(reference)), {}, again)

    def _fetched(self, path: str, asked: Json, again: Optional[Persistence]) -> Iterator[bytes]:
        from foundations.client.download import fetched
        from foundations.client.persistence import NEVER

        return fetched(self, path, asked, again or NEVER)

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

    def pilot(self, news: Json, patience: float) -> Json:
        """Tell what a pilot carries; returns what it is to do, within `patience` seconds."""
        return self._call("POST", "/runner/pilot", news, patience + 30.0)

    def claim(self, payload: Json) -> Json:
        """Return the assignment of a runner that shows its claim."""
        return self._call("POST", "/runner/claim", payload)

    def take(self, job: Json) -> Json:
        """Announce a job that runs, or ran, without a scheduler."""
        return self._call("POST", "/jobs/executed", job)
