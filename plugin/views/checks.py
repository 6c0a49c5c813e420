"""The stock checks of a store: the list, the report of each with its rows, and the report as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from flask import Response, abort, flash, redirect, request, stream_with_context, url_for
from sqlalchemy import func, select

from host_app.plugin_api import HostError, ProductView, language, speaking
from plugin.models import Discrepancy, Run, RunState
from plugin.settings import StoreSettings
from plugin.sync import runs
from plugin.sync.findings import KIND, Cause
from plugin.sync.stock_check import LARGEST
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.views import words
from plugin.views.base import Answer, BolView, does, shows, telling, who
from plugin.views.paging import chosen, read_page

#: Rows of a file that are read at once.
CHUNK = 1000
COLUMNS = (
    "EAN",
    _l("Offer at bol"),
    _l("Product"),
    _l("Stock at bol"),
    _l("Stock by us"),
    _l("Orders subtracted by, at bol"),
    _l("Orders subtracted by, as it should be"),
    _l("Cause"),
    _l("What was done"),
    _l("Found (UTC)"),
)
#: A cell that begins so is a formula to spreadsheet programs.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CheckPages(BolView):
    """Stock checks."""

    @shows("/<int:store_id>/checks")
    def checks(self, store_id: int) -> Answer:
        """List a store's stock checks, the newest first."""
        found = self.overview(store_id)
        statement = select(Run).where(Run.store_id == store_id, Run.kind == KIND).order_by(Run.id.desc())
        with self.host.reading() as session:
            page = read_page(session, statement)
            running = runs.running(self.host, store_id, KIND)
        made = [run for (run,) in page.rows]
        # Where stock is sent, what was only looked at before that is history.
        looks = [run for run in made if words.is_of_set_up(run)] if found.settings.send_stock else []
        return self.page(
            "checks",
            checks=[run for run in made if run not in looks],
            looks=looks,
            it=found,
            store=found.store,
            page=page,
            running=running,
            progress=progress(running, self.host.now()),
            too_large=sum(found.offers.values()) - found.offers["gone"] > LARGEST,
            largest=LARGEST,
            tab="checks",
        )

    @does("/<int:store_id>/checks/start")
    def start_check(self, store_id: int) -> Answer:
        """Start a stock check, or one that only reports."""
        dry = "dry" in request.form
        try:
            run_id = self.actions.check_stock(store_id, dry, who())
        except HostError as error:
            flash(str(error), "danger")
            return self.back_to(url_for("bol.checks", store_id=store_id))
        return redirect(url_for("bol.check", store_id=store_id, run_id=run_id))

    @does("/<int:store_id>/checks/<int:run_id>/stop")
    def stop_check(self, store_id: int, run_id: int) -> Answer:
        """End a stock check where it is."""
        with telling(_("The check is stopped. What it found so far stays here.")):
            self.actions.stop_run(store_id, run_id)
        return redirect(url_for("bol.check", store_id=store_id, run_id=run_id))

    @shows("/<int:store_id>/checks/<int:run_id>")
    def check(self, store_id: int, run_id: int) -> Answer:
        """Show the report of a stock check."""
        store, run = self.store(store_id), self._run(store_id, run_id)
        cause = chosen("state", tuple(Cause))
        statement = select(Discrepancy).where(Discrepancy.run_id == run_id).order_by(Discrepancy.id)
        if cause:
            statement = statement.where(Discrepancy.cause == cause)
        with self.host.reading() as session:
            page = read_page(session, statement)
            causes = dict(
                session.execute(
                    select(Discrepancy.cause, func.count())
                    .where(Discrepancy.run_id == run_id)
                    .group_by(Discrepancy.cause)
                ).all()
            )
            products = self.host.products(
                row.product_id for (row,) in page.rows if row.product_id is not None
            )
        return self.page(
            "check",
            store=store,
            run=run,
            progress=progress(run if run.state == RunState.RUNNING else None, self.host.now()),
            page=page,
            causes=causes,
            products=products,
            state=cause,
            sending=StoreSettings.load(store.settings).send_stock,
            tab="checks",
        )

    @shows("/<int:store_id>/checks/<int:run_id>/report.csv")
    def check_file(self, store_id: int, run_id: int) -> Answer:
        """Send the report of a stock check as a file, however long it is."""
        run = self._run(store_id, run_id)
        name = f"stock-check-{run.started_at:%Y-%m-%d}-{run.id}.csv"
        return Response(
            stream_with_context(self._lines(run_id, language())),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _run(self, store_id: int, run_id: int) -> Run:
        with self.host.reading() as session:
            run: Run | None = session.scalar(
                select(Run).where(Run.id == run_id, Run.store_id == store_id, Run.kind == KIND)
            )
        if run is None:
            abort(404)
        return run

    def _lines(self, run_id: int, spoken: str) -> Iterator[str]:
        with speaking(spoken):
            head = _line(COLUMNS)
        # Without this mark spreadsheet programs take the file for one of another alphabet.
        yield "\ufeff" + head
        last = 0
        while True:
            with self.host.reading() as session:
                rows = session.scalars(
                    select(Discrepancy)
                    .where(Discrepancy.run_id == run_id, Discrepancy.id > last)
                    .order_by(Discrepancy.id)
                    .limit(CHUNK)
                ).all()
                products = self.host.products(row.product_id for row in rows if row.product_id is not None)
            # The page has been made by now, and nobody is spoken to any more.
            with speaking(spoken):
                lines = [_line(_cells(row, products.get(row.product_id))) for row in rows]
            yield from lines
            if len(rows) < CHUNK:
                return
            last = rows[-1].id


def progress(run: Run | None, now: Any) -> dict[str, Any] | None:
    """Return how far a stock check is, for its bar; None where none is under way."""
    if run is None:
        return None
    done = int(run.counts.get("offers", 0))
    return {"done": done, "percent": runs.share_done(run, done), "left": runs.time_left(run, done, now)}


def harmless(cell: object) -> str:
    """Return a cell that no spreadsheet program takes for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def _line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def _cells(row: Discrepancy, product: ProductView | None) -> tuple[object, ...]:
    return (
        row.ean,
        row.offer_id,
        product.code if product else "",
        row.bol_amount,
        row.our_amount,
        _cut_off(row.bol_managed),
        _cut_off(row.our_managed),
        words.CAUSES.get(row.cause, (row.cause,))[0],
        words.ACTIONS.get(row.action, (row.action,))[0],
        f"{row.found_at:%Y-%m-%d %H:%M:%S}",
    )


def _cut_off(managed: bool | None) -> str:
    return "" if managed is None else (_("this warehouse") if managed else "bol")
