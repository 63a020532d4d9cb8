"""Letters: keeps the text of each letter as a file of HDFS, and finds letters by their words with Elasticsearch."""

import base64
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Iterable, Mapping
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
SECONDS = 60


class Refused(Exception):
    """An answer other than success: status and what is wrong."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    request = Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()}, method=method)
    with urlopen(request, timeout=SECONDS) as answer:
        return bytes(answer.read())


class Files:
    """Files of HDFS, by WebHDFS."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._url = env["WEBHDFS_URL"]
        self._user = env["HADOOP_USER_NAME"]

    def _at(self, identity: str, **query: str) -> str:
        path = f"/user/{self._user}/letters/{identity}.txt"
        return f"{self._url}{path}?{urlencode({**query, 'user.name': self._user})}"

    def put(self, identity: str, text: str) -> None:
        # The name node says which data node takes the file.
        place = json.loads(ask("PUT", self._at(identity, op="CREATE", overwrite="true", noredirect="true")))
        ask("PUT", place["Location"], text.encode(), Content_Type="application/octet-stream")

    def get(self, identity: str) -> str:
        try:
            return ask("GET", self._at(identity, op="OPEN")).decode()
        except HTTPError as error:
            if error.code == 404:
                raise Refused(404, f"there is no letter {identity}") from None
            raise

    def version(self) -> str:
        query = urlencode({"qry": "Hadoop:service=NameNode,name=NameNodeInfo"})
        told = json.loads(ask("GET", f"{self._url.removesuffix('/webhdfs/v1')}/jmx?{query}"))
        return str(told["beans"][0]["SoftwareVersion"])


class Words:
    """An index of Elasticsearch."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._url = env["ELASTICSEARCH_URL"]
        login = f"{env['ELASTICSEARCH_USER']}:{env['ELASTICSEARCH_PASSWORD']}"
        self._login = f"Basic {base64.b64encode(login.encode()).decode()}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        return json.loads(
            ask(method, f"{self._url}{path}", sent, Authorization=self._login, Content_Type="application/json")
        )

    def put(self, identity: str, text: str) -> None:
        self._ask("PUT", f"/letters/_doc/{identity}?refresh=true", {"text": text})

    def find(self, word: str) -> list[str]:
        try:
            found = self._ask("POST", "/letters/_search", {"query": {"match": {"text": word}}})
        except HTTPError as error:
            if error.code == 404:  # no letter came yet
                return []
            raise
        return sorted(hit["_id"] for hit in found["hits"]["hits"])

    def version(self) -> str:
        (node,) = self._ask("GET", "/_nodes/_local?filter_path=nodes.*.version")["nodes"].values()
        return str(node["version"])


class Letters:
    def __init__(self, files: Files, words: Words) -> None:
        self._files = files
        self._words = words

    def accept(self, raw: bytes) -> dict[str, str]:
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refused(400, "the request must be JSON") from None
        texts = isinstance(body, dict) and sorted(body) == ["id", "text"] and all(
            isinstance(text, str) and 1 <= len(text) <= 10000 for text in body.values()
        )
        if not texts or not re.fullmatch(r"[\w-]{1,64}", body["id"], re.ASCII):
            raise Refused(400, "a letter is an id and a text of 1 to 10000 characters")
        self._files.put(body["id"], body["text"])
        self._words.put(body["id"], body["text"])
        return body

    def answer(self, method: str, path: str, query: str, raw: bytes) -> tuple[int, Any]:
        if (method, path) == ("GET", "/healthz"):
            return 200, {"status": "ok"}
        if (method, path) == ("GET", "/readyz"):
            return 200, {"hdfs": self._files.version(), "elasticsearch": self._words.version()}
        if (method, path) == ("GET", "/version"):
            return 200, {"service": "letters", "version": VERSION}
        if (method, path) == ("POST", "/letters"):
            return 201, self.accept(raw)
        word = re.fullmatch(r"word=(\w{1,64})", query, re.ASCII)
        if (method, path) == ("GET", "/letters") and word:
            return 200, self._words.find(word[1])
        one = re.fullmatch(r"/letters/([\w-]{1,64})", path, re.ASCII)
        if method == "GET" and one:
            return 200, {"id": one[1], "text": self._files.get(one[1])}
        raise Refused(404, f"there is no {method} {path}")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI: JSON in, JSON out."""
        try:
            size = min(int(environ.get("CONTENT_LENGTH") or 0), 65536)
            method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
            status, answer = self.answer(method, path, query, environ["wsgi.input"].read(size))
        except Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
        except OSError as error:  # HTTPError is one
            print(f"{environ['PATH_INFO']}: {type(error).__name__} {error}", file=sys.stderr)
            status, answer = 503, {"error": "HDFS or Elasticsearch does not take the request"}
        start_response(f"{status} ", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes would fill the log."""


def main() -> None:
    letters = Letters(Files(os.environ), Words(os.environ))
    server = make_server("", int(os.environ.get("PORT", "8080")), letters, Server, Quiet)

    def drain() -> None:
        time.sleep(2)  # a Service stops sending before we stop answering
        server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain).start())
    print(f"letters {VERSION} listens on {server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
