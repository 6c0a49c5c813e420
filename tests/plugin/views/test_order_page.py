"""The page of one order of bol: what happened, and what a person decides."""

from __future__ import annotations

import html

from host_app.db import transaction
from host_app.plugin_api import OrderState
from host_app.services import orders, picking
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER
from tests.plugin.views.conftest import Site


def imported(site: Site) -> tuple[str, str]:
    """Import an order; return bol's id of it and the address of its page."""
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        return order_id, f"/admin/bol/{shop.store_id}/orders/{shop.bol_order(order_id).id}"


def press(person: Person, path: str, **fields: str) -> str:
    return html.unescape(person.post(path, **fields).text)


def test_an_order_is_shown_and_read_again(site: Site, store: int, chief: Person, packer: Person) -> None:
    order_id, path = imported(site)
    page = packer.get(path).text
    assert order_id in page
    assert KETTLE in page
    assert "Read again from bol" not in page
    assert "being read" in press(chief, f"{path}/read-again")
    with site.shop() as shop:
        assert shop.bol_order(order_id).read_due_at is not None


def test_another_stores_order_is_not_shown(site: Site, store: int, chief: Person) -> None:
    _order_id, path = imported(site)
    assert chief.get(path.replace(f"bol/{store}/", "bol/2/")).status_code == 404


def test_a_request_to_cancel_is_accepted(site: Site, store: int, chief: Person) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    assert "The customer asks to cancel." in chief.get(path).text
    overview, asked = f"/admin/bol/{store}/", f"/admin/bol/{store}/orders?state=asked"
    assert "The customer asks to cancel order" in chief.get(overview).text
    assert "All is well" not in chief.get(overview).text
    assert order_id in chief.get(asked).text
    assert "The request is accepted" in press(chief, f"{path}/accept-request")
    with site.shop() as shop:
        shop.work()
        shop.pass_time(60)
        shop.import_orders()
        assert shop.host_order(order_id).state == OrderState.CANCELLED
    assert "All is well" in chief.get(overview).text
    assert order_id not in chief.get(asked).text
    assert "Cancellation: The customer asked for it (chief)" in chief.get(path).text


