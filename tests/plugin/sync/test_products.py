"""Products come from offers: once, with the stock that bol would sell, and without changing what is there."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import update

from host_app import jobs
from host_app.db import reading, transaction
from host_app.models import Product, Stock
from host_app.plugin_api import HostError
from host_app.services import catalog
from plugin.jobs import tasks
from plugin.jobs.wakes import wake_for
from plugin.models import Offer, Run, RunState, Store
from plugin.sync.context import Context
from plugin.sync.due import PRODUCTS
from plugin.sync.offers import record_offers
from plugin.sync.order_list import FRESH
from plugin.sync.products import KIND, _Pages
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop
from tests.plugin.portal import add_at_bol
from tests.plugin.queries import counted_queries, walks_through
from tests.plugin.sync.test_pump import list_reads

CATALOGUE = "/retailer/content/catalog-products/*"
#: A right EAN with zeros in front, and how a till shows it.
ZEROS, UPC = "0012345678905", "012345678905"
MUG = "8710103934509"


def runs(shop: Shop) -> list[Run]:
    return shop.all(Run, Run.kind == KIND)


def products(shop: Shop) -> dict[str, Product]:
    return {product.code: product for product in shop.all(Product)}


def stock_of(product_id: int) -> int:
    with reading() as session:
        return session.get_one(Stock, (product_id, 1)).physical


def offers(count: int) -> list[dict[str, Any]]:
    """Return offers that tell their title themselves."""
    return [
        {"ean": f"87100000{number:05d}", "title": f"Thing {number}", "price": 1, "stock": number}
        for number in range(count)
    ]


def lists(shop: Shop) -> list[dict[str, Any]]:
    """Return the requests for pages of the offers list."""
    return [call for call in shop.sandbox.calls() if call["path"] == "/retailer/offers"]


class Killed(BaseException):
    """What no handler of a flow sees."""


def work_one_slice(shop: Shop, store_id: int | None = None) -> None:
    wake = wake_for(PRODUCTS, store_id or shop.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


# what a product is made of


def test_a_product_has_the_offers_reference_as_code_and_its_ean_as_barcode(shop: Shop) -> None:
    shop.connect()
    shop.work()
    with reading():
        views = shop.host.products([shop.offer(KETTLE).product_id, shop.offer(TOASTER).product_id])
    assert {(view.code, view.barcodes) for view in views.values()} == {
        ("KETTLE-1", (KETTLE,)),
        (TOASTER, (TOASTER,)),
    }
    assert shop.free(KETTLE) == 20
    assert shop.offer(KETTLE).link == "created"


def test_a_reference_that_is_in_use_is_no_code(shop: Shop) -> None:
    add_product("KETTLE-1", 3)
    shop.connect()
    shop.work()
    assert products(shop).keys() == {"KETTLE-1", KETTLE, TOASTER}


def test_an_import_changes_nothing_of_products_that_are_there(shop: Shop) -> None:
    product_id = add_product("MINE", 7, KETTLE)
    shop.connect()
    shop.work()
    shop.runtime.import_products(shop.store_id)
    shop.work()
    mine = products(shop)["MINE"]
    assert (mine.name, str(mine.price), stock_of(product_id)) == ("Product MINE", "9.95", 7)
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).link) == (product_id, "auto")


def test_importing_again_makes_nothing_twice(shop: Shop) -> None:
    shop.connect()
    shop.work()
    before = products(shop).keys()
    shop.runtime.import_products(shop.store_id)
    shop.work()
    assert products(shop).keys() == before
    assert runs(shop)[-1].counts["linked"] == 2


def test_pieces_of_orders_that_are_not_here_yet_are_not_subtracted_twice(shop: Shop) -> None:
    shop.order((KETTLE, 4))
    shop.connect(send_stock=True)
    shop.work()
    assert (stock_of(shop.offer(KETTLE).product_id), shop.free(KETTLE)) == (20, 16)
    assert shop.sandbox.offer("seller", KETTLE)["stock"]["correctedStock"] == 16


def test_pieces_that_were_ordered_since_the_last_read_of_orders_are_not_subtracted_twice(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    add_at_bol(shop, MUG, 9)
    shop.order((MUG, 4))
    shop.clock.ahead += 2 * FRESH
    shop.runtime.import_products(shop.store_id)
    work_one_slice(shop)
    assert stock_of(shop.offer(MUG).product_id) == 9
    shop.pass_time(60)
    assert shop.free(MUG) == 5
    assert shop.sandbox.offer("seller", MUG)["stock"]["correctedStock"] == 5


def test_orders_are_read_anew_only_where_products_are_made(shop: Shop) -> None:
    shop.connect()
    shop.work()
    reads = list_reads(shop)
    shop.clock.ahead += 2 * FRESH
    shop.runtime.import_products(shop.store_id)
    work_one_slice(shop)
    assert list_reads(shop) == reads
    add_at_bol(shop, MUG, 9)
    shop.runtime.import_products(shop.store_id)
    work_one_slice(shop)
    assert list_reads(shop) == reads + 1
    assert runs(shop)[-1].counts["created"] == 1


def test_products_are_not_made_while_the_order_list_cannot_be_read(shop: Shop) -> None:
    shop.connect()
    shop.work()
    add_at_bol(shop, MUG, 9)
    shop.clock.ahead += 2 * FRESH
    shop.sandbox.faults([{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 503}])
    shop.runtime.import_products(shop.store_id)
    work_one_slice(shop)
    assert MUG not in products(shop)
    assert runs(shop)[-1].error
    shop.sandbox.faults([])
    shop.pass_time(600)
    assert stock_of(shop.offer(MUG).product_id) == 9


def test_stock_that_was_imported_is_not_echoed_where_bol_has_subtracted_orders(shop: Shop) -> None:
    shop.order((KETTLE, 4))
    shop.connect(send_stock=True, import_orders=False)
    shop.work()
    assert shop.free(KETTLE) == 16
    assert shop.writes("/offers/") == []


@pytest.mark.parametrize(
    ("changes", "amount", "managed"),
    [
        ({"safety_stock": 2}, 18, True),
        ({"max_stock": 5}, 5, True),
        ({"managed_by_retailer": False}, 20, False),
    ],
)
def test_bol_is_told_the_stock_of_a_new_product_where_settings_call_for_another_amount_or_flag(
    shop: Shop, changes: dict[str, Any], amount: int, managed: bool
) -> None:
    shop.connect(send_stock=True, **changes)
    shop.work()
    stock = shop.sandbox.offer("seller", KETTLE)["stock"]
    assert (stock["amount"], stock["managedByRetailer"]) == (amount, managed)


def test_a_second_offer_of_the_same_ean_is_told_the_stock_of_the_product(shop: Shop) -> None:
    shop.sandbox.add_seller("twice", "secret", offers=[offers(9)[8], offers(9)[8] | {"stock": 3}])
    shop.store_id = shop.runtime.connect_store(
        name="Twice", environment="sandbox", client_id="twice", client_secret="secret"
    )
    shop.settings(send_stock=True)
    shop.runtime.activate(shop.store_id)
    shop.work()
    (product,) = shop.all(Product)
    amounts = {offer["stock"]["amount"] for offer in shop.sandbox.state("twice")["offers"]}
    assert amounts == {stock_of(product.id)}


# when products are made


def test_before_activation_offers_are_read_and_linked_but_nothing_is_made(shop: Shop) -> None:
    product_id = add_product("MINE", 7, KETTLE)
    shop.store_id = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    shop.work()
    assert shop.offer(KETTLE).product_id == product_id
    assert shop.offer(TOASTER).product_id is None
    assert products(shop).keys() == {"MINE"}


def test_no_product_is_made_where_the_setting_says_no(shop: Shop) -> None:
    shop.connect(import_products=False)
    shop.order((KETTLE, 1))
    shop.import_orders()
    assert shop.all(Product) == []
    with pytest.raises(HostError, match="Import products"):
        shop.runtime.import_products(shop.store_id)
    assert len(shop.all(Offer)) == 3


def test_saying_no_stops_an_import_that_runs_from_making_products(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(import_orders=False)
    get = _Pages.get

    def change_of_mind(pages: _Pages, cursor: str) -> Any:
        shop.settings(import_products=False, import_orders=False)
        return get(pages, cursor)

    monkeypatch.setattr(_Pages, "get", change_of_mind)
    work_one_slice(shop)
    assert shop.all(Product) == []
    assert runs(shop)[-1].state == RunState.DONE


def test_a_product_made_for_an_order_is_named_by_the_order_without_asking_the_catalogue(shop: Shop) -> None:
    shop.sandbox.faults([{"path": CATALOGUE, "when": "before", "status": 500}])
    shop.connect()
    shop.order((KETTLE, 1))
    shop.runtime.import_orders(shop.store_id)
    wakes = [wake for wake in shop.due() if wake.name.startswith("bol:orders")]
    for wake in wakes:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    assert [product.name for product in shop.all(Product)] == ["Kettle"]
    assert [call for call in shop.sandbox.calls() if "catalog" in call["path"]] == []


# names


def test_products_are_there_before_their_names(shop: Shop) -> None:
    shop.sandbox.faults([{"path": CATALOGUE, "when": "before", "status": 503}])
    shop.connect()
    shop.work()
    assert {product.name for product in shop.all(Product)} == {KETTLE, TOASTER}
    assert shop.offer(KETTLE).title_due_at is not None
    shop.sandbox.faults([])
    shop.pass_time(3 * 3600, steps=3)
    assert {product.name for product in shop.all(Product)} == {"Kettle", "Toaster"}
    assert shop.offer(KETTLE).title == "Kettle"
    assert [offer for offer in shop.all(Offer) if offer.title_due_at] == []


def test_a_name_that_a_person_gave_meanwhile_stays(shop: Shop) -> None:
    shop.sandbox.faults([{"path": CATALOGUE, "when": "before", "status": 503}])
    shop.connect()
    shop.work()
    product_id = shop.offer(KETTLE).product_id
    with transaction():
        catalog.change_product(product_id, code="K", name="My kettle", price=None, barcodes=[KETTLE])
    shop.sandbox.faults([])
    shop.pass_time(3 * 3600, steps=3)
    assert {product.name for product in shop.all(Product)} == {"My kettle", "Toaster"}


def test_an_article_without_a_name_at_bol_is_not_asked_for_again(shop: Shop) -> None:
    shop.sandbox.faults([{"path": CATALOGUE, "when": "before", "status": 404}])
    shop.connect()
    shop.work()
    asked = [call for call in shop.sandbox.calls() if "catalog" in call["path"]]
    assert len(asked) == 2
    shop.pass_time(48 * 3600, steps=3)
    assert [call for call in shop.sandbox.calls() if "catalog" in call["path"]] == asked


def test_a_name_that_can_not_be_read_is_asked_for_ever_less_often(shop: Shop) -> None:
    shop.sandbox.faults([{"path": CATALOGUE, "when": "before", "status": 500}])
    shop.connect()
    shop.work()
    gaps = []
    for _ in range(3):
        due = shop.offer(KETTLE).title_due_at
        gaps.append((due - shop.clock.now()).total_seconds())
        shop.pass_time(gaps[-1] + 1, steps=1)
    assert gaps[0] > 30
    assert gaps[1] > 2 * gaps[0]
    assert gaps[2] > 2 * gaps[1]


def test_naming_a_product_sends_nothing_to_bol(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    assert {product.name for product in shop.all(Product)} == {"Kettle", "Toaster"}
    assert shop.writes("/offers/") == []


# the walk


@pytest.fixture
def large(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store with three pages of offers, and none of its products here."""
    monkeypatch.setattr("plugin.sync.products.PAGE_SIZE", 10)
    shop.sandbox.add_seller("large", "secret", offers=offers(25))
    shop.store_id = shop.runtime.connect_store(
        name="Large", environment="sandbox", client_id="large", client_secret="secret"
    )
    return shop


