"""The way out of a sandbox: what is on the list is reached, everything else is not."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from palestra.infra.sandbox.egress import Proxy, check_hosts, proxy_env
from palestra.infra.sandbox.sync import Sandboxes

_ASK = """
import socket, sys
s = socket.create_connection(("127.0.0.1", 3128), timeout=10)
s.sendall(sys.stdin.buffer.read())
data = b""
while piece := s.recv(65536):
    data += piece
sys.stdout.buffer.write(data)
"""


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"hello {self.path} {self.headers.get('X-Given')} {self.headers.get('Proxy-Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made.server_address[1]
        made.shutdown()
        thread.join()


async def _ask(proxy_port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy_port)
    writer.write(request)
    data = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return data


def _through(allow_hosts: list[str], addresses: dict[str, str], *requests: bytes) -> list[bytes]:
    async def resolve(host: str, port: int) -> list[str]:
        if host not in addresses:
            raise OSError(f"no address for {host}")
        return [addresses[host]]

    async def work() -> list[bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        proxy = await Proxy.serve(listener, allow_hosts, resolve)
        try:
            return [await _ask(listener.getsockname()[1], request) for request in requests]
        finally:
            await proxy.close()

    return asyncio.run(work())


def test_hosts_are_checked() -> None:
    assert check_hosts(["PyPI.org.", "*.example.org", "10.0.0.1", "::1"]) == (
        "pypi.org",
        "*.example.org",
        "10.0.0.1",
        "::1",
    )
    for bad in ("https://pypi.org", "pypi.org:443", "", "*", "a b", "-a.org", "a..b", "*.*.org"):
        with pytest.raises(ValueError, match="allow_hosts has"):
            check_hosts([bad])
    with pytest.raises(ValueError, match="give a list"):
        check_hosts("pypi.org")


def test_which_names_are_allowed() -> None:
    proxy = Proxy(["pypi.org", "*.example.org"])
    assert all(map(proxy.allows, ("pypi.org", "PYPI.ORG", "pypi.org.", "a.example.org", "a.b.example.org")))
    assert not any(map(proxy.allows, ("evilpypi.org", "pypi.org.evil", "example.org", "aexample.org", "org", "")))


def test_plain_http(server: int) -> None:
    names = {"pkg.example.org": "127.0.0.1"}
    head = b"GET http://pkg.example.org:%d/a/b?c=d HTTP/1.1\r\nHost: pkg.example.org\r\n" % server
    asked = head + b"X-Given: yes\r\nProxy-Authorization: secret\r\n\r\n"
    (answer,) = _through(["pkg.example.org", "127.0.0.1"], names, asked)
    assert answer.endswith(b"hello /a/b?c=d yes None")


def test_tunnel(server: int) -> None:
    names = {"pkg.example.org": "127.0.0.1"}
    asked = b"CONNECT pkg.example.org:%d HTTP/1.1\r\n\r\nGET /inside HTTP/1.0\r\n\r\n" % server
    (answer,) = _through(["*.example.org", "127.0.0.1"], names, asked)
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert answer.endswith(b"hello /inside None None")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET http://other.org/ HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT other.org:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT inside.example.org:80 HTTP/1.1\r\n\r\n", b"403"),  # resolves to a private address
        (b"CONNECT gone.example.org:443 HTTP/1.1\r\n\r\n", b"502"),
        (b"GET / HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n", b"400"),
        (b"GET ftp://pkg.example.org/ HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT pkg.example.org:99999 HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET http://[bad/ HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_what_is_refused(request_: bytes, status: bytes) -> None:
    (answer,) = _through(["*.example.org"], {"inside.example.org": "10.1.2.3"}, request_)
    assert answer.split(b" ")[1] == status


def test_a_private_address_hides_behind_no_name(server: int) -> None:
    names = {"rebound.example.org": "127.0.0.1", "meta.example.org": "169.254.169.254", "six.example.org": "::1"}
    asked = [b"CONNECT %s:%d HTTP/1.1\r\n\r\n" % (name.encode(), server) for name in names]
    assert [answer.split(b" ")[1] for answer in _through(["*.example.org"], names, *asked)] == [b"403"] * 3


class TestInside:
    def test_the_list_is_the_only_way_out(self, walled: Sandboxes, server: int) -> None:
        with walled.lease("python", allow_hosts=["127.0.0.1"]) as box:
            seen = box.exec("env").text
            assert all(f"{name}={value}" in seen for name, value in proxy_env().items())
            get = b"GET http://127.0.0.1:%d/x HTTP/1.1\r\nHost: h\r\n\r\n" % server
            assert box.exec(["python3", "-c", _ASK], stdin=get).stdout.endswith(b"hello /x None None")
            other = b"CONNECT 127.0.0.2:%d HTTP/1.1\r\n\r\n" % server
            assert b" 403 " in box.exec(["python3", "-c", _ASK], stdin=other).stdout
            direct = f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {server})))"
            assert box.exec(["python3", "-c", direct]).text.strip() == "111"
            with box.fork() as twin:
                assert twin.exec(["python3", "-c", _ASK], stdin=get).stdout.endswith(b"hello /x None None")

    def test_no_list_no_proxy(self, walled: Sandboxes) -> None:
        with walled.lease("python") as box:
            assert "proxy" not in box.exec("env").text
            assert "refused" in box.exec(["python3", "-c", _ASK]).text

    def test_a_bad_list_makes_no_lease(self, walled: Sandboxes) -> None:
        with pytest.raises(ValueError, match="https://pypi"):
            walled.lease("python", allow_hosts=["https://pypi.org"])
