"""A server on loopback that takes runs as wandb sends them: what the real SDK uploads can be read back here.

Answers the few GraphQL operations that a run needs, the file stream, and uploads. Nothing of it proves what wandb's own
servers do.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "0123456789abcdef" * 2 + "01234567"
"""Shaped as wandb's keys are."""


class Received:
    """What arrived, for one run."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        """The newest value of each variable of an upsert: tags, displayName, config, summaryMetrics, ..."""
        self.history: list[dict[str, Any]] = []
        self.alerts: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        """Every request, as it came."""

    @property
    def config(self) -> dict[str, Any]:
        return {key: entry["value"] for key, entry in json.loads(self.fields["config"]).items()}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left."""


class WandbServer:
    """Listens while it is entered."""

    def __init__(self) -> None:
        self.received, self._frozen = Received(), threading.Event()
        received, frozen = self.received, self._frozen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                while frozen.is_set():
                    time.sleep(1)
                received.bodies.append(body)
                host = self.headers.get("Host")
                self._reply(_answer(received, self.path, body, f"http://{host}/upload/"))

            do_PUT = do_POST  # noqa: N815

            def _reply(self, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = _Quiet(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def freeze(self) -> None:
        """Accept from now on, and never answer."""
        self._frozen.set()

    def cut(self) -> None:
        """Be gone from now on."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()


def _answer(received: Received, path: str, body: bytes, uploads: str) -> dict[str, Any]:
    if path.endswith("file_stream"):
        return _stream(received, json.loads(body))
    if not path.endswith("graphql"):
        return {}
    asked = json.loads(body)
    query, given = asked.get("query", ""), asked.get("variables") or {}
    if "createRunFiles" in query:
        files = [{"name": name, "uploadUrl": uploads + name} for name in given["files"]]
        return {"data": {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}}
    if "upsertBucket" in query:
        received.fields |= {key: value for key, value in given.items() if value is not None}
        return {"data": {"upsertBucket": {"bucket": _bucket(given), "inserted": True}}}
    if "notifyScriptableRunAlert" in query:
        received.alerts.append((given["title"], given["text"]))
        return {"data": {"notifyScriptableRunAlert": {"success": True}}}
    if "serverInfo" in query:
        return {"data": {"serverInfo": {"features": []}}}
    return {"data": {"model": {"bucket": None}, "viewer": {"id": "u", "entity": "team", "username": "ada"}}}


def _stream(received: Received, sent: dict[str, Any]) -> dict[str, Any]:
    files = sent.get("files") or {}
    for line in files.get("wandb-history.jsonl", {}).get("content", []):
        received.history.append(json.loads(line))
    for line in files.get("wandb-summary.json", {}).get("content", []):
        received.fields["summary"] = json.loads(line)
    if "exitcode" in sent:
        received.fields["exitcode"] = sent["exitcode"]
    return {"exitcode": None, "limits": {}}


def _bucket(given: dict[str, Any]) -> dict[str, Any]:
    entity = {"id": "e", "name": given.get("entity") or "team"}
    project = {"id": "p", "name": given.get("project") or "p", "entity": entity}
    return {
        "id": "run", "name": given.get("name"), "displayName": given.get("displayName"), "description": None,
        "config": "{}", "sweepName": None, "project": project, "historyLineCount": 0,
    }  # fmt: skip
