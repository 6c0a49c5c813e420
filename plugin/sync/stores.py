"""Stores: connected first, active when the administrator says so, and never writing to bol before that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from host_app.plugin_api import HostError, HostPort
from plugin.models import BolOrder, BolOrderState, Run, RunState, SettingChange, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync import corrections, dirty, order_decisions, preview, products, runs, shipments, sign_in
from plugin.sync.deadlines import move_open_orders
from plugin.sync.findings import KIND
from plugin.sync.sign_in import SignedIn
from plugin.texts import gettext as _

#: Settings from which the amounts at bol follow.
STOCK_SETTINGS = ("send_stock", "stock_warehouses", "safety_stock", "max_stock", "managed_by_retailer")

#: What bol showed when the store was connected counts for so long.
JUST_CONNECTED = timedelta(minutes=15)
LONGEST_NAME = 120
#: The name under which it is noted that a store was activated or paused.
STATE = "state"


def add_store(host: HostPort, *, name: str, environment: str, signed_in: SignedIn) -> int:
    """Keep a new store, inactive, and start finding out what activating it would do. In a transaction.

    :raises HostError: the name or the account is in use.
    """
    session = host.session
    refuse_name(host, name)
    store = Store(
        name=name,
        environment=environment,
        client_id=signed_in.client_id,
        secret=signed_in.secret,
        state=StoreState.CONNECTED,
        settings=StoreSettings().dump(),
        created_at=host.now(),
        problem="",
    )
    session.add(store)
    session.flush()
    sign_in.signed_in(host, store, signed_in)
    preview.again(host, store.id)
    return store.id


def sign_in_again(host: HostPort, store_id: int, signed_in: SignedIn) -> None:
    """Let a store use a new sign-in. What activating one would do that comes back is found out first. In a transaction.

    :raises HostError: it does not exist, or the sign-in is for another account; nothing was changed.
    """
    store = locked(host, store_id)
    back = store.state in (StoreState.DISCONNECTED, StoreState.DISCONNECTING)
    sign_in.signed_in(host, store, signed_in)
    if back:
        preview.again(host, store_id)


def refuse_name(host: HostPort, name: str) -> None:
    """In a transaction. :raises HostError: it is empty or too long, or another store has it."""
    if not name:
        raise HostError(_("Give the store a name."))
    if len(name) > LONGEST_NAME:
        raise HostError(_("Give the store a name of at most %(most)s characters.", most=LONGEST_NAME))
    if host.session.scalar(select(Store.id).where(Store.name == name)) is not None:
        raise HostError(_("There is a store named %(store)s already: choose another name.", store=name))


def is_known(host: HostPort, environment: str, client_id: str) -> bool:
    """Tell if this account is connected. In a transaction."""
    return (
        host.session.scalar(
            select(Store.id).where(Store.environment == environment, Store.client_id == client_id)
        )
        is not None
    )


def activate(host: HostPort, store_id: int, who: str = "") -> None:
    """Let the store's flows run, orders first, then products. In a transaction.

    :raises HostError: it does not exist, is not signed in, or something here must be done before.
    """
    store = locked(host, store_id)
    if store.state == StoreState.ACTIVE:
        return
    if not store.secret:
        raise HostError(_("This store is not connected: sign in again on its connection page first."))
    if why := why_not_active(host, StoreSettings.load(store.settings)):
        raise HostError(why)
    now = host.now()
    _note_change(host, store_id, who, STATE, store.state, StoreState.ACTIVE)
    store.leaves_at, store.next_upkeep_at = None, now
    store.state, store.next_import_at = StoreState.ACTIVE, now
    before, store.activated_at = store.activated_at, store.activated_at or now
    preview.forget(host, store_id)
    settings = StoreSettings.load(store.settings)
    if settings.import_products:
        products.start_import(host, store_id)
    if settings.send_stock:
        dirty.mark_all(host, store_id)
        if before is not None or store.created_at < now - JUST_CONNECTED:
            # What bol showed or confirmed then may have been changed there since, and what would be the same is not sent.
            store.next_check_at = now
    host.session.flush()


def why_not_active(host: HostPort, settings: StoreSettings) -> str:
    """Tell in words what must be done here before the store can be activated; "" where nothing. In a transaction."""
    if (settings.import_orders or settings.import_products) and not host.warehouses():
        return _(
            "There is no warehouse yet, so orders and products can't come in. Add one first: Settings › Warehouses."
        )
    return ""


def pause(host: HostPort, store_id: int, who: str = "") -> None:
    """Stop the store's flows; what bol has been asked already is still followed. In a transaction.

    :raises HostError: it does not exist.
    """
    store = locked(host, store_id)
    if store.state == StoreState.ACTIVE:
        _note_change(host, store_id, who, STATE, store.state, StoreState.PAUSED)
        store.state = StoreState.PAUSED
        host.session.flush()


def disconnect(host: HostPort, store_id: int, *, at_once: bool, who: str = "") -> None:
    """Begin nothing new for a store, finish what was begun, and let it go then; or let it go at once. In a transaction.

    A store that was never active has nothing to finish.

    :raises HostError: it does not exist, or is disconnected already.
    """
    store = locked(host, store_id)
    if store.state == StoreState.DISCONNECTED:
        raise HostError(_("This store is disconnected already."))
    now = host.now()
    if at_once or store.activated_at is None:
        store.leaves_at = now
    if store.state != StoreState.DISCONNECTING:
        _note_change(host, store_id, who, STATE, store.state, StoreState.DISCONNECTING)
    store.state, store.next_upkeep_at = StoreState.DISCONNECTING, now
    runs.stop_all(host, store_id)
    host.session.flush()


def stay(host: HostPort, store_id: int, who: str = "") -> None:
    """Keep a store that is being disconnected, paused. In a transaction.

    :raises HostError: it is not, or has gone meanwhile.
    """
    store = locked(host, store_id)
    if store.state != StoreState.DISCONNECTING:
        raise HostError(_("This store is not being disconnected any more."))
    _note_change(host, store_id, who, STATE, store.state, StoreState.PAUSED)
    store.state, store.leaves_at = StoreState.PAUSED, None
    host.session.flush()


def save_settings(host: HostPort, store_id: int, settings: StoreSettings, who: str = "") -> None:
    """Keep settings and set off what follows from them. In a transaction.

    :raises HostError: it does not exist, or a setting can't be used.
    """
    first = next((int(choice.key) for choice in host.warehouses()), None)
    if problems := settings.problems(first):
        raise HostError(" ".join(problems.values()))
    store = locked(host, store_id)
    before = StoreSettings.load(store.settings)
    dumped, known = settings.dump(), before.dump()
    for name in dumped:
        if dumped[name] != known[name]:
            _note_change(host, store_id, who, name, known[name], dumped[name])
    store.settings = dumped
    if before.check_time != settings.check_time or before.send_stock != settings.send_stock:
        # The next night is found anew; one that passed meanwhile is not made up for.
        store.next_check_at = None
    if settings.send_stock and not before.send_stock and not _seen_lately(host, store):
        # What is thought to stand at bol is not sent, and may have been changed there since it was seen.
        store.next_check_at = host.now()
    host.session.flush()
    # Orders before offers, as whoever takes an order over locks them.
    if before.orders_from != settings.orders_from:
        _read_again(host, store_id, BolOrderState.TOO_OLD)
    if before.import_products != settings.import_products:
        _read_again(host, store_id, BolOrderState.WAITING_FOR_PRODUCT)
    if before.carrier_days != settings.carrier_days:
        move_open_orders(host, store_id, settings.carrier_days)
    if any(getattr(before, name) != getattr(settings, name) for name in STOCK_SETTINGS):
        dirty.mark_all(host, store_id)
    if (before.carriers, before.tracking_patterns) != (settings.carriers, settings.tracking_patterns):
        shipments.release_waiting(host, store_id)
        corrections.release_waiting(host, store_id)
        for carrier, code in settings.carriers.items():
            if code and not before.carriers.get(carrier):
                host.settle_notices(f"bol:{store_id}:carrier:{carrier}")


def _seen_lately(host: HostPort, store: Store) -> bool:
    """Tell if all offers were read a moment ago: as the store was connected, or for the plan. In a transaction."""
    since = host.now() - JUST_CONNECTED
    compared = select(Run.id).where(
        Run.store_id == store.id, Run.kind == KIND, Run.state == RunState.DONE, Run.started_at > since
    )
    return store.created_at > since or host.session.scalar(compared.limit(1)) is not None


def set_carrier(host: HostPort, store_id: int, carrier: str, code: str, who: str = "") -> None:
    """Give a carrier its transporter code; what waited for it is sent. In a transaction.

    :raises HostError: the store does not exist, or the code can't be used.
    """
    settings = StoreSettings.load(locked(host, store_id).settings)
    if not code.strip():
        raise HostError(_("Fill in bol's code for this carrier."))
    carriers = dict(settings.carriers) | {carrier: code.strip()}
    save_settings(host, store_id, replace(settings, carriers=carriers), who)


def start_sending_stock(host: HostPort, store_id: int, who: str = "") -> None:
    """Turn "Send stock updates" on, and leave all other settings. In a transaction.

    :raises HostError: it does not exist.
    """
    settings = StoreSettings.load(locked(host, store_id).settings)
    save_settings(host, store_id, replace(settings, send_stock=True), who)


def start_sending_shipments(host: HostPort, store_id: int, who: str = "") -> None:
    """Turn "Send shipments and update status" on, and leave all other settings. In a transaction.

    :raises HostError: it does not exist.
    """
    settings = StoreSettings.load(locked(host, store_id).settings)
    save_settings(host, store_id, replace(settings, send_shipments=True), who)


def push_all(host: HostPort, store_id: int) -> None:
    """Have every offer looked at. In a transaction.

    :raises HostError: the store is not active or does not exist, or its setting "Send stock updates" is off.
    """
    store = locked(host, store_id)
    if store.state != StoreState.ACTIVE:
        raise HostError(_("This store is not active: activate it first."))
    if not StoreSettings.load(store.settings).send_stock:
        raise HostError(_("“Send stock updates” is off for this store: turn it on in the settings first."))
    dirty.mark_all(host, store_id)


def start_order_import(host: HostPort, store_id: int) -> None:
    """Import orders at once. In a transaction.

    :raises HostError: the store is not active or does not exist, or its setting "Import orders" is off.
    """
    store = locked(host, store_id)
    if store.state != StoreState.ACTIVE:
        raise HostError(_("This store is not active: activate it first."))
    if not StoreSettings.load(store.settings).import_orders:
        raise HostError(_("“Import orders” is off for this store: turn it on in the settings first."))
    order_decisions.want_import(host, store_id)


def preview_again(host: HostPort, store_id: int) -> None:
    """Find out anew what activating a store will do. In a transaction.

    :raises HostError: it is active, or disconnected, or does not exist.
    """
    store = locked(host, store_id)
    if store.state == StoreState.ACTIVE:
        raise HostError(_("This store is active already."))
    if store.state not in (StoreState.CONNECTED, StoreState.PAUSED):
        raise HostError(_("This store is not connected: sign in again on its connection page first."))
    preview.again(host, store_id)


def start_product_import(host: HostPort, store_id: int) -> None:
    """Import products anew. In a transaction.

    :raises HostError: the store's setting "Import products" is off.
    """
    store = locked(host, store_id)
    if not StoreSettings.load(store.settings).import_products:
        raise HostError(_("“Import products” is off for this store: turn it on in the settings first."))
    products.start_import(host, store_id)


def set_up_at(host: HostPort, store: Store) -> datetime | None:
    """Return when the last was done of all that sets a store up: activating it, and turning on what writes to bol.

    In a transaction.
    """
    turned_on = host.session.scalar(
        select(func.max(SettingChange.at)).where(
            SettingChange.store_id == store.id,
            SettingChange.name.in_(("send_stock", "send_shipments")),
            SettingChange.after == json.dumps(True),
        )
    )
    moments = [moment for moment in (store.activated_at, turned_on) if moment is not None]
    return max(moments, default=None)


def with_everything_on(settings: StoreSettings) -> StoreSettings:
    """Return settings that also write to bol; for demonstrations."""
    return replace(settings, send_stock=True, send_shipments=True)


def _note_change(host: HostPort, store_id: int, who: str, name: str, before: Any, after: Any) -> None:
    """Write down who changed what. In a transaction."""
    host.session.add(
        SettingChange(
            store_id=store_id,
            at=host.now(),
            who=who,
            name=name,
            before=json.dumps(before, sort_keys=True),
            after=json.dumps(after, sort_keys=True),
        )
    )


def _read_again(host: HostPort, store_id: int, state: BolOrderState) -> None:
    host.session.execute(
        update(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.state == state)
        .values(read_due_at=host.now(), attempts=0)
    )


def locked(host: HostPort, store_id: int) -> Store:
    """Return a store, locked. In a transaction. :raises HostError: it does not exist."""
    store: Store | None = host.session.scalar(
        select(Store)
        .where(Store.id == store_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if store is None:
        raise HostError(_("This store does not exist."))
    return store
