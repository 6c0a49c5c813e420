"""Secrets at rest: encrypted with the installation's keys, newest first, so that keys can be replaced."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

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
                f"{VARIABLE} holds no usable key. Set it to the key this installation was set up with."
            ) from error

    def encrypt(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def decrypt(self, data: bytes) -> bytes:
        """:raises SecretUnreadable: it was written with a key that is not here."""
        try:
            return self._fernet.decrypt(data)
        except InvalidToken as error:
            raise SecretUnreadable(
                f"This was encrypted with a key that is not in {VARIABLE}. Add the old key after the new one."
            ) from error

    def hide(self, text: str) -> str:
        """Return text as it is kept in the database."""
        return self.encrypt(text.encode()).decode()

    def reveal(self, hidden: str) -> str:
        """:raises SecretUnreadable: it was written with a key that is not here."""
        return self.decrypt(hidden.encode()).decode()


def load_secrets(folder: str) -> Secrets:
    """Read the keys from the environment, or from the file in the instance folder, which is made when missing.

    :raises SecretUnreadable: no key is usable.
    """
    keys = os.environ.get(VARIABLE, "").strip()
    return Secrets(keys or _key_file(Path(folder) / FILE))


def _key_file(path: Path) -> str:
    """Return the key in the file; make one, readable by its owner only, where the file is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    key = Fernet.generate_key().decode()
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key
