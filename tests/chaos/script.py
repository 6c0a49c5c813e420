"""What happens in a run: chosen from its seed alone, so that the same seed asks for the same things again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PRODUCTS = 6
FIRST_ORDERS = 4
CARRIERS = ("postnl", "postnl", "dhl", "dpd", "ups", "other")
STATUSES = (429, 429, 500, 503, 502, 401, 403)
#: Where bol fails: mostly where an answer matters.
PATHS = (
    ("POST", "/retailer/shipments"),
    ("POST", "/retailer/shipments"),
    ("PATCH", "/retailer/offers/*"),
    ("PATCH", "/retailer/offers/*"),
    ("GET", "/retailer/orders"),
    ("GET", "/retailer/orders/*"),
    ("POST", "/retailer/shipping-labels"),
    ("GET", "/retailer/shipping-labels/*"),
    ("PUT", "/retailer/orders/cancellation"),
    ("PUT", "/retailer/transports/*"),
    ("*", "/shared/process-status*"),
    ("POST", "/token"),
    ("*", "*"),
)
HTML = "<!DOCTYPE html><html><body><h1>Even geduld</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, so many seconds after the one before. ``which`` chooses among what there is then."""

    wait: float
    kind: str
    what: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.what.items())
        return f"+{self.wait:.2f}s {self.kind} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class Script:
    """A run: how the shop is set up, what bol leaves open, and what happens.

    early: harm may come while offers and first orders are still being read; else they are waited for.
    """

    seed: int
    database: str
    stocks: Sequence[int]
    settings: Mapping[str, Any]
    sandbox: Mapping[str, Any]
    early: bool
    steps: Sequence[Step]


def write(seed: int, steps: int = 60, database: str | None = None) -> Script:
    """Return the script of a seed; even seeds run on SQLite and odd ones on PostgreSQL unless told otherwise."""
    dice = random.Random(seed)
    settings = {
        "managed_by_retailer": dice.random() < 0.6,
        "accept_requests": dice.random() < 0.4,
        "confirm_after_minutes": dice.choice((0, 0, 0, 5)),
        "tracking_wait_minutes": dice.choice((0, 0, 10)),
        "safety_stock": dice.choice((0, 0, 2)),
        "overrule_at_closing": dice.random() < 0.6,
        "guard_least": dice.choice((3, 100, 100)),
        "labels_for_all": dice.random() < 0.3,
    }
    sandbox = {
        "processStatusDelayMs": dice.choice((0, 500, 3000)),
        "shipmentEntityId": dice.choice(("orderItemId", "shipmentId")),
        "keepCancellationRequest": dice.random() < 0.5,
        "vvbNeedsLabel": dice.random() < 0.3,
        "latencyMs": dice.choice((0, 20, 100)),
        # Push messages doubled, lost, forged, and overtaking each other.
        "webhooks": dice.choice(
            (
                {},
                {"duplicate": 0.5, "spreadMs": 1500},
                {"duplicate": 0.3, "drop": 0.3, "forge": 0.3, "spreadMs": 3000},
            )
        ),
    }
    stocks = [dice.choice((0, 2, 5, 10, 20, 30)) for _ in range(PRODUCTS)]
    early = dice.random() < 0.25
    # The first orders come before the first harm.
    first = [Step(0.0, *_order(dice)) for _ in range(FIRST_ORDERS)]
    rest = [
        Step(round(min(dice.expovariate(2.0), 2.0), 2), *_step(dice)) for _ in range(steps - FIRST_ORDERS)
    ]
    found = database or ("sqlite" if seed % 2 == 0 else "postgresql")
    return Script(seed, found, stocks, settings, sandbox, early, first + rest)


def _step(dice: random.Random) -> tuple[str, dict[str, Any]]:
    if dice.random() < 0.25:
        return _harm(dice)
    kinds = {
        _order: 8,
        _close: 16,
        _stock: 5,
        _cancel_at_bol: 2,
        _request: 1,
        _pick: 2,
        _label: 2,
        _correct: 1,
        _withdraw: 1,
        _decide: 2,
        _import: 2,
    }
    return dice.choices(list(kinds), list(kinds.values()))[0](dice)


def _order(dice: random.Random) -> tuple[str, dict[str, Any]]:
    items = [
        {
            "product": product,
            "quantity": dice.choice((1, 1, 2, 3)),
            "party": dice.choice(("RETAILER", "RETAILER", "RETAILER", "BOL")),
        }
        for product in dice.sample(range(PRODUCTS), dice.choice((1, 1, 2, 3)))
    ]
    return "order", {"items": items, "logistics": dice.random() < 0.15, "force": dice.random() < 0.3}


