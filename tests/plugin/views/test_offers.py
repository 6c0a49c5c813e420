"""The offers of a store, what a person can decide about one, and the EAN doctor."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from host_app.db import transaction
from host_app.services.stock import adjust_stock
from plugin.models import Offer, ProductRule, Run, RunState
from plugin.sync.products import KIND
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop
from tests.plugin.views.conftest import SECRET, Site
from tests.plugin.views.test_store_pages import press, text


def row_of(site: Site, ean: str) -> Offer:
    with site.shop() as shop:
        return shop.offer(ean)


def path_to(site: Site, store: int, ean: str) -> str:
    return f"{store}/offers/{row_of(site, ean).id}"


def change(ean: str, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(Offer).where(Offer.ean == ean).values(**values))


def adjust(shop: Shop, product_id: int | None, by: int) -> None:
    with transaction():
        adjust_stock(product_id, shop.warehouse, change=by, reason="test", who="ann")  # type: ignore[arg-type]


@pytest.fixture
def sending(site: Site, store: int) -> int:
    """The store, sending its stock."""
    with site.shop() as shop:
        shop.settings(send_stock=True)
        shop.work()
    return store


# the list


def test_offers_are_found_by_ean_name_reference_and_bols_id(site: Site, store: int, packer: Person) -> None:
    offer_id = row_of(site, TOASTER).offer_id
    for sought, found, others in (
        (KETTLE, KETTLE, (TOASTER, LAMP)),
        (KETTLE[:5], KETTLE, (TOASTER, LAMP)),
        ("KETTLE-1", KETTLE, (TOASTER, LAMP)),
        ("kettle-1", KETTLE, (TOASTER, LAMP)),
        (offer_id.upper(), TOASTER, (KETTLE, LAMP)),
        ("ettl", KETTLE, (TOASTER, LAMP)),
        ("TOASTER", TOASTER, (KETTLE, LAMP)),
    ):
        page = text(packer, f"{store}/offers?q={sought}")
        assert found in page, sought
        assert not [ean for ean in others if ean in page], sought
    for sought in ("kettles", "9", "%25", "_", "999999999999999999999999999", "é"):
        assert "No offer fits." in text(packer, f"{store}/offers?q={sought}"), sought


def test_the_list_says_whose_word_the_amount_is(store: int, packer: Person) -> None:
    page = text(packer, f"{store}/offers")
    assert "Wanted Last confirmed by bol State" in page


def test_an_offer_without_a_name_says_so(site: Site, store: int, packer: Person) -> None:
    with site.shop():
        change(LAMP, title="", reference="")
    assert f"{LAMP} bol tells no name" in text(packer, f"{store}/offers?state=bol ships")
    with site.shop():
        change(LAMP, reference="LAMP-7")
    assert f"{LAMP} LAMP-7" in text(packer, f"{store}/offers?state=bol ships")


def test_an_offer_is_shown_with_all_its_amounts(site: Site, sending: int, packer: Person) -> None:
    with site.shop() as shop:
        adjust(shop, shop.offer(KETTLE).product_id, -3)
        shop.work()
        adjust(shop, shop.offer(KETTLE).product_id, -2)
        row_id = shop.offer(KETTLE).id
    # Our stock 15, wanted 15, confirmed 17; more stands on its own page.
    assert f"{KETTLE} Kettle KETTLE-1 15 15 17 being sent to bol: 15" in text(packer, f"{sending}/offers")
    assert ", before the last update" in text(packer, f"{sending}/offers/{row_id}")
    with site.shop() as shop:
        shop.work()
        shop.order((KETTLE, 2))
        shop.runtime.import_products(sending)
        shop.work()
    assert f"{KETTLE} Kettle KETTLE-1 15 15 15 up to date" in text(packer, f"{sending}/offers")
    assert ", before the last update" not in text(packer, f"{sending}/offers/{row_id}")


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("differs", {"wanted_amount": 3}),
        ("waiting", {"dirty_version": 99}),
        ("failed", {"dirty_version": 99, "error": "bol says no."}),
        ("held", {"held_at": "now", "dirty_version": 99}),
        ("kept on sale", {"held_at": "now"}),
        ("no product", {"product_id": None, "link": "auto"}),
        ("excluded", {"excluded": True}),
        ("by hand", {"link": "hand"}),
        ("unlinked by hand", {"product_id": None, "link": "unlinked"}),
        ("several products", {"candidates": 2}),
        ("invalid EAN", {"ean_problem": "length"}),
        ("gone", {"state": "gone"}),
    ],
)
def test_offers_can_be_narrowed(
    site: Site, store: int, packer: Person, word: str, values: dict[str, Any]
) -> None:
    with site.shop() as shop:
        change(
            KETTLE, **{name: shop.clock.now() if value == "now" else value for name, value in values.items()}
        )
    page = text(packer, f"{store}/offers?state={word}")
    assert KETTLE in page
    assert TOASTER not in page
    assert LAMP not in page


def test_the_store_counts_how_its_offers_were_matched(site: Site, store: int, packer: Person) -> None:
    with site.shop():
        change(KETTLE, candidates=2)
        change(TOASTER, product_id=None, link="unlinked")
    page = text(packer, f"{store}/")
    assert "Offers whose product was made from an offer 1" in page
    assert "Several products with the EAN 1" in page
    assert "Unlinked by hand 1" in page
    assert "Without a product 0" in page
    assert "Shipped by bol 1" in page


# an import that runs


def test_an_import_shows_how_far_it_is_and_can_be_stopped(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop, transaction() as session:
        session.execute(
            update(Run)
            .where(Run.kind == KIND)
            .values(state=RunState.RUNNING, counts={"offers": 1000, "created": 7}, expected=4000, due_at=None)
        )
    page = chief.get(f"/admin/bol/{store}/").text
    assert '<progress class="bol-progress" max="100" value="25"' in page
    assert "1,000 of about 4,000, 7 products made" in text(chief, f"{store}/")
    with site.shop(), transaction() as session:
        # There were more than anybody knew of.
        session.execute(update(Run).where(Run.kind == KIND).values(expected=3))
    assert "1,000 read so far" in text(chief, f"{store}/") and "about 3" not in text(chief, f"{store}/")
    with site.shop(), transaction() as session:
        session.execute(update(Run).where(Run.kind == KIND).values(expected=4000))
    with site.shop() as shop:
        run = shop.all(Run, Run.kind == KIND)[-1]
    assert "The import is stopped." in press(chief, f"{store}/import-products/{run.id}/stop")
    assert "after 1,000 offers of about 4,000" in text(chief, f"{store}/")
    assert "has ended already" in press(chief, f"{store}/import-products/{run.id}/stop")


def test_an_import_of_which_nobody_knows_the_size_has_no_bar(site: Site, store: int, chief: Person) -> None:
    with site.shop(), transaction() as session:
        session.execute(update(Run).values(state=RunState.RUNNING, counts={"offers": 1000}, expected=None))
    page = chief.get(f"/admin/bol/{store}/").text
    assert "1,000" in page
    assert "<progress" not in page


# deciding


def test_an_offer_is_linked_by_code_and_by_barcode(site: Site, sending: int, chief: Person) -> None:
    with site.shop():
        by_code, by_barcode = add_product("OTHER", 2), add_product("THIRD", 3, "123")
    path = path_to(site, sending, KETTLE)
    for typed, product_id, pieces in ((" OTHER ", by_code, 2), ("123", by_barcode, 3)):
        assert "The offer is linked." in press(chief, f"{path}/link", code=typed)
        row = row_of(site, KETTLE)
        assert (row.product_id, row.link) == (product_id, "hand")
        with site.shop() as shop:
            shop.work()
            assert shop.amount_at_bol(KETTLE) == pieces
    assert "linked by hand" in text(chief, path)


def test_a_product_that_is_not_there_can_not_be_linked(site: Site, store: int, chief: Person) -> None:
    before = row_of(site, KETTLE).product_id
    page = press(chief, f"{path_to(site, store, KETTLE)}/link", code="nothing")
    assert "No product has the code or barcode nothing." in page
    assert row_of(site, KETTLE).product_id == before
    assert "bol ships this offer" in press(chief, f"{path_to(site, store, LAMP)}/link", code=TOASTER)


def test_linking_lets_an_order_that_waits_go_on(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(import_products=False)
        change(KETTLE, product_id=None, link="unlinked")
        product_id = add_product("OTHER", 2)
        with transaction() as session:
            session.connection().exec_driver_sql("DELETE FROM barcode")
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        assert shop.bol_order(order_id).state == "waiting for product"
    press(chief, f"{path_to(site, store, KETTLE)}/link", code="OTHER")
    with site.shop() as shop:
        shop.work()
        assert shop.bol_order(order_id).state == "imported"
        assert shop.bol_order_items(order_id)[0].product_id == product_id


def test_an_offer_is_unlinked_and_bol_is_told_nothing(site: Site, sending: int, chief: Person) -> None:
    path = path_to(site, sending, KETTLE)
    with site.shop() as shop:
        product_id = shop.offer(KETTLE).product_id
        writes = shop.writes()
        adjust(shop, product_id, -3)
    assert "bol was told nothing" in press(chief, f"{path}/unlink")
    with site.shop() as shop:
        adjust(shop, product_id, -3)
        shop.work()
        assert shop.writes() == writes
        assert shop.due() == []
    assert "It is never linked by itself, and bol is told nothing" in text(chief, path)
    assert "has no product" in press(chief, f"{path}/unlink")


def test_what_a_person_chose_can_be_left_to_the_ean_again(site: Site, sending: int, chief: Person) -> None:
    path = path_to(site, sending, KETTLE)
    product_id = row_of(site, KETTLE).product_id
    with site.shop():
        add_product("OTHER", 2)
    for decision in ("unlink", "link"):
        press(chief, f"{path}/{decision}", code="OTHER")
        assert "finds its product by its EAN" in press(chief, f"{path}/match")
        row = row_of(site, KETTLE)
        assert (row.product_id, row.link) == (product_id, "auto")
    with site.shop() as shop:
        shop.work()
        assert shop.amount_at_bol(KETTLE) == 20
        assert shop.notices() == []


def test_stock_is_pushed_although_bol_is_thought_to_have_it(site: Site, sending: int, chief: Person) -> None:
    with site.shop() as shop:
        writes = len(shop.writes("/offers/"))
    assert "being sent" in press(chief, f"{path_to(site, sending, KETTLE)}/push")
    with site.shop() as shop:
        shop.work()
        assert len(shop.writes("/offers/")) == writes + 1
        assert (shop.offer(KETTLE).confirmed_amount, shop.offer(KETTLE).confirmed_managed) == (20, True)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"product_id": None}, "link it first"),
        ({"excluded": True}, "include it first"),
        ({"method": "FBB"}, "its stock is not sent"),
        ({"held_at": "now", "dirty_version": 99}, "Send 0 for these"),
    ],
)
def test_what_can_not_be_pushed_is_told(
    site: Site, sending: int, chief: Person, values: dict[str, Any], why: str
) -> None:
    with site.shop() as shop:
        change(
            KETTLE, **{name: shop.clock.now() if value == "now" else value for name, value in values.items()}
        )
        version = shop.offer(KETTLE).dirty_version
    assert why in press(chief, f"{path_to(site, sending, KETTLE)}/push")
    assert row_of(site, KETTLE).dirty_version == version


def test_nothing_is_pushed_by_a_store_that_sends_no_stock(site: Site, store: int, chief: Person) -> None:
    assert "sends no stock updates" in press(chief, f"{path_to(site, store, KETTLE)}/push")


def test_an_offer_is_kept_out_and_let_in_again(site: Site, sending: int, chief: Person) -> None:
    path = path_to(site, sending, KETTLE)
    press(chief, f"{path}/exclude")
    with site.shop() as shop:
        adjust(shop, shop.offer(KETTLE).product_id, -3)
        shop.work()
        assert shop.amount_at_bol(KETTLE) == 20
    assert "kept out" in text(chief, path)
    press(chief, f"{path}/include")
    with site.shop() as shop:
        shop.work()
        assert shop.amount_at_bol(KETTLE) == 17


def test_a_product_has_a_safety_stock_of_its_own(site: Site, sending: int, chief: Person) -> None:
    path = path_to(site, sending, KETTLE)
    for typed, pieces in (("4", 16), ("0", 20), ("6", 14), ("", 20)):
        press(chief, f"{path}/safety-stock", pieces=typed)
        with site.shop() as shop:
            shop.work()
            assert shop.amount_at_bol(KETTLE) == pieces
    with site.shop() as shop, shop.host.reading() as session:
        assert session.query(ProductRule).count() == 0
    assert "Choose 0 to 999 pieces." in press(chief, f"{path}/safety-stock", pieces="-1")
    assert "Choose 0 to 999 pieces." in press(chief, f"{path}/safety-stock", pieces="many")


def test_an_offer_of_another_store_is_not_there(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        other = shop.runtime.connect_store(
            name="Other", environment="sandbox", client_id="keeper", client_secret=SECRET
        )
    row = row_of(site, KETTLE)
    assert chief.get(f"/admin/bol/{other}/offers/{row.id}").status_code == 404
    assert "This offer does not exist." in press(chief, f"{other}/offers/{row.id}/unlink")
    assert row_of(site, KETTLE).product_id == row.product_id


# several products


def test_the_page_tells_which_of_several_products_counts_and_why(
    site: Site, sending: int, chief: Person
) -> None:
    first = row_of(site, KETTLE).product_id
    with site.shop() as shop:
        add_product("SECOND", 3, KETTLE)
        shop.work()
    path = path_to(site, sending, KETTLE)
    assert "2 products have this EAN. SECOND counts , because its stock was changed last." in text(
        chief, path
    )
    with site.shop():
        change(KETTLE, product_id=first)
    page = text(chief, path)
    assert "KETTLE-1 counts , because it was found first (product code first)." in page
    assert "The next one whose stock changes takes its place." in page


# the doctor


@pytest.fixture
def ill(site: Site) -> int:
    """A store with every kind of trouble, and one offer that is well."""
    offers = [
        {"ean": "0012345678905", "title": "Zeros", "stock": 4, "reference": "ZEROS"},
        {"ean": "8712626055144", "title": "Digit", "stock": 4, "reference": "DIGIT"},
        {"ean": TOASTER, "title": "Toaster", "stock": 4, "reference": "NEW"},
        {"ean": TOASTER, "title": "Toaster", "stock": 2, "reference": "USED"},
        {"ean": KETTLE, "title": "Kettle", "stock": 8},
        {"ean": "8712345000011", "title": "Well", "stock": 8},
        {"ean": LAMP, "title": "Lamp", "stock": 8, "method": "FBB"},
    ]
    with site.shop() as shop:
        shop.sandbox.add_seller("ill", "secret", offers=offers)
        add_product("MUG", 4, "12345678905")
        add_product("RED", 4, KETTLE)
        add_product("BLUE", 4, KETTLE)
        add_product("TOAST", 4, TOASTER)
        add_product("WELL", 4, "8712345000011")
        store_id = shop.runtime.connect_store(
            name="Ill", environment="sandbox", client_id="ill", client_secret="secret"
        )
        shop.work()
    return store_id


def test_the_doctor_tells_what_is_wrong_and_why(ill: int, packer: Person) -> None:
    page = text(packer, f"{ill}/eans")
    assert "Invalid EAN (1) Several products (1) No product (2) Offered twice (2)" in page
    assert "Product MUG has 12345678905 , which looks like it: was a digit or a zero lost" in page
    assert "Invalid EAN: its last digit does not fit the others." in page
    assert "Product RED has 8712626055143 , which may be what was meant." in page
    assert "2 products have this EAN: RED (counts, found first), BLUE ." in page
    assert "USED has the same EAN." in page
    assert "8712345000011" not in page
    assert LAMP not in page


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("invalid", {"8712626055144"}),
        ("several", {KETTLE}),
        ("missing", {"0012345678905", "8712626055144"}),
        ("twice", {TOASTER}),
    ],
)
def test_the_doctor_is_asked_about_one_kind_of_trouble(
    ill: int, packer: Person, kind: str, shown: set[str]
) -> None:
    page = packer.get(f"/admin/bol/{ill}/eans?state={kind}").text
    table = page[page.index("<tbody") : page.index("</tbody")]
    linked = {ean for ean in (KETTLE, TOASTER, "0012345678905", "8712626055144") if f'">{ean}</a>' in table}
    assert linked == shown


def test_a_look_alike_is_linked_by_its_button(site: Site, ill: int, chief: Person) -> None:
    page = chief.get(f"/admin/bol/{ill}/eans?state=missing").text
    assert 'name="code" value="MUG"' in page
    press(chief, f"{path_to(site, ill, '0012345678905')}/link", code="MUG")
    assert "No product (1)" in text(chief, f"{ill}/eans")


def test_a_healthy_store_is_told_so(store: int, packer: Person) -> None:
    assert "All is well. Each offer that you ship has a valid EAN and one product." in text(
        packer, f"{store}/eans"
    )


def test_decisions_of_people_are_no_illness(site: Site, store: int, packer: Person) -> None:
    with site.shop():
        change(KETTLE, product_id=None, link="unlinked")
        change(TOASTER, link="hand", candidates=2)
    assert "All is well." in text(packer, f"{store}/eans")