def test_the_walk_tells_how_far_it_is(large: Shop) -> None:
    assert runs(large)[-1].expected is None
    large.work()
    large.runtime.activate(large.store_id)
    assert runs(large)[-1].expected == 25
    large.work()
    done = runs(large)[-1]
    assert (done.state, done.counts["offers"], done.counts["created"]) == (RunState.DONE, 25, 25)


def test_a_walk_goes_on_where_bol_stopped_answering(large: Shop) -> None:
    large.sandbox.faults(
        [{"method": "GET", "path": "/retailer/offers", "when": "before", "status": 500, "probability": 0.5}],
        seed=3,
    )
    large.runtime.activate(large.store_id)
    large.pass_time(7200, steps=20)
    assert len(large.all(Product)) == 25
    assert len({product.code for product in large.all(Product)}) == 25


def test_a_cursor_that_bol_does_not_take_any_more_begins_the_walk_anew(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.runtime.import_products(shop.store_id)
    with transaction() as session:
        session.execute(update(Run).where(Run.state == RunState.RUNNING).values(cursor="stale"))
    shop.work()
    assert (runs(shop)[-1].state, runs(shop)[-1].cursor) == (RunState.RUNNING, "")
    shop.pass_time(600)
    assert (runs(shop)[-1].state, runs(shop)[-1].counts["offers"]) == (RunState.DONE, 3)


def test_a_walk_that_is_killed_goes_on_where_it_was(large: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    large.runtime.activate(large.store_id)
    with transaction() as session:
        session.execute(
            update(Store).values(orders_read_at=large.clock.now(), orders_known_at=large.clock.now())
        )

    pages = 0

    def die_at_the_second(*args: Any) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise Killed
        record_offers(*args)

    monkeypatch.setattr("plugin.sync.products.record_offers", die_at_the_second)
    with pytest.raises(Killed):
        work_one_slice(large)
    assert runs(large)[-1].counts["offers"] == 10
    assert len(large.all(Product)) == 10
    large.forget_leases()
    asked = len(lists(large))
    large.work()
    assert len(large.all(Product)) == 25
    assert len(lists(large)) == asked + 2


def test_a_walk_is_stopped_and_keeps_what_it_did(large: Shop) -> None:
    large.runtime.activate(large.store_id)
    run = runs(large)[-1]
    large.runtime.stop_run(large.store_id, run.id)
    large.work()
    assert runs(large)[-1].state == RunState.STOPPED
    assert large.all(Product) == []
    with pytest.raises(HostError):
        large.runtime.stop_run(large.store_id, run.id)
    large.runtime.import_products(large.store_id)
    large.work()
    assert len(large.all(Product)) == 25


def test_a_page_that_is_known_costs_the_same_few_queries_whatever_is_on_it(shop: Shop) -> None:
    shop.connect()
    shop.work()
    counts = []
    for seller, size in (("one", 1), ("fifty", 50)):
        shop.sandbox.add_seller(seller, "secret", offers=offers(size))
        store_id = shop.runtime.connect_store(
            name=seller, environment="sandbox", client_id=seller, client_secret="secret"
        )
        shop.work()
        shop.runtime.import_products(store_id)
        with counted_queries() as seen:
            work_one_slice(shop, store_id)
        counts.append(len(seen))
    assert counts[0] == counts[1] < 40


def test_no_page_of_an_import_or_a_check_looks_through_the_whole_store(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each page costing more than the one before, a large store would take hours."""
    monkeypatch.setattr("plugin.sync.products.PAGE_SIZE", 10)
    monkeypatch.setattr("plugin.sync.stock_check.PAGE_SIZE", 10)
    shop.sandbox.generate_offers("seller", 30)
    shop.connect(send_stock=True)
    with counted_queries() as imported:
        shop.work()
    shop.runtime.check_stock(shop.store_id, False, "ann")
    with counted_queries() as checked:
        shop.work()
    assert len(lists(shop)) >= 6
    assert walks_through("bol_offer", imported, least=3) == []
    assert walks_through("bol_offer", checked, least=3) == []


def test_the_next_page_is_under_way_while_one_is_worked_on(
    large: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(lists(large))
    asked_for: list[int] = []

    def wait_for_the_next(*args: Any) -> None:
        for _ in range(100):
            if len(lists(large)) - before > len(asked_for) + 1:
                break
            time.sleep(0.02)
        asked_for.append(len(lists(large)) - before)
        record_offers(*args)

    monkeypatch.setattr("plugin.sync.products.record_offers", wait_for_the_next)
    large.work()
    assert asked_for == [2, 3, 3]


# numbers that are alike


def test_zeros_in_front_make_no_second_product(shop: Shop) -> None:
    shop.sandbox.add_seller("zeros", "secret", offers=[{"ean": ZEROS, "title": "Z", "stock": 4}])
    product_id = add_product("Z", 9, UPC)
    shop.runtime.connect_store(name="Z", environment="sandbox", client_id="zeros", client_secret="secret")
    shop.work()
    shop.runtime.activate(1)
    shop.work()
    assert [product.id for product in shop.all(Product)] == [product_id]
    assert shop.offer(ZEROS).product_id == product_id


@pytest.mark.parametrize("moment", ["before the first page", "after the first page"])
def test_products_are_made_where_the_store_is_activated_while_its_offers_are_read(
    shop: Shop, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.store_id = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    walk, get = tasks.import_products, _Pages.get

    def activated_before(ctx: Context) -> bool:
        shop.runtime.activate(shop.store_id)
        return walk(ctx)

    def activated_after(pages: _Pages, cursor: str) -> Any:
        page = get(pages, cursor)
        shop.runtime.activate(shop.store_id)
        return page

    if moment == "before the first page":
        monkeypatch.setattr(tasks, "import_products", activated_before)
    else:
        monkeypatch.setattr(_Pages, "get", activated_after)
    shop.work()
    assert None not in {shop.offer(ean).product_id for ean in (KETTLE, TOASTER)}


def test_a_product_whose_number_was_mistyped_gets_no_double(shop: Shop) -> None:
    add_product("K", 9, KETTLE[:-1])
    shop.connect()
    shop.work()
    assert products(shop).keys() == {"K", TOASTER}
    assert shop.offer(KETTLE).product_id is None
    assert runs(shop)[-1].counts["similar"] == 1


def test_what_is_wrong_with_an_ean_at_bol_is_kept(shop: Shop) -> None:
    shop.sandbox.add_seller("wrong", "secret", offers=[{"ean": "8712626055144", "title": "W", "stock": 4}])
    shop.store_id = shop.runtime.connect_store(
        name="W", environment="sandbox", client_id="wrong", client_secret="secret"
    )
    shop.work()
    assert shop.offer("8712626055144").ean_problem == "check digit"


def test_an_offer_that_bol_no_longer_ships_is_compared(shop: Shop) -> None:
    product_id = add_product("L", 3, LAMP)
    shop.connect(send_stock=True)
    shop.work()
    assert shop.offer(LAMP).product_id is None
    with transaction() as session:
        session.execute(update(Offer).where(Offer.ean == KETTLE).values(method="FBB"))
    shop.runtime.import_products(shop.store_id)
    kettle = shop.offer(KETTLE)
    shop.work()
    assert shop.offer(KETTLE).method == "FBR"
    assert shop.offer(KETTLE).dirty_version > kettle.dirty_version
    assert shop.offer(LAMP).product_id is None
    assert stock_of(product_id) == 3
