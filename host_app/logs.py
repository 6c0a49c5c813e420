"""Log lines as JSON objects on stderr, with what they are about: job, store, order."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

from host_app.plugin_api import log_context


class JsonFormatter(logging.Formatter):
    """One object a line. Of a failure its class and place are told and not its text, which may quote a whole row."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            **log_context.get(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["traceback"] = "".join(traceback.format_tb(record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False, default=str)


def install() -> None:
    """Let every logger of this process write JSON; those of the libraries, too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # These tell every request and statement where they are let.
    for name in ("alembic", "urllib3", "werkzeug", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
