"""A model hub on a loopback port: as much of its HTTP interface as a download needs, and its ways to fail."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_API = re.compile(r"/api/models/(?P<repo>.+?)(?:/(?P<kind>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<repo>.+?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


class FakeHub:
    """Serves repositories until its ``with`` block ends.

    Parameters
    ----------
    repos : Mapping
        ``org/name`` -> revision -> folder with the files of that revision.

    Attributes
    ----------
    url : str
        What ``HF_ENDPOINT`` is set to.
    requests : list of tuple
        Method, path and Authorization header of each request so far.
    gated : bool
        Answer every request as for a repository whose terms were not accepted.
    cut : str
        File whose connection breaks after half of its bytes; empty for none.
    """

    def __init__(self, repos: Mapping[str, Mapping[str, Path]]) -> None:
        self.repos = repos
        self.requests: list[tuple[str, str, str | None]] = []
        self.gated = False
        self.cut = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def commit(self, repo: str, revision: str) -> str:
        """Return the commit that a revision stands for; a commit stands for itself."""
        commits = {name: hashlib.sha1(f"{repo} {name}".encode()).hexdigest() for name in self.repos[repo]}
        return revision if revision in commits.values() else commits[revision]

    def folder(self, repo: str, commit: str) -> Path:
        """Return the folder that a commit is served from."""
        return next(folder for name, folder in self.repos[repo].items() if self.commit(repo, name) == commit)

    def fetched(self) -> set[str]:
        """Return the names of the files that were asked for with GET."""
        paths = [_FILE.fullmatch(path) for method, path, _ in self.requests if method == "GET"]
        return {match["file"] for match in paths if match}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read `FakeHub.requests`."""

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Authorization")))
        match = _API.fullmatch(path) or _FILE.fullmatch(path)
        if match is None or match["repo"] not in self.hub.repos:
            self._fail(404, "RepoNotFound")
        elif self.hub.gated:
            self._fail(403, "GatedRepo")
        else:
            repo = match["repo"]
            try:
                commit = self.hub.commit(repo, match["revision"] or "main")
            except KeyError:
                self._fail(404, "RevisionNotFound")
                return
            if "file" in match.groupdict():
                self._file(self.hub.folder(repo, commit) / match["file"], commit, body=body)
            else:
                self._listing(repo, commit, tree=match["kind"] == "tree")

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _listing(self, repo: str, commit: str, *, tree: bool) -> None:
        folder = self.hub.folder(repo, commit)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        entries = [
            {"type": "file", "path": name, "size": path.stat().st_size, "oid": _etag(path)}
            for name, path in zip(names, files, strict=True)
        ]
        info = {
            "id": repo,
            "modelId": repo,
            "sha": commit,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        value = entries if tree else info | {"siblings": [{"rfilename": name} for name in names]}
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, path: Path, commit: str, *, body: bool) -> None:
        if not path.is_file():
            self._fail(404, "EntryNotFound")
            return
        content = path.read_bytes()
        begin = re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", ""))
        start = int(begin[1]) if begin else 0
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{_etag(path)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        if path.name == self.hub.cut:
            self.wfile.write(content[start : (start + len(content)) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
