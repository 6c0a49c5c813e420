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

    def read_again(self, store_id: int, order_row_id: int) -> None: ...

    def link_item(self, store_id: int, order_row_id: int, item_row_id: int, code: str) -> None: ...

    def accept_request(self, store_id: int, order_row_id: int, who: str) -> None: ...

    def keep_order(self, store_id: int, order_row_id: int, who: str) -> None: ...

    def cancel_at_bol(self, store_id: int, order_row_id: int, reason_code: str, who: str) -> None: ...

    def try_shipment_again(self, store_id: int, effect_id: int) -> bool: ...

    def shipment_handled(self, store_id: int, effect_id: int) -> bool: ...
