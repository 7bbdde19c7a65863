"""A Hub on loopback: repositories, commits, branches, LFS, as huggingface_hub 2.x speaks to it.

`drop(step, times)` makes the server hang up at a step, before its effect ("STEP") or after it
("STEP:after"). Steps are the values of `_ROUTES`. What happened is in `requests` and `repos`.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

GOOD_TOKEN = "hf_" + "Good" * 8
READ_TOKEN = "hf_" + "Read" * 8  # may read, may not write
SIGNATURE = "sig-of-an-upload"

_REPO = r"(?P<type>datasets|models)/(?P<repo>[^/]+/[^/]+)"
_ROUTES = [
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate-yaml"),
    ("POST", rf"/api/{_REPO}/preupload/(?P<rev>[^/]+)", "preupload"),
    ("POST", rf"/api/{_REPO}/commit/(?P<rev>[^/]+)", "commit"),
    ("POST", rf"/api/{_REPO}/branch/(?P<rev>[^/]+)", "branch"),
    ("PUT", rf"/api/{_REPO}/settings", "settings"),
    ("POST", rf"/api/{_REPO}/paths-info/(?P<rev>[^/]+)", "paths-info"),
    ("GET", rf"/api/{_REPO}/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?", "tree"),
    ("GET", rf"/api/{_REPO}(?:/revision/(?P<rev>[^/]+))?", "info"),
    ("POST", r"/(?:(?P<type>datasets)/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs"),
    ("PUT", r"/upload/(?P<path>[0-9a-f]{64})", "upload"),
    (
        "GET|HEAD",
        r"/(?:(?P<type>datasets)/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)",
        "resolve",
    ),
]


class HubError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Commit:
    parent: str | None
    message: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """One repository; `lfs` names the files that are stored by their SHA-256."""

    private: bool
    gated: Any = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    lfs: set[str] = field(default_factory=set)

    def commit(self, branch: str, message: str, files: dict[str, bytes]) -> str:
        parent = self.branches.get(branch)
        blobs = {name: hashlib.sha1(content).hexdigest() for name, content in files.items()}
        key = json.dumps([parent, message, sorted(blobs.items()), len(self.commits)])
        sha = hashlib.sha1(key.encode()).hexdigest()
        self.commits[sha] = Commit(parent, message, files)
        self.branches[branch] = sha
        return sha

    def head(self, revision: str) -> str:
        if revision in self.commits:
            return revision
        if revision not in self.branches:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.branches[revision]

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.commits[self.head(branch)].files

    def oid(self, path: str, content: bytes) -> str:
        if path in self.lfs:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class LoopbackHub:
    """Use as a context manager; `reset` forgets everything."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.reset()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                hub._answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that was hung up on is expected here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def reset(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []  # method and step
        self._drops: Counter[str] = Counter()
        self._edits: list[tuple[str, Repo, dict[str, bytes]]] = []

    def drop(self, step: str, times: int = 1_000) -> None:
        """Hang up at this step, so many times."""
        self._drops[step] = times

    def mend(self) -> None:
        """Stop hanging up."""
        self._drops.clear()

    def dataset(self, name: str) -> Repo:
        return self.repos["datasets", name]

    def edit_at(self, step: str, repo: Repo, files: dict[str, bytes]) -> None:
        """Let someone else commit these files when this step is asked for next."""
        self._edits.append((step, repo, files))

    def contents(self) -> Any:
        """What anyone could tell of the repositories: commits, branches, access."""
        return {
            key: (repo.private, repo.gated, dict(repo.branches), sorted(repo.commits))
            for key, repo in self.repos.items()
        }

    def __enter__(self) -> "LoopbackHub":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- one request ---------------------------------------------------------------------------

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        step, place = self._route(request.command, parts.path)
        if self._drops[step] > 0:
            self._drops[step] -= 1
            return self._hang_up(request)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._lock:
            self.requests.append((request.command, step))
            for edit in [edit for edit in self._edits if edit[0] == step]:
                self._edits.remove(edit)
                edit[1].commit("main", "by someone else", {**edit[1].files(), **edit[2]})
            try:
                self._check_token(request, step)
                status, headers, content = self._do(step, place, body, request, parts.query)
            except HubError as error:
                headers = {"X-Error-Message": error.message}
                headers |= {"X-Error-Code": error.code} if error.code else {}
                status, content = error.status, json.dumps({"error": error.message}).encode()
        if self._drops[f"{step}:after"] > 0:
            self._drops[f"{step}:after"] -= 1
            return self._hang_up(request)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if step == "resolve" and status == 200 and wanted:
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
            headers |= {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            status, content = 206, content[start : end + 1]
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)
        return None

    @staticmethod
    def _hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.connection.close()

    @staticmethod
    def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
        for methods, pattern, step in _ROUTES:
            if method in methods.split("|") and (found := re.fullmatch(pattern, path)):
                groups = found.groupdict().items()
                return step, {key: unquote(value) for key, value in groups if value}
        return "unknown", {"path": path}

    def _check_token(self, request: BaseHTTPRequestHandler, step: str) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if step == "upload":  # a signed address needs no token, and must not be given one
            if SIGNATURE not in request.path or given:
                raise HubError(403, "bad signature")
            return
        if given and given not in (GOOD_TOKEN, READ_TOKEN):
            raise HubError(401, "Invalid credentials in Authorization header")
        reads = ("info", "tree", "paths-info", "resolve")
        if step not in reads and given == READ_TOKEN:
            raise HubError(403, "You don't have the rights to write")
        if step not in reads and not given:
            raise HubError(401, "Not logged in")

    def _find(self, place: dict[str, str], request: BaseHTTPRequestHandler) -> Repo:
        repo = self.repos.get((place.get("type", "models"), place["repo"]))
        if repo is None or (repo.private and not request.headers.get("Authorization")):
            raise HubError(404 if repo is None else 401, "Repository not found", "RepoNotFound")
        return repo

    def _do(
        self,
        step: str,
        place: dict[str, str],
        body: bytes,
        request: BaseHTTPRequestHandler,
        query: str,
    ) -> tuple[int, dict[str, str], bytes]:
        if step == "unknown":
            raise HubError(404, f"no such route: {request.command} {place['path']}")
        if step == "upload":
            if hashlib.sha256(body).hexdigest() != place["path"]:
                raise HubError(400, "the object is not what it is called")
            self.objects[place["path"]] = body
            return 200, {}, b""
        if step == "resolve":
            return self._resolve(self._find(place, request), place)
        value = [json.loads(line) for line in body.splitlines()] if body else []
        if step == "create":
            answer = self._create(value[0])
        elif step == "validate-yaml":
            answer = self._validate_yaml(value[0])
        else:
            repo = self._find(place, request)
            if step in ("info", "tree", "paths-info"):
                asked = value[0] if value else {}
                answer = self._read(step, repo, place, asked or _form(body))
            elif step == "lfs":
                answer = self._lfs(value[0])
            else:
                answer = self._write(step, repo, place, value, query)
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    # --- steps ---------------------------------------------------------------------------------

    def _create(self, asked: dict[str, Any]) -> Any:
        name = f"{asked['organization']}/{asked['name']}"
        key = (f"{asked.get('type', 'model')}s", name)
        if key in self.repos:
            raise HubError(409, "You already created this repo")
        repo = Repo(private=asked.get("visibility") == "private")
        repo.commit("main", "initial commit", {".gitattributes": b"*.parquet filter=lfs\n"})
        self.repos[key] = repo
        return {"url": f"{self.url}/{key[0]}/{name}", "name": name}

    @staticmethod
    def _validate_yaml(asked: dict[str, Any]) -> Any:
        header = yaml.safe_load(asked["content"].split("---\n")[1])
        if not isinstance(header.get("license"), str):
            raise HubError(400, '"license" must be a string')
        return {"errors": [], "warnings": []}

    def _read(self, step: str, repo: Repo, place: dict[str, str], asked: Any) -> Any:
        sha = repo.head(place.get("rev", "main"))
        files = repo.commits[sha].files
        if step == "info":
            return {
                "_id": "1",
                "id": place["repo"],
                "author": place["repo"].split("/")[0],
                "sha": sha,
                "private": repo.private,
                "gated": repo.gated,
                "disabled": False,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": name} for name in files],
            }
        under = place.get("path", "").strip("/")
        names = asked["paths"] if step == "paths-info" else list(files)
        entries = [
            _entry(repo, name, files[name])
            for name in names
            if name in files and (not under or name.startswith(under + "/"))
        ]
        folders = {name.rsplit("/", 1)[0] for name in files if "/" in name}
        wanted = folders if step == "tree" else folders & set(names)
        return entries + [
            {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
            for name in sorted(wanted)
            if not under or name.startswith(under + "/")
        ]

    def _write(
        self, step: str, repo: Repo, place: dict[str, str], value: list[Any], query: str
    ) -> Any:
        revision = place.get("rev", "main")
        if step == "branch":
            if revision in repo.branches:
                raise HubError(409, "Reference already exists")
            repo.branches[revision] = repo.head("main")
            return {}
        if step == "settings":
            if "gated" in value[0]:
                repo.gated = value[0]["gated"]
            if "visibility" in value[0]:
                repo.private = value[0]["visibility"] == "private"
            return {}
        if step == "preupload":
            return {
                "files": [self._upload_mode(repo, revision, item) for item in value[0]["files"]]
            }
        return self._commit(repo, place, value, pull_request="create_pr=1" in query)

    @staticmethod
    def _upload_mode(repo: Repo, revision: str, item: dict[str, Any]) -> dict[str, Any]:
        path = item["path"]
        is_lfs = path.endswith((".parquet", ".png", ".safetensors"))
        there = repo.files(revision).get(path)
        return {
            "path": path,
            "uploadMode": "lfs" if is_lfs else "regular",
            "shouldIgnore": False,
            "oid": None if there is None else repo.oid(path, there),
        }

    def _lfs(self, asked: dict[str, Any]) -> Any:
        def describe(item: dict[str, Any]) -> dict[str, Any]:
            if item["oid"] in self.objects:
                return dict(item)
            href = f"{self.url}/upload/{item['oid']}?X-Signature={SIGNATURE}"
            return {**item, "actions": {"upload": {"href": href}}}

        return {"transfer": "basic", "objects": [describe(item) for item in asked["objects"]]}

    def _commit(
        self, repo: Repo, place: dict[str, str], lines: list[Any], *, pull_request: bool
    ) -> Any:
        branch = place["rev"]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.head(branch)):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.files(branch))
        for line in lines[1:]:
            item, path = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(item["content"])
            elif line["key"] == "lfsFile":
                if item["oid"] not in self.objects:
                    raise HubError(400, f"LFS object {item['oid']} was not uploaded")
                files[path] = self.objects[item["oid"]]
                repo.lfs.add(path)
            elif line["key"] == "deletedFile":
                del files[path]
            else:
                raise HubError(400, f"unknown operation {line['key']}")
        where = f"{self.url}/{place['type']}/{place['repo']}"
        if pull_request:
            number = sum(name.startswith("refs/pr/") for name in repo.branches) + 1
            branch = f"refs/pr/{number}"
            repo.branches[branch] = repo.head(place["rev"])
        sha = repo.commit(branch, header["summary"], files)
        pull_url = f"{where}/discussions/{branch.rsplit('/', 1)[-1]}" if pull_request else None
        return {
            "success": True,
            "commitOid": sha,
            "commitUrl": f"{where}/commit/{sha}",
            "pullRequestUrl": pull_url,
            "hookOutput": "",
        }

    def _resolve(self, repo: Repo, place: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        sha = repo.head(place["rev"])
        files = repo.commits[sha].files
        if place["path"] not in files:
            raise HubError(404, "Entry not found", "EntryNotFound")
        content = files[place["path"]]
        return (
            200,
            {
                "ETag": f'"{repo.oid(place["path"], content)}"',
                "X-Repo-Commit": sha,
                "Accept-Ranges": "bytes",
            },
            content,
        )


def _entry(repo: Repo, name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }
    if name in repo.lfs:
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 134}
    return entry


def _form(body: bytes) -> dict[str, list[str]]:
    from urllib.parse import parse_qs

    return {"paths": parse_qs(body.decode()).get("paths", [])}
