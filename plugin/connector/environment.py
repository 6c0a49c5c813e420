"""Where bol lives, and with which credentials we come."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Environment:
    """Addresses of one bol installation, without a trailing slash; the paths replace /retailer and /shared."""

    name: str
    login_url: str
    api_url: str
    retailer_path: str = "/retailer"
    shared_path: str = "/shared"

    def path(self, route_path: str) -> str:
        """The path to send for a path as bol documents it: /retailer/orders -> /retailer-demo/orders."""
        if route_path.startswith("/retailer/public/"):
            return route_path  # published once, outside the demo environment
        for documented, ours in (("/retailer/", self.retailer_path), ("/shared/", self.shared_path)):
            if route_path.startswith(documented):
                return f"{ours}/{route_path.removeprefix(documented)}"
        raise ValueError(f"not a path of the Retailer API: {route_path}")


PRODUCTION = Environment("production", "https://login.bol.com", "https://api.bol.com")
DEMO = Environment(
    "demo",
    "https://login.bol.com",
    "https://api.bol.com",
    retailer_path="/retailer-demo",
    shared_path="/shared-demo",
)


def sandbox_environment(base_url: str) -> Environment:
    """A stand-in for bol that serves login and API at the same base URL, such as "http://127.0.0.1:5050"."""
    base = base_url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ValueError("the sandbox address must start with http:// or https://")
    return Environment("sandbox", base, base)


@dataclass(frozen=True)
class Credentials:
    """A client id and its secret, from the seller account's API settings. The secret is never shown."""

    client_id: str
    client_secret: str = field(repr=False)
