"""New keys: every secret is written anew, and a run that is killed is finished by the next,."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.fernet import Fernet

from plugin import key_rotation
from plugin.key_rotation import rotate_keys
from plugin.secrets import FILE, load_secrets
from tests.plugin.conftest import Shop


def rotate(shop: Shop) -> Result:
    return shop.app.test_cli_runner().invoke(args=["bol", "rotate-keys"])


def key_file(shop: Shop) -> Path:
    return Path(shop.host.secret_folder) / FILE


def readable(shop: Shop) -> bool:
    return load_secrets(shop.host.secret_folder).reveal(shop.store().secret) == "secret"


def newest(shop: Shop) -> bool:
    return load_secrets(shop.host.secret_folder).is_newest(shop.store().secret)


def test_without_the_variable_a_new_key_is_made_and_everything_is_written_with_it(shop: Shop) -> None:
    shop.connect()
    before, first = shop.store().secret, key_file(shop).read_text().split()
    result = rotate(shop)
    assert result.exit_code == 0, result.output
    assert "A new key" in result.output and "1 secrets" in result.output
    after = key_file(shop).read_text().split()
    assert after[1:] == first and after[0] not in first
    assert shop.store().secret != before
    assert readable(shop) and newest(shop)
    assert stat.S_IMODE(key_file(shop).stat().st_mode) == 0o600
    assert sorted(path.name for path in key_file(shop).parent.glob(f"{FILE}.*")) == [f"{FILE}.lock"]


def test_it_may_run_again_and_again(shop: Shop) -> None:
    shop.connect()
    for _ in range(3):
        assert rotate(shop).exit_code == 0
    assert readable(shop) and newest(shop)
    assert len(key_file(shop).read_text().split()) == 2
    shop.import_orders()
    assert shop.store().problem == ""


def test_a_run_that_was_killed_before_it_wrote_secrets_is_finished_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect()
    with monkeypatch.context() as killed:
        killed.setattr(key_rotation, "_rewrite", _die)
        with pytest.raises(KeyboardInterrupt):
            rotate_keys(shop.host)
    keys = key_file(shop).read_text().split()
    assert len(keys) == 2 and readable(shop) and not newest(shop)
    result = rotate(shop)
    assert "No new key" in result.output
    assert key_file(shop).read_text().split() == keys
    assert readable(shop) and newest(shop)


def test_with_the_variable_its_first_key_is_used_and_the_old_one_can_go(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", old)
    shop.connect()
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", f"{new},{old}")
    result = rotate(shop)
    assert result.exit_code == 0 and "BOL_ENCRYPTION_KEYS" in result.output
    assert not key_file(shop).exists()
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", new)
    assert readable(shop)


def test_a_missing_key_is_explained_and_nothing_is_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.connect()
    old, before = key_file(shop).read_text().strip(), shop.store().secret
    key_file(shop).write_text(Fernet.generate_key().decode())
    result = rotate(shop)
    assert result.exit_code == 1 and "Shop" in result.output
    assert shop.store().secret == before
    with key_file(shop).open("a") as file:
        file.write(f"\n{old}\n")
    assert rotate(shop).exit_code == 0
    assert readable(shop) and newest(shop)


def test_no_usable_key_is_explained(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.connect()
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", "rubbish")
    result = rotate(shop)
    assert result.exit_code == 1 and "no usable key" in result.output


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
