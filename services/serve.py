"""`palestra serve`: the API and the pages in one server."""

import socket

import uvicorn
from fastapi import FastAPI

from .api import create_app
from .web import create_pages


def create_site(store_url: str) -> FastAPI:
    """The API at /api/v1 and the pages at /; raises StoreError when the store cannot be opened."""
    app = create_app(store_url)
    app.mount("/", create_pages(app.state.store))
    return app


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is known before anything is promised."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot listen on {host}:{port} ({reason}): give another port with --port") from error


def serve(store_url: str, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until interrupted; raises StoreError, or OSError when the address cannot be listened on."""
    app = create_site(store_url)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", server_header=False)
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"Palestra serves {app.state.store.shown_url} at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)")
    with listener:
        uvicorn.Server(config).run(sockets=[listener])
