"""bol's login page (`/authorize`): here a person lets an intermediary into a seller's account, or does not."""

from __future__ import annotations

from html import escape
from string import Template
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bol_sandbox import consents
from bol_sandbox.model import Intermediary
from bol_sandbox.world import Seller, World

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>bol sandbox: log in</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/static/login.css">
</head>
<body>
  <main>
    <p class="where">bol sandbox: this plays bol's login page</p>
    $content
  </main>
</body>
</html>
""")
QUESTION = Template("""<h1>$name wants access to your seller account</h1>
    <p>It will read your orders and offers, and change stock and shipments in your name. Afterwards you return to
      <b>$host</b>.</p>
    $complaint
    <form method="post">
      <fieldset>
        <legend>Which seller are you?</legend>
        $sellers
      </fieldset>
      <div class="buttons">
        <button name="decision" value="refuse" class="quiet" formnovalidate>Refuse</button>
        <button name="decision" value="allow" class="primary">Allow</button>
      </div>
    </form>""")
SELLER = Template("""<label><input type="radio" name="seller" value="$client_id" required$checked>
          <span>$name <small>$client_id</small></span></label>""")
REFUSED = Template("""<h1>bol cannot log you in</h1>
    <p class="complaint">$reason</p>
    <p>Nothing was allowed. Go back to the software that sent you here.</p>""")


class Unanswerable(Exception):
    """Something is wrong with the request itself, so nobody is sent back to where it says it came from."""


class LoginPage:
    """Shows the question, and sends the browser back with the answer."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/authorize", self.ask), web.post("/authorize", self.decide)]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        try:
            intermediary = self._intermediary(request)
        except Unanswerable as error:
            return _page(REFUSED.substitute(reason=escape(str(error))), 400)
        return self._wrong(request) or self._question(request, intermediary)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        self.world.settle()
        try:
            intermediary = self._intermediary(request)
        except Unanswerable as error:
            return _page(REFUSED.substitute(reason=escape(str(error))), 400)
        wrong = self._wrong(request)
        if wrong is not None:
            return wrong
        form = await request.post()
        if form.get("decision") != "allow":
            return _return(request, error="access_denied", error_description="The seller refused.")
        seller = self.world.sellers.get(str(form.get("seller", "")))
        if seller is None:
            return self._question(request, intermediary, "Choose which seller you are.")
        code = consents.give_code(self.world, intermediary, seller, request.query["redirect_uri"])
        return _return(request, code=code)

    def _intermediary(self, request: web.Request) -> Intermediary:
        """Find who asks, and make sure that the answer goes to where it may go."""
        client_id = request.query.get("client_id", "")
        intermediary = self.world.intermediaries.get(client_id)
        if intermediary is None:
            raise Unanswerable(f"No client is registered as {client_id or '(nothing)'}.")
        address = request.query.get("redirect_uri", "")
        if not _is_web_address(address):
            raise Unanswerable(f"This is no address to return to: {address or '(nothing)'}")
        if not intermediary.redirects_to(address):
            raise Unanswerable(f"{intermediary.name} has not registered the redirect address {address}")
        return intermediary

    def _wrong(self, request: web.Request) -> web.StreamResponse | None:
        """Return what the client did wrong, where it can be told."""
        if request.query.get("response_type") != "code":
            return _return(request, error="unsupported_response_type")
        if "offline_access" not in request.query.get("scope", "").split():
            return _return(request, error="invalid_scope")
        return None

    def _question(
        self, request: web.Request, intermediary: Intermediary, complaint: str = ""
    ) -> web.Response:
        sellers = list(self.world.sellers.values())
        content = QUESTION.substitute(
            name=escape(intermediary.name),
            host=escape(urlsplit(request.query["redirect_uri"]).netloc),
            complaint=f'<p class="complaint">{escape(complaint)}</p>' if complaint else "",
            sellers="\n        ".join(_choice(seller, only=len(sellers) == 1) for seller in sellers)
            or '<p class="complaint">There is no seller yet: start with --seed-demo, or make one.</p>',
        )
        return _page(content, 400 if complaint else 200)


def _choice(seller: Seller, *, only: bool) -> str:
    checked = " checked" if only else ""
    return SELLER.substitute(client_id=escape(seller.client_id), name=escape(seller.name), checked=checked)


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment


def _page(content: str, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        text=PAGE.substitute(content=content),
        content_type="text/html",
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def _return(request: web.Request, **answer: str) -> web.Response:
    """Send the browser back, with the state that it came with."""
    address = request.query["redirect_uri"]
    if "state" in request.query:
        answer["state"] = request.query["state"]
    location = f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(answer)}"
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
