"""The short form of ``make chaos``, and that its judge finds what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_app.db import db
from tests.chaos.harm import Harm
from tests.chaos.house import open_house
from tests.chaos.judge import judge
from tests.chaos.people import Shop
from tests.chaos.run import HARMS, Chaos
from tests.chaos.script import PRODUCTS, Step, write


def order(product: int, quantity: int) -> Step:
    items = [{"product": product, "quantity": quantity, "party": "RETAILER"}]
    return Step(0.0, "order", {"items": items, "logistics": False, "force": False})


def close(which: float, tracking: str) -> Step:
    what = {"which": which, "carrier": "postnl", "tracking": tracking, "parcels": 1}
    return Step(0.2, "close", what | {"part": False, "impatient": False, "determined": True})


def lost(method: str, path: str) -> Step:
    rule = {"method": method, "path": path, "when": "after", "drop": True, "times": 1}
    return Step(0.0, "bol", {"rule": rule, "seconds": 3.0})


#: What chance may take long to bring together: shipments, lost answers, kills, and a Redis that loses everything.
STEPS = (
    *(order(product, 2) for product in (0, 1, 2, 3)),
    lost("POST", "/retailer/shipments"),
    close(0.0, "3SFIRST"),
    Step(0.3, "kill", {"program": "job"}),
    Step(0.2, "stock", {"product": 4, "how": "counted", "amount": 3}),
    lost("PATCH", "/retailer/offers/*"),
    close(0.0, "3SSECOND"),
    Step(0.0, "kill", {"program": "worker-1", "seconds": 0.5}),
    Step(0.3, "lose-redis", {"seconds": 0.5}),
    close(0.0, "3STHIRD"),
    order(5, 1),
    Step(0.0, "cancel-at-bol", {"which": 0.99, "part": "all"}),
    Step(0.2, "database", {"seconds": 0.5}),
    Step(0.2, "stock", {"product": 5, "how": "change", "amount": 4}),
    Step(0.5, "kill", {"program": "scheduler", "seconds": 0.2}),
)


def test_the_same_seed_asks_for_the_same_things() -> None:
    assert write(5) == write(5)
    assert write(5) != write(6)


def test_every_kind_of_work_and_harm_comes_up_and_can_be_carried_out() -> None:
    kinds = {step.kind for seed in range(60) for step in write(seed).steps}
    assert set(HARMS) <= kinds
    for kind in kinds:
        doer: type = Harm if kind in HARMS else Shop
        assert hasattr(doer, f"_{kind.replace('-', '_')}"), kind


@pytest.mark.parametrize(("which", "chosen"), [(0.0, "a"), (0.5, "b"), (0.999, "c"), (1.0, "c")])
def test_a_share_chooses_one_of_those_there_are(which: float, chosen: str) -> None:
    assert Shop._one(["a", "b", "c"], {"which": which}) == chosen


Truth = dict[str, Any]


def missed(truth: Truth) -> None:
    truth["orders"].append(deepcopy(truth["orders"][0]) | {"orderId": "MISSED"})


def invented(truth: Truth) -> None:
    del truth["orders"][0]


def shipped_twice(truth: Truth) -> None:
    truth["shipments"].append(truth["shipments"][0])


def confirmed_too_much(truth: Truth) -> None:
    for order in truth["orders"]:
        for item in order["orderItems"]:
            item["quantityShipped"] += 1


def oversold(truth: Truth) -> None:
    for offer in truth["offers"]:
        offer["amount"] += 1


def label_bought_twice(truth: Truth) -> None:
    order = truth["orders"][0]["orderId"]
    truth["labels"] += [{"shippingLabelId": name, "orderId": order} for name in ("L1", "L2")]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of jobs in /proc")
@pytest.mark.timeout(300)
def test_a_house_holds_under_harm_and_the_judge_would_see_if_it_did_not(tmp_path: Path) -> None:
    with open_house(tmp_path / "house") as house:
        pushed = {"webhooks": {"duplicate": 0.5, "forge": 0.3, "spreadMs": 1000}}
        script = replace(write(2), stocks=[20] * PRODUCTS, early=False, steps=STEPS)
        script = replace(script, sandbox={**script.sandbox, **pushed})
        chaos = Chaos(house, script)
        result = chaos.run()
        told = "\n".join(result.told)
        assert not result.problems, "\n".join([*result.problems, told])
        assert result.truth["shipments"], f"the script does too little:\n{told}"
        assert result.harms.total() == 7
        assert chaos.shop.failed == []
        assert house.sandbox.deliveries(), "bol sent no push messages"
        forgeries: list[tuple[Callable[[Truth], None], str]] = [
            (missed, "was missed"),
            (invented, "is not one of bol's"),
            (shipped_twice, "was confirmed 2 times"),
            (confirmed_too_much, "left the house"),
            (oversold, "was to be"),
            (label_bought_twice, "labels were bought"),
        ]
        with house.app.app_context():
            for forge, problem in forgeries:
                truth = deepcopy(result.truth)
                forge(truth)
                try:
                    found = judge(chaos.shop, truth)
                except KeyError as error:
                    # An item of ours that bol does not know at all.
                    found = [f"is not one of bol's {error}"]
                assert any(problem in one for one in found), (forge.__name__, found)
            db.session.remove()
