"""New encryption keys: every secret is written anew with the newest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.fernet import Fernet
from sqlalchemy import select, update

from host_app.plugin_api import HostPort
from plugin.models import Store
from plugin.secrets import KeyFile, Secrets, SecretUnreadable, load_secrets, named_keys


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done. ``rewritten``, ``already`` and ``unreadable`` are names of stores.

    ``made_key``: the key file got a new first key; never so where the environment names the keys.
    """

    made_key: bool
    from_environment: bool
    rewritten: tuple[str, ...]
    already: tuple[str, ...]
    unreadable: tuple[str, ...]


def rotate_keys(host: HostPort) -> Rotation:
    """Write the secrets of all stores with the newest key. May be killed anywhere, and run again.

    Without keys in the environment a new one is made first, unless an earlier run was killed before it had rewritten
    everything: then that run is finished. The key before the newest one stays in the file until the next rotation,
    as a process that read the file a moment ago may still write with it; older ones go when nothing needs them.

    :raises SecretUnreadable: no key is usable.
    """
    if named_keys():
        return _rewrite(host, made_key=False)
    file = KeyFile(host.secret_folder)
    with file.locked():
        made_key = not _unfinished(host)
        if made_key:
            _add_key(host, file)
        return _rewrite(host, made_key=made_key)


def unreadable_stores(host: HostPort, only: int | None = None) -> Sequence[str]:
    """Return the names of stores (or of one of them) whose secret no key here can read.

    :raises SecretUnreadable: no key is usable.
    """
    secrets = load_secrets(host.secret_folder)
    return [
        name
        for store_id, name, hidden in _stored(host)
        if only in (None, store_id) and not _readable(secrets, hidden)
    ]


def _unfinished(host: HostPort) -> bool:
    """Tell if a secret was left that the newest key can't read, and an older one can."""
    secrets = load_secrets(host.secret_folder)
    return any(not secrets.is_newest(hidden) and _readable(secrets, hidden) for _, _, hidden in _stored(host))


def _add_key(host: HostPort, file: KeyFile) -> None:
    """Put a new key first. The old newest one reads every secret that can be read; the rest may need any."""
    keys = file.keys()
    kept = keys if unreadable_stores(host) else keys[:1]
    file.write([Fernet.generate_key().decode(), *kept])


def _rewrite(host: HostPort, *, made_key: bool) -> Rotation:
    """One transaction per store, each on the secret that was read: one that changes meanwhile is written by others
    with the newest key."""
    secrets = load_secrets(host.secret_folder)
    rewritten, already, unreadable = [], [], []
    for store_id, name, hidden in _stored(host):
        if secrets.is_newest(hidden):
            already.append(name)
        elif not _readable(secrets, hidden):
            unreadable.append(name)
        else:
            with host.transaction() as session:
                session.execute(
                    update(Store)
                    .where(Store.id == store_id, Store.secret == hidden)
                    .values(secret=secrets.hide(secrets.reveal(hidden)))
                )
            rewritten.append(name)
    return Rotation(made_key, bool(named_keys()), tuple(rewritten), tuple(already), tuple(unreadable))


def _stored(host: HostPort) -> list[tuple[int, str, str]]:
    """Return id, name and encrypted secret of each store."""
    with host.reading() as session:
        rows = session.execute(
            select(Store.id, Store.name, Store.secret).where(Store.secret != "").order_by(Store.id)
        )
        return [(row.id, row.name, row.secret) for row in rows]


def _readable(secrets: Secrets, hidden: str) -> bool:
    try:
        secrets.reveal(hidden)
    except SecretUnreadable:
        return False
    return True
