"""The keys that push messages are signed with, and the signatures (RSA, PKCS#1 v1.5, SHA-256)."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

BITS = 2048
FORMS = ("x509", "pem", "private")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair with its number; `form` of what is published, since bol's own example looks private."""

    key_id: str
    private: RSAPrivateKey

    def published(self, form: str) -> str:
        """Give the public key as `x509` (base64 DER) or `pem`; `private` is the whole pair, as bol's example is."""
        public = self.private.public_key()
        if form == "pem":
            return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        if form == "private":
            raw = self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        else:
            raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(raw).decode()

    def header(self, body: bytes) -> str:
        signature = base64.b64encode(self.private.sign(body, PKCS1v15(), SHA256())).decode()
        return f'keyId={self.key_id}, algorithm="rsa-sha256", signature={signature}'


class KeyRing:
    """The keys that are published, the newest last; the first is made when somebody needs one."""

    def __init__(self) -> None:
        self._keys: list[SigningKey] = []
        self._made = 0

    def restore(self) -> None:
        """Go back to the first key: making one takes long, and numbers never come again."""
        del self._keys[1:]

    @property
    def published(self) -> list[SigningKey]:
        if not self._keys:
            self.rotate()
        return self._keys

    @property
    def current(self) -> SigningKey:
        return self.published[-1]

    def rotate(self, *, keep_old: bool = True) -> SigningKey:
        """Sign with a new key from now on."""
        if not keep_old:
            self._keys.clear()
        self._keys.append(_make(str(self._made)))
        self._made += 1
        return self._keys[-1]

    def write(self) -> list[list[str]]:
        """Describe the keys, to be kept in a file that is the owner's alone."""
        return [
            [
                key.key_id,
                key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            ]
            for key in self._keys
        ]

    def read(self, rows: list[list[str]]) -> None:
        self._keys = []
        for key_id, text in rows:
            private = load_pem_private_key(text.encode(), None)
            if not isinstance(private, RSAPrivateKey):
                raise TypeError(f"key {key_id} is no RSA key")
            self._keys.append(SigningKey(key_id, private))
            self._made = max(self._made, int(key_id) + 1)


def _make(key_id: str) -> SigningKey:
    return SigningKey(key_id, generate_private_key(public_exponent=65537, key_size=BITS))


_forger: list[SigningKey] = []


def forger(key_id: str) -> SigningKey:
    """Give a key that claims to be `key_id` and is not."""
    if not _forger:
        _forger.append(_make("forged"))
    return SigningKey(key_id, _forger[0].private)
