"""The calls to bol of a store, the newest first: for people who look for what went wrong."""

from __future__ import annotations

from flask import request
from sqlalchemy import select

from plugin.models import ApiCall
from plugin.sync import charts
from plugin.sync.call_log import stories
from plugin.views.base import Answer, BolView, shows
from plugin.views.paging import PAGE_SIZE, chosen

FAILED = "failed"


class CallPages(BolView):
    """Calls."""

    @shows("/<int:store_id>/calls")
    def calls(self, store_id: int) -> Answer:
        """List calls. A page goes on below an id, as counting all of a large log would take long."""
        store = self.store(store_id)
        state, job = chosen("state", (FAILED,)), request.args.get("job", "").strip()
        route, sought = request.args.get("route", "").strip(), request.args.get("q", "").strip()
        below = request.args.get("below", type=int)
        period = chosen("period", tuple(charts.PERIODS)) or charts.DAY
        statement = select(ApiCall).where(ApiCall.store_id == store_id).order_by(ApiCall.id.desc())
        if state:
            statement = statement.where(ApiCall.error != "")
        if job:
            statement = statement.where(ApiCall.job == job)
        if route:
            statement = statement.where(ApiCall.route == route)
        if sought:
            statement = statement.where(ApiCall.request_id == sought)
        if below:
            statement = statement.where(ApiCall.id < below)
        with self.host.reading() as session:
            rows = session.scalars(statement.limit(PAGE_SIZE + 1)).all()
            about = stories(self.host, store_id, rows[:PAGE_SIZE])
            # Who looks for certain calls, or goes on in the list, has seen it.
            narrowed = bool(state or job or route or sought or below)
            drawn = () if narrowed else charts.charts(self.host, store_id, period, charts.TECHNICAL)
        kept = {"state": state or None, "job": job or None, "route": route or None, "q": sought or None}
        return self.page(
            "calls",
            store=store,
            rows=rows[:PAGE_SIZE],
            stories=about,
            charts=drawn,
            period=period,
            older=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
            below=below,
            state=state,
            q=sought,
            route=route,
            kept=kept,
            tab="calls",
        )
