"""The page: parse flags, open a session in the background, build the UI, launch. Nothing else happens here."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence

from playground.cli import Parser
from playground.cli.options import Formatter, add_pair, engine_options
from playground.config import PlaygroundError
from playground.ui import Exposure, read_auth


def parser() -> Parser:
    """The page's flags."""
    made = Parser(prog="app.py", description="ReDrafter Playground in the browser.", formatter_class=Formatter)
    made.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    made.add_argument("--port", type=int, default=7860, help="port to listen on")
    made.add_argument("--allowed-hosts", metavar="NAMES", help="further names it answers to, with commas between")
    made.add_argument("--auth", metavar="USER:PASSWORD", help="ask for a password; @FILE holds one such line a user")
    made.add_argument("--allow-loading", action="store_true", help="let pages load models when others may reach them")
    made.add_argument("--api", action="store_true", help="serve Gradio's API schema and named endpoints")
    made.add_argument("--monitoring", action="store_true", help="serve Gradio's monitoring page")
    made.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    add_pair(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; the exit code."""
    chosen = parser().parse_args(arguments)
    try:
        options = engine_options(chosen)
        exposure = exposure_of(chosen)
        require_free(chosen.host, chosen.port)
        from playground import ui
        from playground.session import Session

        host = ui.SessionHost(Session.open, chosen.base, chosen.drafter, options)
        ui.launch(host, exposure=exposure, port=chosen.port, open_browser=not chosen.no_browser)
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def exposure_of(chosen: argparse.Namespace) -> Exposure:
    """To whom the flags open the page.

    Raises:
        PlaygroundError: a name or a password that cannot be one.
    """
    names = tuple(name.strip() for name in (chosen.allowed_hosts or "").split(",") if name.strip())
    auth = read_auth(chosen.auth) if chosen.auth else ()
    return Exposure(chosen.host, names, chosen.allow_loading, auth, chosen.api, chosen.monitoring)


def require_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is loaded.

    Raises:
        PlaygroundError: a port out of range or taken, or an address that is not this machine's.
    """
    if not 1 <= port <= 65_535:
        raise PlaygroundError(f"Port is {port}, but must be from 1 to 65535. Use --port 7860.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise PlaygroundError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another with --port, or stop what uses it."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
