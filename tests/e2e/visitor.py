"""Somebody who uses the warehouse's pages over plain HTTP: reads text, fills in forms, presses buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

SECONDS = 15


@dataclass(slots=True)
class Form:
    """A form as it stands on the page."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """One page: the text that people see, its links, and its forms."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url = url
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._words: list[str] = []
        self._select = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self._words))

    def form(self, action: str) -> Form:
        """Return the form whose address has this regular expression."""
        found = [form for form in self.forms if re.search(action, form.action)]
        assert found, f"{self.url} has no form for {action}: {self.text}"
        return found[0]

    def link(self, pattern: str) -> str:
        """Return the last link that has this regular expression."""
        found = [link for link in self.links if re.search(pattern, link)]
        assert found, f"{self.url} has no link to {pattern}: {self.text}"
        return found[-1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif tag == "form":
            self.forms.append(Form(urljoin(self.url, given.get("action", ""))))
        elif tag == "select":
            self._select = given.get("name", "")
        elif not self.forms:
            return
        elif tag == "option" and (self._select not in self.forms[-1].fields or "selected" in given):
            self.forms[-1].fields[self._select] = given.get("value", "")
        elif tag == "input" and "name" in given:
            chosen = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if chosen:
                self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        self._words.append(data)


class Visitor:
    """A browser without scripts, in which one person is logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self, username: str, password: str) -> Page:
        page = self.submit(self.open("/login"), "/login", username=username, password=password)
        assert "Log out" in page.text, page.text
        return page

    def open(self, path: str, **query: str) -> Page:
        return self._page(self._session.get(urljoin(self.url, path), params=query, timeout=SECONDS))

    def submit(self, page: Page, action: str, **changes: str) -> Page:
        """Send a form of the page as it stands, except for what is filled in here."""
        form = page.form(action)
        sent = self._session.post(form.action, data={**form.fields, **changes}, timeout=SECONDS)
        return self._page(sent)

    def close(self) -> None:
        self._session.close()

    def _page(self, answer: requests.Response) -> Page:
        assert answer.ok, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:2000]}"
        return Page(answer.url, answer.text)
