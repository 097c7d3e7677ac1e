"""A judge on a real loopback HTTP server that answers by a script: a deterministic fake for tests, honest or not.

    with ScriptedJudge(lambda asked: "cellar" in asked.answer) as server:
        Rubric([Criterion("place", "It names the cellar.")], JudgeConfig(server.url, "scripted")).judge("the cellar")

The script is asked about criteria only: what `Rubric` asks about codes, to see whether it is heard at all and whether
an answer sways it, is answered rightly unless `honest` is False.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_NONCE = re.compile(r'\{"nonce": "([0-9a-f]+)"')
_CRITERION = re.compile(r"^CRITERION [0-9a-f]+: (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^=== BEGIN (\w+) ([0-9a-f]+) ===\n(.*?)\n=== END \1 \2 ===$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r'^The answer contains the code "(\w+)"\.$')


@dataclass(frozen=True)
class Asked:
    """One request as the judge understands it; `body` is all of it, `number` counts from 0."""

    criterion: str
    answer: str
    question: str
    reference: str
    nonce: str
    body: dict[str, Any]
    number: int

    @property
    def prompt(self) -> str:
        """What the user's message says."""
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Raw:
    """A reply as it goes over the wire. `content` is what the model says (None: `data` is the whole body). `hold`: not
    a byte comes until the server is closed; `drip`: a byte now and then, for ever.
    """

    content: str | None = None
    data: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    drip: bool = False
    finish: str = "stop"


Script = Callable[[Asked], "bool | int | Raw"]


class ScriptedJudge:
    """Serves `/v1/chat/completions` on a free loopback port until it is closed; `asked` holds all requests."""

    def __init__(self, script: Script, honest: bool = True) -> None:
        self.asked: list[Asked] = []
        self._script, self._honest = script, honest
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base that a client needs."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; what is held back ends."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, body: dict[str, Any]) -> Raw:
        """What the judge says to a request."""
        with self._lock:
            asked = _read(body, len(self.asked))
            self.asked.append(asked)
        code = _CODE.match(asked.criterion)
        said = code[1] in asked.answer if code and self._honest else self._script(asked)
        if isinstance(said, Raw):
            return said
        return Raw(json.dumps({"nonce": asked.nonce, "evidence": f"asked as number {asked.number}", "verdict": said}))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                try:
                    judge._send(self, judge.reply(json.loads(self.rfile.read(length))))
                except OSError:  # the client has had enough
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _send(self, handler: BaseHTTPRequestHandler, raw: Raw) -> None:
        if raw.hold:
            self._closing.wait()
            return
        message = {"role": "assistant", "content": raw.content}
        whole = {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": raw.finish}],
        }
        data = raw.data if raw.content is None else json.dumps(whole).encode()
        handler.send_response(raw.status)
        for name, value in {"content-type": "application/json", **raw.headers}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data) + (1 << 20 if raw.drip else 0)))
        handler.end_headers()
        handler.wfile.write(data)
        while raw.drip and not self._closing.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()


def _read(body: dict[str, Any], number: int) -> Asked:
    system, user = (str(message["content"]) for message in body["messages"])
    nonce, criterion = _NONCE.search(system), _CRITERION.search(user)
    assert nonce is not None, system
    assert criterion is not None, user
    blocks = {
        found[1]: "\n".join(line.removeprefix("| ") for line in found[3].split("\n")) for found in _BLOCK.finditer(user)
    }
    return Asked(
        criterion=criterion[1],
        answer=blocks.get("ANSWER", ""),
        question=blocks.get("QUESTION", ""),
        reference=blocks.get("REFERENCE", ""),
        nonce=nonce[1],
        body=body,
        number=number,
    )
