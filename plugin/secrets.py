"""Secrets at rest: encrypted with the installation's keys, newest first, so that keys can be replaced."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from plugin.texts import gettext as _

VARIABLE = "BOL_ENCRYPTION_KEYS"
FILE = "bol_encryption_keys"


class SecretUnreadable(Exception):
    """A secret can't be read: the key it was written with is missing, or none is usable."""


class Secrets:
    """Encrypts and decrypts. ``encrypt`` and ``decrypt`` take bytes, as the connector's token store wants it."""

    def __init__(self, keys: str) -> None:
        """Take the keys, separated by commas or blanks, newest first.

        :raises SecretUnreadable: there is none, or one is not a Fernet key.
        """
        try:
            fernets = [Fernet(key) for key in keys.replace(",", " ").split()]
            self._fernet = MultiFernet(fernets)
        except ValueError as error:
            raise SecretUnreadable(
                _(
                    "%(variable)s holds no usable key. Set it to the key this installation was set up with.",
                    variable=VARIABLE,
                )
            ) from error
        self._newest = fernets[0]

    def encrypt(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def decrypt(self, data: bytes) -> bytes:
        """:raises SecretUnreadable: it was written with a key that is not here."""
        try:
            return self._fernet.decrypt(data)
        except InvalidToken as error:
            raise SecretUnreadable(
                _(
                    "This was encrypted with a key that is not in %(variable)s. Add the old key after the new one.",
                    variable=VARIABLE,
                )
            ) from error

    def hide(self, text: str) -> str:
        """Return text as it is kept in the database."""
        return self.encrypt(text.encode()).decode()

    def reveal(self, hidden: str) -> str:
        """:raises SecretUnreadable: it was written with a key that is not here."""
        return self.decrypt(hidden.encode()).decode()

    def is_newest(self, hidden: str) -> bool:
        """Tell if this was encrypted with the newest key."""
        try:
            self._newest.decrypt(hidden.encode())
        except InvalidToken:
            return False
        return True


class KeyFile:
    """The keys in the instance folder, newest first, used where the environment names none."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / FILE

    def keys(self) -> list[str]:
        """Return the keys; makes the file with a first key where it is missing."""
        if not self._path.exists():
            made = self._written([Fernet.generate_key().decode()])
            try:
                # A link never takes the place of the file that another process made meanwhile.
                os.link(made, self._path)
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return self._path.read_text().split()

    def write(self, keys: list[str]) -> None:
        """Replace the keys at once: whoever reads meanwhile sees the old ones or the new ones."""
        os.replace(self._written(keys), self._path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let only one process change the keys."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _written(self, keys: list[str]) -> Path:
        """Return a new file beside the old one; temporary files are for their owner only."""
        with NamedTemporaryFile("w", dir=self._path.parent, prefix=f"{FILE}.", delete=False) as file:
            file.write("\n".join(keys) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return Path(file.name)


def named_keys() -> str:
    """Return the keys that the environment names."""
    return os.environ.get(VARIABLE, "").strip()


def load_secrets(folder: str) -> Secrets:
    """Read the keys from the environment, or from the file in the instance folder, which is made when missing.

    :raises SecretUnreadable: no key is usable.
    """
    return Secrets(named_keys() or " ".join(KeyFile(folder).keys()))
