"""What the pages may have done; the runtime does it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from plugin.settings import StoreSettings


class Actions(Protocol):
    """Each action opens its own transaction, and raises HostError with words for the user where it refuses."""

    def environments(self) -> Collection[str]:
        """Return the names of the environments a new store can be in."""

    def connect_store(self, *, name: str, environment: str, client_id: str, client_secret: str) -> int:
        """Check credentials by a real call, keep the store inactive, and return its id."""

    def activate(self, store_id: int) -> None: ...

    def pause(self, store_id: int) -> None: ...

    def save_settings(self, store_id: int, settings: StoreSettings) -> None: ...

    def import_orders(self, store_id: int) -> None: ...

    def import_products(self, store_id: int) -> None: ...

    def try_shipment_again(self, store_id: int, effect_id: int) -> bool: ...

    def shipment_handled(self, store_id: int, effect_id: int) -> bool: ...
