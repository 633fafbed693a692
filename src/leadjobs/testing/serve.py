"""A real HTTP server around an ASGI app, on this machine, for the length of a test."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_STOP_SECONDS = 10


@contextlib.contextmanager
def serve(app: "ASGIApp") -> Iterator[str]:
    """Serve the app over HTTP on a free loopback port; yields its base URL, ``http://127.0.0.1:PORT``.

    The server answers when the block begins and is gone when it ends.  It runs in a thread of its own, so the caller
    may be sync or async and block as it likes; it touches no signal handler and no logging configuration.  Requests
    that are still running a second after the end are cut off.

    Raises:
        RuntimeError: the app's lifespan failed at start, or a handler did not end with the server.
    """
    # With its protocol named, asyncio switches off Nagle's delay: 40 ms an answer otherwise.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run_until_told, args=(listener,), name="leadjobs-serve", daemon=True)
        thread.start()
        server.is_decided.wait()
        if not server.started:
            thread.join()
            raise RuntimeError("the app did not start: its lifespan failed, the log says why")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)
        if thread.is_alive():
            raise RuntimeError(f"the server did not stop within {_STOP_SECONDS} s: a request handler blocks it")


class _Server(uvicorn.Server):
    """A server that says when it is up, or that it will never be."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_decided = threading.Event()

    def run_until_told(self, listener: socket.socket) -> None:
        """Serve until ``should_exit``.  In a thread that is not the main one, uvicorn leaves signals alone."""
        try:
            with contextlib.suppress(SystemExit):  # how uvicorn says that it could not start; `serve` sees that itself
                self.run(sockets=[listener])
        finally:
            self.is_decided.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the sockets, then say so."""
        await super().startup(sockets=sockets)
        self.is_decided.set()
