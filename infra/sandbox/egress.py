"""The only way out of a sandbox: an HTTP proxy that reaches a few host names, where `allow_hosts` asks for one.

The keeper listens on 127.0.0.1:3128 inside the lease's network namespace and hands the listening socket to its owner;
connections made in there arrive here, and this side, outside, opens the other half. There is no other route, no
resolver and no name but by this proxy. CONNECT (RFC 9110, 9.3.6) serves HTTPS and any other TCP protocol; requests with
an absolute URI serve plain HTTP, one per connection, with the URI's own Host. Every port of an allowed host is open. A
name that resolves to an address that is not public is refused, unless the address itself is on the list: a name must
not become a way to the owner's own network.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

PORT = 3128
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_HEAD_BYTES = 1 << 16
_HEAD_SECONDS, _CONNECT_SECONDS = 30.0, 30.0
_CHUNK = 1 << 16
_MAX_CONNECTIONS = 64
_DROPPED = ("proxy-", "connection:", "keep-alive:", "host:")
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Refused(Exception):
    """The proxy does not do this; the message goes to the sandbox."""


def check_hosts(allow_hosts: Sequence[str]) -> tuple[str, ...]:
    """The host names in lower case. Raises ValueError for something that is not a host name, `*.` name or address."""
    if isinstance(allow_hosts, str):
        raise ValueError(f"allow_hosts is the string {allow_hosts!r}: give a list of host names")
    hosts = tuple(host.lower().rstrip(".") for host in allow_hosts)
    for host in hosts:
        if not _HOST.fullmatch(host) and _address(host) is None:
            raise ValueError(
                f"allow_hosts has {host!r}: give a host name, *.NAME or an IP address, without port or scheme"
            )
    return hosts


def proxy_env() -> dict[str, str]:
    """Variables that make curl, pip, npm, git, go and most others use the proxy."""
    url = f"http://127.0.0.1:{PORT}"
    names = {"http_proxy": url, "https_proxy": url, "all_proxy": url, "no_proxy": "localhost,127.0.0.1"}
    return names | {name.upper(): value for name, value in names.items()}


class Proxy:
    """Serves one lease."""

    def __init__(self, allow_hosts: Sequence[str], resolve: Resolve | None = None) -> None:
        self._hosts = check_hosts(allow_hosts)
        self._resolve = resolve or _resolve
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    async def serve(cls, listener: socket.socket, allow_hosts: Sequence[str], resolve: Resolve | None = None) -> Proxy:
        """A proxy behind a socket that listens already."""
        proxy = cls(allow_hosts, resolve)
        proxy._server = await asyncio.start_server(proxy._accept, sock=listener, limit=_HEAD_BYTES)
        return proxy

    def allows(self, host: str) -> bool:
        """True if the list names this host."""
        name = host.lower().rstrip(".")
        return any(name == each or (each.startswith("*.") and name.endswith(each[1:])) for each in self._hosts)

    async def close(self) -> None:
        """Stop, and cut every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) > _MAX_CONNECTIONS:
                raise Refused("503 too many connections")
            await self._serve(reader, writer)
        except Refused as refusal:
            writer.write(f"HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the peer sees its connection end; a cancellation is `close`
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3:
            raise Refused("400 not a proxy request")
        method, target, version = words
        try:
            url = urlsplit("//" + target if method == "CONNECT" else target)
            host, port = url.hostname, url.port or (443 if method == "CONNECT" else 80)
        except ValueError:
            raise Refused("400 bad host or port") from None
        if host is None or (method != "CONNECT" and url.scheme != "http"):
            raise Refused("400 not a proxy request")
        out_reader, out_writer = await self._connect(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = (url.path or "/") + (f"?{url.query}" if url.query else "")
                kept = [line for line in lines[1:-2] if not line.lower().startswith(_DROPPED)]
                out_writer.write(
                    "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode("latin-1")
                )
            await _join((reader, out_writer), (out_reader, writer))
        finally:
            out_writer.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.allows(host):
            raise Refused(f"403 {host} is not on this sandbox's list of hosts")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise Refused("502 the host has no address") from None
        public = [each for each in addresses if _is_public(each) or each in self._hosts]
        if not public:
            raise Refused(f"403 {host} has no public address")
        try:
            return await asyncio.wait_for(asyncio.open_connection(public[0], port), _CONNECT_SECONDS)
        except (OSError, TimeoutError):
            raise Refused(f"502 {host}:{port} does not answer") from None


async def _join(*pairs: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    copies = [asyncio.ensure_future(_copy(reader, writer)) for reader, writer in pairs]
    try:
        await asyncio.gather(*copies)
    finally:
        for copy in copies:
            copy.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_public(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_global and not address.is_multicast
