"""To whom the page is open: the addresses it answers to, where requests may come from, what strangers may ask for.

A page in the user's own browser is the likeliest stranger: it can send requests to 127.0.0.1, and with a name that
resolves to 127.0.0.1 (DNS rebinding) it can read the answers. So the names in requests decide, not the sender's
address. Knows names and settings; nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from playground.config import PlaygroundError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


@dataclass(frozen=True)
class Exposure:
    """What the page is open to.

    Attributes:
        host: address listened on.
        allowed_hosts: further names under which the page may be asked for, such as a reverse proxy's.
        allow_loading: models may be loaded by name from pages, though others than this machine's user may ask.
        auth: (user, password) pairs, any of which lets in; empty lets in everybody.
        api: Gradio's API schema and named endpoints are served.
        monitoring: Gradio's monitoring page is served.
    """

    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    allow_loading: bool = False
    auth: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api: bool = False
    monitoring: bool = False

    def __post_init__(self) -> None:
        for name in self.allowed_hosts:
            if not name or "*" in name or host_name(name) != name.strip("[]").lower().rstrip("."):
                raise PlaygroundError(
                    f"Allowed host is {name!r}, but must be a plain name or address without scheme, port or wildcard, "
                    "such as playground.example.org."
                )

    @property
    def others_may_ask(self) -> bool:
        """Whether anybody but programs on this machine is meant to reach the page."""
        return not all(map(is_loopback, (self.host, *self.allowed_hosts)))

    @property
    def may_load(self) -> bool:
        """Whether pages may load models by folder or hub id."""
        return self.allow_loading or not self.others_may_ask

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server.

        Listening on every address, it is known by any address: a rebound name is a name, never an address.
        """
        name = host_name(host)
        if name is None:
            return False
        if name in LOOPBACK_NAMES or name in map(host_name, (self.host, *self.allowed_hosts)):
            return True
        return self.host in EVERY_ADDRESS and _is_address(name)

    def is_own(self, origin: str, host: str) -> bool:
        """Whether an Origin header is that of this server's own page, asked for under the name `host`.

        Behind a proxy that rewrites Host, the names of `allowed_hosts` are its own too.
        """
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        return parts.netloc.lower() == host.lower() or parts.hostname in map(host_name, self.allowed_hosts)


def host_name(host: str) -> str | None:
    """The name in a Host header, its port left out; None where it is not one."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises where the port is no number
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or "@" in host or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    name = host.strip("[]").lower()
    return name == "localhost" or (_is_address(name) and ip_address(name).is_loopback)


def read_auth(given: str) -> tuple[tuple[str, str], ...]:
    """`USER:PASSWORD`, or `@FILE` with one such line a user, which keeps passwords out of the process list.

    Raises:
        PlaygroundError: the file cannot be read, or a line has no user or no password.
    """
    lines = [given]
    if given.startswith("@"):
        try:
            lines = Path(given[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PlaygroundError(f"The file of --auth cannot be read ({error}). Write USER:PASSWORD lines.") from error
    pairs = [line.strip().partition(":") for line in lines if line.strip()]
    if not pairs or any(not user or not password for user, _, password in pairs):
        raise PlaygroundError(
            "--auth must be USER:PASSWORD, or @FILE with one such line a user; neither part is empty."
        )
    return tuple((user, password) for user, _, password in pairs)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
