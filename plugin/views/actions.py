"""What the pages may have done; the runtime does it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from plugin.settings import StoreSettings
from plugin.sync.doctor import Finding
from plugin.sync.line_state import LineState


class Actions(Protocol):
    """Each action opens its own transaction, and raises HostError with words for the user where it refuses."""

    def environments(self) -> Collection[str]:
        """Return the names of the environments a new store can be in."""

    def connect_store(self, *, name: str, environment: str, client_id: str, client_secret: str) -> int:
        """Check credentials by a real call, keep the store inactive, and return its id."""

    def login_environments(self) -> Collection[str]:
        """Return those of them where a seller can log in at bol's page."""

    def login_addresses(self) -> Collection[str]:
        """Return the addresses of bol's login in them."""

    def login_page(self, *, environment: str, redirect_uri: str, state: str, name: str | None = None) -> str:
        """Return the address of bol's login page; a name where a store is to be connected."""

    def connect_by_login(self, *, name: str, environment: str, code: str, redirect_uri: str) -> int:
        """Keep a store with what bol's login page sent back, and return its id."""

    def login_again(self, store_id: int, *, code: str, redirect_uri: str) -> None: ...

    def sign_in_again(self, store_id: int, *, client_id: str, client_secret: str) -> None: ...

    def test_connection(self, store_id: int) -> Sequence[Finding]:
        """Call bol for a store, and tell what came of it."""

    def line_state(self, store_id: int) -> LineState:
        """Tell how a store's line to bol stands, without calling bol."""

    def disconnect(self, store_id: int, *, at_once: bool, who: str) -> None: ...

    def stay_connected(self, store_id: int, who: str) -> None: ...

    def activate(self, store_id: int, who: str) -> None: ...

    def pause(self, store_id: int, who: str) -> None: ...

    def save_settings(self, store_id: int, settings: StoreSettings, who: str) -> None: ...

    def set_carrier(self, store_id: int, carrier: str, code: str, who: str) -> None: ...

    def import_orders(self, store_id: int) -> None: ...

    def import_products(self, store_id: int) -> None: ...

    def preview_again(self, store_id: int) -> None:
        """Find out anew what activating a store will do."""

    def link_offer(self, store_id: int, row_id: int, code: str) -> None: ...

    def unlink_offer(self, store_id: int, row_id: int) -> None: ...

    def match_offer_again(self, store_id: int, row_id: int) -> None: ...

    def push_offer(self, store_id: int, row_id: int) -> None: ...

    def exclude_offer(self, store_id: int, row_id: int, excluded: bool) -> None: ...

    def set_safety_stock(self, store_id: int, row_id: int, pieces: int | None) -> None: ...

    def check_stock(self, store_id: int, dry: bool, who: str) -> int:
        """Begin a stock check and return the number of its run."""

    def stop_run(self, store_id: int, run_id: int) -> None: ...

    def start_sending_stock(self, store_id: int, who: str) -> None: ...

    def start_sending_shipments(self, store_id: int, who: str) -> None: ...

    def send_zeros_anyway(self, store_id: int) -> None: ...

    def discard_zeros(self, store_id: int) -> None: ...

    def send_zeros_after_all(self, store_id: int, row_id: int | None = None) -> int: ...

    def read_again(self, store_id: int, order_row_id: int) -> None: ...

    def read_failed_again(self, store_id: int, order_row_id: int) -> int:
        """Read every order at once that failed for the same reason as this one; return how many."""

    def link_waiting(self, store_id: int, ean: str, code: str) -> int:
        """Choose the product of an EAN for every order that waits for it; return how many go on."""

    def link_item(self, store_id: int, order_row_id: int, item_row_id: int, code: str) -> None: ...

    def accept_request(self, store_id: int, order_row_id: int, who: str) -> bool: ...

    def keep_order(self, store_id: int, order_row_id: int, who: str) -> None: ...

    def take_off_cancelled(self, store_id: int, order_row_id: int, who: str) -> int: ...

    def cancel_at_bol(self, store_id: int, order_row_id: int, reason_code: str, who: str) -> None: ...

    def try_shipment_again(self, store_id: int, effect_id: int) -> bool: ...

    def try_refused_again(self, store_id: int, effect_id: int) -> int:
        """Send every shipment again that was refused for the same reason as this one; return how many."""

    def shipment_handled(self, store_id: int, effect_id: int, *, parcel: bool = False) -> bool: ...

    def try_correction_again(self, store_id: int, effect_id: int) -> bool: ...

    def correction_handled(self, store_id: int, effect_id: int) -> bool: ...

    def enter_label_number(self, store_id: int, effect_id: int, label_id: str) -> None: ...

    def buy_label_again(self, store_id: int, effect_id: int) -> None: ...

    def settle_label(self, store_id: int, effect_id: int, who: str) -> None: ...

    def fetch_label(self, store_id: int, effect_id: int) -> None: ...
