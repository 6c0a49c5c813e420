"""The guard: many offers that go to zero at once are a mistake more often than a sale, so a person is asked first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from host_app.plugin_api import HostError, HostPort, Level
from plugin.models import Offer, OfferState, Store
from plugin.sync.amounts import amounts
from plugin.sync.context import Context, is_active, settings_of
from plugin.sync.dirty import change_offers, held, in_need, kept_on_sale
from plugin.sync.mapping import FBR
from plugin.texts import gettext as _

#: Zeros of the last hour count.
WINDOW = timedelta(hours=1)
CHUNK = 500


def empties(offer: Offer, amount: int | None) -> bool:
    """Tell if sending this amount takes an offer from something to nothing; after a lost answer bol may have what was sent."""
    return amount == 0 and bool(offer.confirmed_amount or (offer.in_doubt and offer.sent_amount))


class Guard:
    """Decides for one job of the pump. Nothing is read from the database before the first zero comes by."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._active = 0
        self._zeros: set[int] | None = None
        self._counts_from: datetime | None = None

    def stops(self, row_ids: Collection[int], store: Store) -> bool:
        """Tell if these offers, which are about to go to zero, must wait for a person. Opens a read transaction.

        :param store: as it is now: a person may have decided since the last count.
        """
        if self._zeros is None or self._counts_from != store.guard_counts_from:
            self._counts_from = store.guard_counts_from
            self._zeros = self._count()
        self._zeros |= set(row_ids)
        settings = self._ctx.settings
        return (
            len(self._zeros) >= settings.guard_least
            and len(self._zeros) * 100 > settings.guard_share * self._active
        )

    def _count(self) -> set[int]:
        """Return the offers that went to zero within the hour, are kept from it, or are about to."""
        ctx, now = self._ctx, self._ctx.now()
        mine, active = Offer.store_id == ctx.store_id, _active(ctx.store_id)
        with ctx.host.reading() as session:
            self._active = session.scalar(select(func.count()).where(*active))
            since = max(now - WINDOW, self._counts_from or now - WINDOW)
            zeros = set(session.scalars(select(Offer.id).where(mine, Offer.zeroed_at > since)))
            zeros |= set(session.scalars(select(Offer.id).where(*active, held(Offer))))
            last = 0
            while rows := session.scalars(
                select(Offer)
                .where(mine, in_need(Offer), Offer.zero_allowed.is_(False), Offer.id > last)
                .order_by(Offer.id)
                .limit(CHUNK)
            ).all():
                wanted = amounts(ctx.host, ctx.store_id, ctx.settings, rows)
                zeros |= {row.id for row in rows if empties(row, wanted[row.id])}
                last = rows[-1].id
                session.expunge_all()
        return zeros


def hold(ctx: Context, rows: Collection[Offer]) -> None:
    """Keep these offers from going to zero, and ask a person. In a transaction."""
    session, now = ctx.host.session, ctx.now()
    # One that is gone or kept out by now is nothing that people were told of this time.
    before = session.scalar(select(Offer.id).where(*_active(ctx.store_id), held(Offer)).limit(1))
    for row in rows:
        # A change that came since the offer was looked at has it looked at again.
        session.execute(
            update(Offer)
            .where(Offer.id == row.id, Offer.dirty_version == row.dirty_version)
            .values(held_at=now, wanted_amount=0)
        )
    if before is None:
        session.execute(update(Store).where(Store.id == ctx.store_id).values(guard_stopped_at=now))
    stopped = session.scalar(select(Store.guard_stopped_at).where(Store.id == ctx.store_id))
    ctx.notify(
        f"guard:{stopped:%Y-%m-%dT%H:%M:%S}",
        "stock",
        Level.DANGER,
        _("many offers are about to go to 0, and were stopped"),
        _(
            "More offers than usual sold out within an hour. If that is right, press “Send 0 for these” on the store's page; if "
            "it is a mistake, mend the stock here: what has stock again is sent by itself. Until then bol goes on selling "
            "them."
        ),
    )


def end_if_over(ctx: Context, store: Store) -> None:
    """Where nothing is held any more, as what was has stock again, nobody need be asked. Opens a transaction of its own."""
    if store.guard_stopped_at is None:
        return
    with ctx.host.transaction() as session:
        # Locked first, so that it is not being stopped anew meanwhile.
        session.execute(select(Store.id).where(Store.id == ctx.store_id).with_for_update(key_share=True))
        left = select(Offer.id).where(*_active(ctx.store_id), held(Offer)).limit(1)
        if session.scalar(left) is None:
            session.execute(update(Store).where(Store.id == ctx.store_id).values(guard_stopped_at=None))
            ctx.settle("guard")


def _active(store_id: int) -> list[Any]:
    """Return the conditions of a store's offers that are ours to update."""
    return [
        Offer.store_id == store_id,
        Offer.method == FBR,
        Offer.state == OfferState.LISTED,
        Offer.product_id.is_not(None),
        Offer.excluded.is_(False),
    ]


def send_anyway(host: HostPort, store_id: int) -> None:
    """The zeros that were held are right: send them. In a transaction. :raises HostError: nothing is held."""
    _release(host, store_id, held_at=None, zero_allowed=True, next_try_at=None, urgent=True)


def discard(host: HostPort, store_id: int) -> None:
    """The zeros that were held are a mistake: bol keeps what it has until the stock changes again.

    The offers stay known as kept on sale, by the moment at which the guard held them. In a transaction.

    :raises HostError: nothing is held.
    """
    _release(host, store_id, done_version=Offer.dirty_version)


def send_after_all(host: HostPort, store_id: int, row_id: int | None = None) -> int:
    """Send the zeros of offers that a person kept on sale, or of one of them; return how many. In a transaction.

    :raises HostError: there is none, or the store sends no stock.
    """
    session = host.session
    # The store before its offers, as everywhere.
    store = session.scalar(select(Store).where(Store.id == store_id).with_for_update(key_share=True))
    if store is None or not (is_active(store) and settings_of(store).send_stock):
        raise HostError(
            _("This store sends no stock updates: activate it, and turn them on in the settings.")
        )
    which = [Offer.store_id == store_id, kept_on_sale(Offer)]
    if row_id is not None:
        which.append(Offer.id == row_id)
    number = change_offers(
        session,
        *which,
        held_at=None,
        zero_allowed=True,
        dirty_version=Offer.dirty_version + 1,
        next_try_at=None,
        urgent=True,
    )
    if not number:
        raise HostError(_("No such offer is kept on sale any more."))
    return number


def _release(host: HostPort, store_id: int, **values: Any) -> None:
    session = host.session
    session.execute(
        update(Store).where(Store.id == store_id).values(guard_stopped_at=None, guard_counts_from=host.now())
    )
    if not change_offers(session, Offer.store_id == store_id, held(Offer), **values):
        raise HostError(_("No offer is held back any more."))
    host.settle_notices(f"bol:{store_id}:guard")
