"""The proxy that the environment names for a server.

The rule: HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are used except for hosts in NO_PROXY; a proxy
cannot reach servers on this machine, so loopback is always called directly.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from schemas.errors import ConfigError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def find_proxy(url: str) -> str | None:
    """The address of the proxy for `url`; None where the server is called directly.

    ConfigError for a proxy that does not use HTTP.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or parts.hostname in LOOPBACK_HOSTS or proxy_bypass(parts.netloc):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    scheme = urlsplit(proxy).scheme.lower()
    if scheme not in ("http", "https"):
        raise ConfigError(
            f"the proxy for {url} is of the kind {scheme}://, which is not supported; set "
            f"{parts.scheme.upper()}_PROXY to an http:// proxy, or NO_PROXY={parts.hostname}"
        )
    return proxy
