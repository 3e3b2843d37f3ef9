"""Where a request comes from: its machine, the name it was sent to, the page that sent it.

Who makes it is the guard's business.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers

from assistant.errors import ConfigurationError
from assistant.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Origins:
    """What the settings say about addresses and names.

    Raises:
        ConfigurationError: a trusted proxy is neither an address nor a network.
    """

    def __init__(self, settings: Settings) -> None:
        self._proxies = [_network(text) for text in settings.trusted_proxies]
        public = _split(settings.public_url)
        self._public_authority = public.netloc.lower()
        named = {_bare(settings.host), public.hostname or ""} - _EVERY_ADDRESS
        self._names = _LOOPBACK | named
        self._any_address = settings.host in _EVERY_ADDRESS

    def is_proxy(self, peer: str) -> bool:
        """Tell whether a machine may speak for others."""
        address = to_address(peer)
        return address is not None and any(address in network for network in self._proxies)

    def client(self, peer: str, headers: Headers) -> str:
        """Return the machine that a request began at, as far as trusted proxies tell.

        Each proxy appends the one before it to X-Forwarded-For; what stands before the
        first that is not trusted can be made up.
        """
        hops = [hop.strip() for hop in ",".join(headers.getlist("x-forwarded-for")).split(",")]
        client = peer
        while hops and self.is_proxy(client):
            address = to_address(hops.pop())
            if address is None:
                break
            client = str(address)
        return client

    def is_ours(self, headers: Headers) -> bool:
        """Tell whether a request was sent to a name of this server.

        A page of somebody else's whose name was made to point at this machine ("DNS
        rebinding") sends its own name.
        """
        hosts = headers.getlist("host")
        host = _hostname(hosts[0]) if len(hosts) == 1 else ""
        return host in self._names or (self._any_address and to_address(host) is not None)

    def is_same_origin(self, method: str, headers: Headers) -> bool:
        """Tell whether a request that changes something was sent by a page of this server.

        Browsers say so themselves; programs that say nothing must bring no cookie.
        """
        if method in _SAFE_METHODS:
            return True
        if "sec-fetch-site" in headers:
            return headers["sec-fetch-site"] == "same-origin"
        if "origin" in headers:
            sender = _split(headers["origin"])
            here = {headers.get("host", "").lower(), self._public_authority} - {""}
            return sender.scheme in ("http", "https") and sender.netloc.lower() in here
        return "cookie" not in headers


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    address = to_address(_bare(host))
    return host == "localhost" or (address is not None and address.is_loopback)


def to_address(text: str) -> Address | None:
    """Return the address that a text is, None if it is none; IPv4 also as IPv6 carries it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"`trusted_proxies` holds {text!r}, which is no address and no network. Write, for "
            "example, 10.0.0.5 or 10.0.0.0/24."
        ) from error


def _hostname(host: str) -> str:
    return (_split(f"//{host}").hostname or "").rstrip(".")


def _split(url: str) -> SplitResult:
    """Return the parts of an address, all empty where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _bare(host: str) -> str:
    return host.strip("[]").lower()