def _close(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "close", {
        "which": round(dice.random(), 3),
        "carrier": dice.choice(CARRIERS),
        "tracking": f"3S{dice.randrange(10**9):09d}" if dice.random() < 0.8 else "",
        "parcels": dice.choice((1, 1, 1, 2)),
        "part": dice.random() < 0.2,
        "impatient": dice.random() < 0.15,
        "determined": dice.random() < 0.6,
    }


def _stock(dice: random.Random) -> tuple[str, dict[str, Any]]:
    how = dice.choice(("counted", "change", "change"))
    amount = dice.randint(0, 25) if how == "counted" else dice.choice((-3, -1, 1, 2, 10))
    return "stock", {"product": dice.randrange(PRODUCTS), "how": how, "amount": amount}


def _cancel_at_bol(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "cancel-at-bol", {"which": round(dice.random(), 3), "part": dice.choice(("all", "item", "piece"))}


def _request(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "request", {"which": round(dice.random(), 3)}


def _pick(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "pick", {"which": round(dice.random(), 3)}


def _label(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "label", {"which": round(dice.random(), 3)}


def _correct(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "correct", {"which": round(dice.random(), 3), "tracking": f"3SNEW{dice.randrange(10**7):07d}"}


def _withdraw(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "withdraw", {"which": round(dice.random(), 3)}


def _decide(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "decide", {
        "which": round(dice.random(), 3),
        "how": dice.choice(("cancel here", "accept", "keep", "cancel at bol")),
    }


def _import(_dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "import", {}


def _harm(dice: random.Random) -> tuple[str, dict[str, Any]]:
    kinds = {
        _kill: 5,
        _bol: 8,
        _freeze: 2,
        _redis: 3,
        _database: 2,
        _time: 1,
        _tokens: 1,
        _forged: 1,
    }
    return dice.choices(list(kinds), list(kinds.values()))[0](dice)


def _kill(dice: random.Random) -> tuple[str, dict[str, Any]]:
    program = dice.choice(("web", "worker-1", "worker-2", "scheduler", "job", "job", "job", "redis"))
    return "kill", {"program": program, "seconds": round(dice.uniform(0, 4), 1)}


def _freeze(dice: random.Random) -> tuple[str, dict[str, Any]]:
    program = dice.choice(("redis", "worker-1", "scheduler", "sandbox"))
    return "freeze", {"program": program, "seconds": round(dice.uniform(1, 8), 1)}


def _redis(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return dice.choice(("empty-redis", "empty-redis", "lose-redis")), {
        "seconds": round(dice.uniform(0, 3), 1)
    }


def _database(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "database", {"seconds": round(dice.uniform(0.2, 3), 1)}


def _time(dice: random.Random) -> tuple[str, dict[str, Any]]:
    if dice.random() < 0.3:
        return "bol-clock", {"seconds": dice.randint(5, 40)}
    return "time", {"seconds": dice.choice((20, 70, 310, 400, 1800))}


def _tokens(_dice: random.Random) -> tuple[str, dict[str, Any]]:
    return "tokens", {}


def _forged(dice: random.Random) -> tuple[str, dict[str, Any]]:
    resource, kind = dice.choice(
        (("ORDER", "ORDER_CREATED"), ("SHIPMENT", "SHIPMENT_CREATED"), ("PROCESS_STATUS", "PROCESS_STATUS"))
    )
    return "forged", {"resource": resource, "type": kind, "id": f"C00{dice.randrange(10**6):06d}"}


def _bol(dice: random.Random) -> tuple[str, dict[str, Any]]:
    method, path = dice.choice(PATHS)
    when = dice.choice(("before", "after", "after"))
    rule: dict[str, Any] = {"method": method, "path": path, "when": when}
    how = dice.choice(("drop", "drop", "truncate", "status", "status", "html", "late", "hang"))
    if how == "status":
        rule["status"] = dice.choice(STATUSES if when == "before" else (500, 502, 503))
    elif how == "html":
        rule |= {"status": dice.choice((200, 500, 503)), "body": HTML}
    elif how == "late":
        rule["delayMs"] = dice.randint(500, 4000)
    elif how == "hang":
        rule |= {"delayMs": 25000, "times": 1}
    else:
        rule[how] = True
    rule.setdefault("times", dice.choice((1, 1, 2, 5)))
    return "bol", {"rule": rule, "seconds": round(dice.uniform(2, 10), 1)}
