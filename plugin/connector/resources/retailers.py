"""Retailers: whose account is this? (v10)

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/retailers.html
"""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.retailers import Retailer
from plugin.connector.parsers.retailers import read_retailer
from plugin.connector.resources.caller import Caller


class Retailers:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def current(self, *, deadline: Deadline | None = None) -> Retailer:
        """GET /retailer/retailers/current: the account that the access token belongs to."""
        answer = self._caller.call(routes.RETAILER, values={"retailer-id": "current"}, deadline=deadline)
        return answer.read(read_retailer)
