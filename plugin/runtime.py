"""The connector on one host: what a job on a store is given, and what people may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import update

from host_app.plugin_api import ClosingAnswer, HostError, Lease, ShippingOptions, logging_about
from plugin.connecting import Connecting
from plugin.connector import BolClient, BolError, Deadline, OnCall
from plugin.jobs.wakes import wake_for
from plugin.line import SANDBOX
from plugin.models import Store
from plugin.secrets import SecretUnreadable
from plugin.settings import StoreSettings
from plugin.sync import (
    bought_labels,
    cancel_decisions,
    catch_up,
    closing,
    corrections,
    guard,
    label_options,
    labels,
    leaving,
    left_labels,
    offer_decisions,
    order_decisions,
    runs,
    shipments,
    stock_check,
    stores,
)
from plugin.sync.call_log import PACKING, CallLog, LoggingLease
from plugin.sync.context import Context, Surroundings, is_active, note_problem, settings_of
from plugin.sync.due import CHECK, ORDERS, PRODUCTS, SHIPMENTS, STOCK, UPKEEP
from plugin.sync.failures import KEY, SETUP

#: How long a store rests whose secret can't be read.
UNREADABLE_REST = timedelta(minutes=1)


@dataclass(slots=True)
class _Asking:
    """The line for a question. learnt: keeps what the answer tells beside it; in a transaction."""

    client: BolClient
    learnt: Callable[[], None] | None = None


class Runtime(Connecting):
    """The connector on one host."""

    @contextmanager
    def context(
        self, store_id: int, lease: Lease, job: str = "", *, urgent: bool = True
    ) -> Iterator[Context | None]:
        """Yield what a job on a store needs; None where the store is gone or its line can't be built.
        Calls of work that is not urgent leave room in the budget for those that are. They are logged as made for `job`.

        A key or a setting of the installation that is missing is shown on the store's page: a person must bring it back.
        """
        with self.host.reading() as session:
            store = session.get(Store, store_id)
        calls = CallLog(self.host, store_id, job)
        client = None if store is None else self._client_or_problem(store, calls.note, urgent=urgent)
        if store is None or client is None:
            yield None
            return
        try:
            with logging_about(store=store.id):
                yield Context(
                    host=self.host,
                    lease=LoggingLease(lease, calls),
                    client=client,
                    store_id=store.id,
                    store_name=store.name,
                    sandbox=store.environment == SANDBOX,
                    active=is_active(store),
                    settings=settings_of(store),
                )
        finally:
            client.close()
            calls.write()

    def surroundings(self, store_id: int, lease: Lease) -> Surroundings | None:
        """Return what work on a store needs that makes no call to bol; None where the store is gone."""
        with self.host.reading() as session:
            store = session.get(Store, store_id)
        if store is None:
            return None
        return Surroundings(self.host, lease, store.id, store.name, settings_of(store))

    def _client_or_problem(self, store: Store, on_call: OnCall, *, urgent: bool) -> BolClient | None:
        try:
            client = self.line.client(store, on_call, urgent=urgent)
        except (SecretUnreadable, HostError) as error:
            kind = KEY if isinstance(error, SecretUnreadable) else SETUP
            with self.host.transaction() as session:
                now = self.host.now()
                note_problem(session, store.id, str(error), kind, now)
                session.execute(
                    update(Store).where(Store.id == store.id).values(rests_until=now + UNREADABLE_REST)
                )
            return None
        if store.problem_kind in (KEY, SETUP):
            # It is back: flows that run seldom or never, as in a paused store, would not say so.
            with self.host.transaction() as session:
                session.execute(
                    update(Store)
                    .where(Store.id == store.id, Store.problem_kind == store.problem_kind)
                    .values(problem="", problem_kind="", problem_at=None)
                )
        return client

    def let_go(self, store_id: int) -> None:
        """Erase the secret and the token of a store that is being disconnected, where it has finished."""
        if not leaving.leave_if_ready(self.host, store_id):
            return
        with self.host.reading() as session:
            store = session.get_one(Store, store_id)
        with suppress(BolError, HostError, SecretUnreadable):
            self.line.forget_token(store)

    # what people do

    def activate(self, store_id: int, who: str = "") -> None:
        """:raises HostError: the store does not exist."""
        with self.host.transaction():
            stores.activate(self.host, store_id, who)
            kinds = (ORDERS, PRODUCTS, STOCK, SHIPMENTS, UPKEEP)
            self.host.wake(*(wake_for(kind, store_id) for kind in kinds))

    def pause(self, store_id: int, who: str = "") -> None:
        """:raises HostError: the store does not exist."""
        with self.host.transaction():
            stores.pause(self.host, store_id, who)

    def set_carrier(self, store_id: int, carrier: str, code: str, who: str) -> None:
        """:raises HostError: the store does not exist, or the code can't be used."""
        with self.host.transaction():
            stores.set_carrier(self.host, store_id, carrier, code, who)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    def save_settings(self, store_id: int, settings: StoreSettings, who: str = "") -> None:
        """:raises HostError: the store does not exist, or a setting can't be used."""
        with self.host.transaction():
            stores.save_settings(self.host, store_id, settings, who)
            self.host.wake(*(wake_for(kind, store_id) for kind in (ORDERS, STOCK, SHIPMENTS)))

    def catch_up(self, store_id: int) -> None:
        """Try everything at once that waits for its next try. :raises HostError: the store does not exist."""
        with self.host.transaction():
            catch_up.catch_up(self.host, store_id)
            kinds = (SHIPMENTS, ORDERS, STOCK, PRODUCTS, CHECK)
            self.host.wake(*(wake_for(kind, store_id) for kind in kinds))

    def push_stock(self, store_id: int) -> None:
        """Have the stock of every offer worked out anew, and sent where bol has another. :raises HostError: it can't be."""
        with self.host.transaction():
            stores.push_all(self.host, store_id)
            self.host.wake(wake_for(STOCK, store_id))

    def import_orders(self, store_id: int) -> None:
        """:raises HostError: the store is not active or does not exist, or the setting is off."""
        with self.host.transaction():
            stores.start_order_import(self.host, store_id)
            self.host.wake(wake_for(ORDERS, store_id))

    def accept_request(self, store_id: int, order_row_id: int, who: str) -> bool:
        """Return False where bol is asked later, once what is picked is put back.

        :raises HostError: nothing is asked for any more, or the packer was first.
        """
        with self.host.transaction():
            accepted = cancel_decisions.accept_request(
                self.host, order_decisions.locked(self.host, store_id, order_row_id), who
            )
            self.host.wake(wake_for(SHIPMENTS, store_id), wake_for(ORDERS, store_id))
        return accepted

    def keep_order(self, store_id: int, order_row_id: int, who: str) -> None:
        """:raises HostError: the order does not exist."""
        with self.host.transaction():
            order_decisions.keep(self.host, order_decisions.locked(self.host, store_id, order_row_id), who)

    def take_off_cancelled(self, store_id: int, order_row_id: int, who: str) -> int:
        """Take off here what bol cancelled; return how many pieces.

        :raises HostError: nothing of that is open here, or some of it is picked.
        """
        with self.host.transaction():
            row = order_decisions.locked(self.host, store_id, order_row_id)
            return order_decisions.take_off_cancelled(self.host, row, who)

    def cancel_at_bol(self, store_id: int, order_row_id: int, reason_code: str, who: str) -> None:
        """:raises HostError: the order is not cancelled here, nothing of it is open at bol, or the reason is unknown."""
        with self.host.transaction():
            row = order_decisions.locked(self.host, store_id, order_row_id)
            cancel_decisions.cancel_at_bol(self.host, row, reason_code, who)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    def read_again(self, store_id: int, order_row_id: int) -> None:
        """Read an order from bol at once. :raises HostError: the order does not exist."""
        with self.host.transaction():
            order_decisions.read_again(self.host, order_decisions.locked(self.host, store_id, order_row_id))
            self.host.wake(wake_for(ORDERS, store_id))

    def read_failed_again(self, store_id: int, order_row_id: int) -> int:
        """Read every order at once that failed for the same reason as this one; return how many."""
        with self.host.transaction():
            number = order_decisions.read_failed_again(self.host, store_id, order_row_id)
            self.host.wake(wake_for(ORDERS, store_id))
        return number

    def link_waiting(self, store_id: int, ean: str, code: str) -> int:
        """:raises HostError: no product has this code or barcode, or no order waits for one."""
        with self.host.transaction():
            number = order_decisions.link_waiting(self.host, store_id, ean, code)
            self.host.wake(wake_for(ORDERS, store_id))
        return number

    def link_item(self, store_id: int, order_row_id: int, item_row_id: int, code: str) -> None:
        """:raises HostError: no product has this code or barcode, or the order does not wait for one."""
        with self.host.transaction():
            order_decisions.link_item(
                self.host, order_decisions.locked(self.host, store_id, order_row_id), item_row_id, code
            )
            self.host.wake(wake_for(ORDERS, store_id))

    def import_products(self, store_id: int) -> None:
        """:raises HostError: the setting is off, or the store does not exist."""
        with self.host.transaction():
            stores.start_product_import(self.host, store_id)
            self.host.wake(wake_for(PRODUCTS, store_id))

    def preview_again(self, store_id: int) -> None:
        """:raises HostError: the store is active already, or does not exist."""
        with self.host.transaction():
            stores.preview_again(self.host, store_id)
            self.host.wake(wake_for(PRODUCTS, store_id))

    def link_offer(self, store_id: int, row_id: int, code: str) -> None:
        """:raises HostError: no product has this code or barcode, or bol ships the offer."""
        with self.host.transaction():
            offer_decisions.link(self.host, store_id, row_id, code)
            self.host.wake(wake_for(STOCK, store_id), wake_for(ORDERS, store_id))

    def unlink_offer(self, store_id: int, row_id: int) -> None:
        """:raises HostError: the offer has no product."""
        with self.host.transaction():
            offer_decisions.unlink(self.host, offer_decisions.locked(self.host, store_id, row_id))

    def match_offer_again(self, store_id: int, row_id: int) -> None:
        """:raises HostError: nobody chose the offer's product."""
        with self.host.transaction():
            offer_decisions.match_again(self.host, offer_decisions.locked(self.host, store_id, row_id))
            self.host.wake(wake_for(STOCK, store_id))

    def push_offer(self, store_id: int, row_id: int) -> None:
        """:raises HostError: its stock can't be sent, and why."""
        with self.host.transaction():
            offer_decisions.push(self.host, offer_decisions.locked(self.host, store_id, row_id))
            self.host.wake(wake_for(STOCK, store_id))

    def exclude_offer(self, store_id: int, row_id: int, excluded: bool) -> None:
        """:raises HostError: the offer does not exist."""
        with self.host.transaction():
            row = offer_decisions.locked(self.host, store_id, row_id)
            offer_decisions.exclude(self.host, row, excluded)
            self.host.wake(wake_for(STOCK, store_id))

    def set_safety_stock(self, store_id: int, row_id: int, pieces: int | None) -> None:
        """:raises HostError: the offer has no product, or the number can't be used."""
        with self.host.transaction():
            offer_decisions.set_safety_stock(self.host, store_id, row_id, pieces)
            self.host.wake(wake_for(STOCK, store_id))

    def check_stock(self, store_id: int, dry: bool, who: str) -> int:
        """Begin a stock check and return its run; a store that sends no stock gets one that only reports.

        :raises HostError: one is under way, or the store does not exist.
        """
        with self.host.transaction():
            run_id = stock_check.start(self.host, store_id, dry=dry, who=who)
            self.host.wake(wake_for(CHECK, store_id))
        return run_id

    def stop_run(self, store_id: int, run_id: int) -> None:
        """:raises HostError: the run has ended already."""
        with self.host.transaction():
            runs.stop(self.host, store_id, run_id)

    def start_sending_stock(self, store_id: int, who: str = "") -> None:
        """:raises HostError: the store does not exist."""
        with self.host.transaction():
            stores.start_sending_stock(self.host, store_id, who)
            self.host.wake(wake_for(STOCK, store_id))

    def start_sending_shipments(self, store_id: int, who: str = "") -> None:
        """:raises HostError: the store does not exist."""
        with self.host.transaction():
            stores.start_sending_shipments(self.host, store_id, who)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    def send_zeros_anyway(self, store_id: int) -> None:
        """Send what the guard holds back. :raises HostError: nothing is held back."""
        with self.host.transaction():
            guard.send_anyway(self.host, store_id)
            self.host.wake(wake_for(STOCK, store_id))

    def discard_zeros(self, store_id: int) -> None:
        """Leave bol the amounts that the guard kept from going to zero. :raises HostError: nothing is held back."""
        with self.host.transaction():
            guard.discard(self.host, store_id)

    def send_zeros_after_all(self, store_id: int, row_id: int | None = None) -> int:
        """Send the zeros of offers that a person kept on sale, or of one of them; return how many.

        :raises HostError: there is none, or the store sends no stock.
        """
        with self.host.transaction():
            number = guard.send_after_all(self.host, store_id, row_id)
            self.host.wake(wake_for(STOCK, store_id))
        return number

    def try_shipment_again(self, store_id: int, effect_id: int) -> bool:
        """Send a refused or undecided shipment again; False where it is neither any more."""
        with self.host.transaction():
            done = shipments.try_again(self.host, store_id, effect_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))
        return done

    def try_refused_again(self, store_id: int, effect_id: int) -> int:
        """Send every shipment again that was refused for the same reason as this one; return how many."""
        with self.host.transaction():
            number = shipments.try_refused_again(self.host, store_id, effect_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))
        return number

    def shipment_handled(self, store_id: int, effect_id: int, *, parcel: bool = False) -> bool:
        """Close a shipment, or its whole parcel, that a person has dealt with at bol; False where it is not open any more."""
        with self.host.transaction():
            done = shipments.handled_elsewhere(self.host, store_id, effect_id, parcel=parcel)
            self.host.wake(wake_for(SHIPMENTS, store_id))
        return done

    def try_correction_again(self, store_id: int, effect_id: int) -> bool:
        """Send a refused correction again; False where it is not refused any more."""
        with self.host.transaction():
            done = corrections.try_again(self.host, store_id, effect_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))
        return done

    def correction_handled(self, store_id: int, effect_id: int) -> bool:
        """Close a correction that a person has dealt with at bol; False where it is not refused any more."""
        with self.host.transaction():
            return corrections.handled_elsewhere(self.host, store_id, effect_id)

    @contextmanager
    def _asking(self, store: Store) -> Iterator[_Asking]:
        """Yield the line for a question of the packing table, and log its calls."""
        calls = CallLog(self.host, store.id, PACKING)
        asking = _Asking(self.line.client(store, calls.note))
        try:
            yield asking
        finally:
            asking.client.close()
            calls.write(asking.learnt)

    def closing_answer(self, picklist_id: int, seconds: float) -> ClosingAnswer | None:
        """Ask bol about a picklist that is about to be closed."""
        # From here on: what is looked up first takes of the host's time, too.
        deadline = Deadline.after(max(0.1, seconds - closing.MARGIN))
        if (waits := closing.label_on_its_way(self.host, picklist_id)) is not None:
            return waits
        question = closing.question_for(self.host, picklist_id)
        if question is None:
            return closing.not_asked(self.host, picklist_id)
        with self.host.reading() as session:
            store = session.get(Store, question.store_id)
        if store is None:
            return None
        with self._asking(store) as asking:
            heard = closing.ask(question, asking.client, deadline)
            if heard.news:
                asking.learnt = partial(self._read_order, question)
        return heard.answer

    def _read_order(self, question: closing.Question) -> None:
        closing.read_order(self.host, question)
        self.host.wake(wake_for(ORDERS, question.store_id))

    def shipping_options(
        self, picklist_id: int, pieces: Mapping[int, int], seconds: float
    ) -> ShippingOptions | None:
        """Ask bol what labels it sells for goods on a picklist."""
        with self.host.reading() as session:
            goods = label_options.goods_of(self.host, picklist_id, pieces)
            store = session.get(Store, goods.store_id) if goods else None
            reason = label_options.no_label(self.host, picklist_id, pieces)
            bought = bought_labels.bought_before(self.host, picklist_id) if goods else ()
            usual = label_options.usually_bought(session, goods.store_id) if goods else None
        if reason:
            return ShippingOptions(reason=reason)
        if goods is None or store is None:
            return None
        if StoreSettings.load(store.settings).label_automatic:
            return bought_labels.with_bought(label_options.recommended_only(), bought, pieces)
        with self._asking(store) as asking:
            found = label_options.options(goods, asking.client, seconds, usual)
        return bought_labels.with_bought(found, bought, pieces)

    def enter_label_number(self, store_id: int, effect_id: int, label_id: str) -> None:
        """:raises HostError: the purchase waits for no decision, or the number is empty."""
        with self.host.transaction():
            labels.enter_number(self.host, store_id, effect_id, label_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    def buy_label_again(self, store_id: int, effect_id: int) -> None:
        """:raises HostError: the purchase waits for no decision."""
        with self.host.transaction():
            labels.buy_again(self.host, store_id, effect_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    def settle_label(self, store_id: int, effect_id: int, who: str) -> None:
        """:raises HostError: the label is not left over, or was settled."""
        with self.host.transaction():
            left_labels.settle(self.host, store_id, effect_id, who)

    def fetch_label(self, store_id: int, effect_id: int) -> None:
        """:raises HostError: the label does not wait to be fetched."""
        with self.host.transaction():
            labels.fetch_now(self.host, store_id, effect_id)
            self.host.wake(wake_for(SHIPMENTS, store_id))

    # demonstration

    def set_up_demo(self, client_id: str, client_secret: str) -> None:
        """Connect a store to the sandbox and turn everything on; does nothing where it is connected."""
        if SANDBOX not in self.environments():
            return
        try:
            store_id = self.connect_store(
                name="Demo store", environment=SANDBOX, client_id=client_id, client_secret=client_secret
            )
        except HostError:
            with self.host.reading():
                if not stores.is_known(self.host, SANDBOX, client_id):
                    raise
            return
        self.save_settings(store_id, stores.with_everything_on(StoreSettings()))
        self.activate(store_id)