def test_a_request_names_the_next_step_in_the_warehouse_and_what_stands_in_its_way(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
        here, picklist = shop.host_order(order_id).id, shop.picklist_id(order_id)
    for page in (f"/admin/orders/{here}", f"/admin/picklists/{picklist}"):
        seen = chief.get(page).text
        # Beside the mark, before the goods.
        assert seen.index("Decide: accept at bol or keep the order") < seen.index("<table")
        assert f'href="{path}"' in seen
        assert "Ask an administrator to decide" not in seen
    assert "Ask an administrator to decide" in packer.get(f"/admin/picklists/{picklist}").text
    tasks = "/admin/bol/attention"
    seen = chief.get(path).text + chief.get(tasks).text
    assert "put it back first" not in seen and seen.count("Accept at bol") == 2
    with site.shop(), transaction():
        picking.pick_all(picklist)
    for page in (path, tasks, f"/admin/bol/{store}/", f"/admin/picklists/{picklist}"):
        assert (
            "1 of 1 pieces is picked: accept, and the packer is told to put it back; then bol is asked."
            in html.unescape(chief.get(page).text)
        )
    for page in (path, tasks, f"/admin/bol/{store}/"):
        seen = chief.get(page).text
        assert "Accept at bol" in seen and "Keep the order" in seen
        assert ("Accept it, and bol cancels the order" in seen) is (page != path)
        assert f'href="/admin/picklists/{picklist}">To the picklist</a>' in seen
    assert (
        f'href="/admin/picklists/{picklist}">To the picklist</a>' in chief.get(f"/admin/orders/{here}").text
    )
    with site.shop(), transaction():
        picking.put_all_back(picklist)
    seen = chief.get(path).text
    assert "Accept at bol" in seen and "To the picklist" not in seen


def test_who_accepts_what_is_picked_has_the_packer_put_it_back_and_presses_no_second_time(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        picklist = shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist)
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    assert "told on the picklist to put everything back" in html.unescape(
        press(chief, f"{path}/accept-request")
    )
    page = packer.get(f"/admin/picklists/{picklist}").text
    assert "and chief accepts it. Do not ship it." in html.unescape(page)
    assert "Everything is back on the shelf" in page
    assert "Ask an administrator" not in page and "pieces</button>" not in page
    for place in (path, "/admin/bol/attention"):
        seen = html.unescape(chief.get(place).text)
        assert "Accepted by chief: bol is asked as soon as the 1 picked piece is back on the shelf." in seen
        assert "Accept at bol</button>" not in seen and "Keep the order" in seen
        assert "Accept it, and bol cancels the order" not in seen
    packer.post(f"/admin/picklists/{picklist}/put-back", page)
    with site.shop() as shop:
        shop.pass_time(60)
        shop.import_orders()
        assert shop.host_order(order_id).state == OrderState.CANCELLED
    assert "Cancellation: The customer asked for it (chief)" in chief.get(path).text


def test_an_order_that_bol_cancelled_names_the_next_step_in_the_warehouse(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    order_id, _path = imported(site)
    with site.shop() as shop:
        here, picklist = shop.host_order(order_id).id, shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
    page = f"/admin/picklists/{picklist}"
    order_page = f"/admin/orders/{here}"
    for person in (chief, packer):
        # One box, which says the same to everybody: everybody can do it.
        seen = person.get(page).text
        box = seen.split('id="marks"')[1].split('id="said"')[0]
        assert box.count('role="alert"') == 1 and "Everything is back on the shelf" in box
        assert "Cancelled at bol. Do not ship it." in box and "then press the button." in box
        for wrong in ("what to do now", "−1 on the picklist", "administrator", "Close it all the same"):
            assert wrong not in html.unescape(seen), wrong
    assert "Then it is cancelled here, too." in chief.get(order_page).text
    with site.shop() as shop:
        shop.settings(overrule_at_closing=True)
    assert "Close it all the same" in packer.get(page).text

    assert "Noted: everything is back on the shelf." in packer.post(f"{page}/put-back", page).text
    seen = chief.get(order_page).text
    assert "put back what was picked" not in seen and "it is cancelled here, too." in seen
    with site.shop() as shop:
        shop.work()
    seen = chief.get(order_page).text
    assert "Cancelled: cancelled at bol" in seen
    assert "what to do now" not in seen and "Do not ship it" not in seen
    seen = packer.get(page).text
    assert "This picklist was withdrawn" in seen and "Do not ship it" not in seen


def test_packers_put_back_what_bol_cancelled_and_are_led_to_its_picklist(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    order_id, _path = imported(site)
    with site.shop() as shop:
        picklist = shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
    link = f"/admin/picklists/{picklist}"
    for page in ("/admin/bol/attention", f"/admin/bol/{store}/", "/admin/notifications/"):
        for person in (chief, packer):
            seen = person.get(page).text
            assert f'href="{link}"' in seen, page
            assert "Only an administrator can do this" not in seen, page


def test_packers_are_told_which_tasks_are_for_an_administrator(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    order_id, _path = imported(site)
    with site.shop() as shop:
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    told = "Only an administrator can do this: tell one, and go on with your work."
    assert packer.get("/admin/bol/attention").text.count(told) == 1
    assert told not in chief.get("/admin/bol/attention").text


def test_the_mark_of_an_order_that_bol_cancelled_goes_when_it_is_cancelled_by_hand(
    site: Site, store: int, chief: Person
) -> None:
    order_id, _path = imported(site)
    with site.shop() as shop:
        here, picklist = shop.host_order(order_id).id, shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
        with transaction():
            picking.put_all_back(picklist)
            orders.cancel_order(here, "by hand")
        shop.work()
        assert shop.notices() == [f"Shop: order {order_id} was cancelled at bol"]
    seen = chief.get(f"/admin/orders/{here}").text
    assert "Cancelled: by hand" in seen and "Do not ship it" not in seen


def test_a_request_to_cancel_is_refused_by_keeping_the_order(site: Site, store: int, chief: Person) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    table = f"/admin/bol/{store}/orders"
    assert ">customer asks to cancel<" in chief.get(table).text
    assert "The order stays as it is" in press(chief, f"{path}/keep")
    assert "The customer asks to cancel." not in chief.get(path).text
    assert ">customer asks to cancel<" not in chief.get(table).text
    assert "request to cancel not accepted" in chief.get(table).text
    assert "does not ask to cancel anything" in press(chief, f"{path}/accept-request")


def test_what_was_cancelled_here_is_cancelled_at_bol(site: Site, store: int, chief: Person) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        number = shop.host_order(order_id).id
        with transaction():
            orders.cancel_order(number, "Broken")
        shop.work()
    assert "bol still counts on it" in chief.get(path).text
    assert "Choose a reason." in press(chief, f"{path}/cancel-at-bol", reason="LUCK")
    assert "bol is asked to cancel the order." in press(chief, f"{path}/cancel-at-bol", reason="OUT_OF_STOCK")
    with site.shop() as shop:
        shop.work()
        assert len(shop.writes("cancellation")) == 1


def test_an_item_is_linked_by_hand(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store_id = shop.connect(import_products=False)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        add_product("MINE-1")
        (item,) = shop.bol_order_items(order_id)
        path = f"/admin/bol/{store_id}/orders/{shop.bol_order(order_id).id}"
    assert "Choose a product by its code" in chief.get(path).text
    assert "No product has the code" in press(chief, f"{path}/items/{item.id}/link", code="NOBODY")
    assert "The item is linked." in press(chief, f"{path}/items/{item.id}/link", code="MINE-1")
    with site.shop() as shop:
        shop.work()
        assert shop.host_order(order_id)


def test_a_packer_packs_anew_what_bol_has_as_shipped_of_a_withdrawn_parcel(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
        shop.pass_time(20, steps=4)
        shipment_id = shop.effects()[0].host_shipment_id
        with transaction():
            picking.withdraw_shipment(shipment_id, who="ann")
        shop.work()
        here = f"/admin/orders/{shop.host_order(order_id).id}"
    anew = "pack the same goods anew into one parcel, by the order's picklist, and send it"
    for path in ("/admin/bol/attention", here):
        assert anew in html.unescape(packer.get(path).text), path
        assert "contact bol's partner service" in html.unescape(chief.get(path).text), path
    # Of the store's shipments it is the one that needs somebody.
    mine = f"/admin/bol/{store}/shipments?state=needs+you"
    assert order_id in chief.get(mine).text and "and bol has it as shipped" in chief.get(mine).text
    for person in (packer, chief):
        page = person.get("/admin/bol/attention").text
        assert f'href="{here}">To the order and its picklist</a>' in page
        assert "Only an administrator can do this" not in page
    with site.shop() as shop:
        shop.close(order_id, tracking="3SANEW")
        shop.pass_time(120, steps=6)
    assert order_id not in chief.get(mine).text


def test_an_administrator_is_led_to_the_code_of_a_carrier_whose_parcel_is_not_sent_yet(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=False, carriers={"postnl": "TNT"})
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id, "own", "BIKE-1")
        shop.work()
        path = f"/admin/picklists/{shop.picklist_id(order_id)}"
    settings = f"/admin/bol/{store}/settings#carriers"
    page, packers = chief.get(path).text, packer.get(path).text
    assert f'href="{settings}">Fill in the carrier&#39;s code</a>' in page
    # And beside the choice, which waits, too.
    assert f'until you fill in the carrier&#39;s code. <a href="{settings}">Go there</a>' in page
    assert settings not in packers and "until an administrator fills in" in packers
    assert 'id="carriers"' in chief.get(settings.partition("#")[0]).text


def test_what_bol_cancelled_in_part_is_taken_off_the_order_by_one_press(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 3), (TOASTER, 1))
        shop.import_orders()
        kettle = shop.items_at_bol(order_id)[0]
        here, picklist = shop.host_order(order_id).id, shop.picklist_id(order_id)
        path = f"/admin/bol/{shop.store_id}/orders/{shop.bol_order(order_id).id}"
        shop.sandbox.cancel(order_id, [kettle])
        shop.import_orders()
    tasks, order_page, picked = (
        "/admin/bol/attention",
        f"/admin/orders/{here}",
        f"/admin/picklists/{picklist}",
    )

    def seen(person: Person, page: str) -> str:
        return html.unescape(person.get(page).text)

    def checked(person: Person, words: str) -> None:
        for page in (tasks, path, order_page, picked):
            assert words in seen(person, page), page

    checked(chief, "Take these 3 pieces off the order here: “Take off”, beside the article.")
    for page in (tasks, path):
        assert f'{path}/take-off"' in seen(
            chief, page
        ) and ">Take these 3 pieces off the order</button>" in seen(chief, page)
        assert f'{path}/take-off"' not in seen(packer, page)
    assert "bol cancelled a part of order" in seen(chief, tasks)
    assert f'href="{order_page}">Go to the order here</a>' in seen(chief, path)
    for page in (tasks, path, order_page, picked):
        for person in (chief, packer):
            assert "back first" not in seen(person, page) and "−1 on the picklist" not in seen(person, page)
            assert "Do not ship it" not in seen(person, page), page
    assert "Do not ship these pieces" in seen(packer, picked)
    assert "Ask an administrator to take these 3 pieces off the order here." in seen(packer, path)
    # Of what is picked the way leads to the picklist first.
    with site.shop(), transaction():
        picking.scan(picklist, KETTLE)
        picking.scan(picklist, TOASTER)
    checked(chief, "Put 1 picked piece back first (−1 on the picklist).")
    for page in (tasks, path, order_page):
        assert f'href="{picked}">To the picklist</a>' in seen(chief, page), page
        assert f'{path}/take-off"' not in seen(chief, page), page
    assert "are picked: put them back first" in press(chief, f"{path}/take-off")
    with site.shop() as shop:
        (row,) = [line for line in shop.picklist_lines(picklist) if line.quantity == 3]
        with transaction():
            picking.pick_more(picklist, row.id, -1)
    assert "3 pieces are taken off the order here" in press(chief, f"{path}/take-off")
    # A second press finds nothing to do.
    assert "Nothing that bol cancelled is open on this order any more." in press(chief, f"{path}/take-off")
    with site.shop() as shop:
        shop.work()
    for page in (tasks, path, order_page, picked):
        assert "Take these" not in seen(chief, page) and "Do not ship" not in seen(chief, page), page


def test_who_cancels_an_order_here_is_told_before_and_after_that_bol_still_counts_on_it(
    site: Site, store: int, chief: Person
) -> None:
    order_id, path = imported(site)
    with site.shop() as shop:
        here = shop.host_order(order_id).id
    page = chief.get(f"/admin/orders/{here}").text
    assert page.count("This cancels the order here only: bol goes on counting on a parcel.") == 2
    chief.post(f"/admin/orders/{here}/cancel", f"/admin/orders/{here}", reason="broken")
    with site.shop() as shop:
        shop.work()
    page = chief.get(f"/admin/orders/{here}").text
    assert "It is cancelled here, but bol still counts on a parcel" in page
    link = f'href="{path}#cancel-at-bol"'
    assert link in page and link in chief.get("/admin/bol/attention").text
    assert 'id="cancel-at-bol"' in chief.get(path).text
