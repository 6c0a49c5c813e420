"""Settings come from the environment; what is wrong is said in words."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from host_app.config import ConfigError, load, owner_only_secret


def test_nothing_set_means_a_single_machine(tmp_path: Path) -> None:
    settings = load({"HOST_INSTANCE": str(tmp_path / "instance")})
    assert settings.database_url == f"sqlite:///{tmp_path / 'instance' / 'warehouse.sqlite'}"
    assert settings.redis_url == f"redis://:{settings.redis_password}@127.0.0.1:6390/0"
    assert (settings.host, settings.port, settings.sandbox_port) == ("127.0.0.1", 5000, 5050)
    assert settings.own_redis_port == 6390
    assert settings.blocked_plugins == ()


def test_a_redis_that_is_given_is_taken_as_it_is(tmp_path: Path) -> None:
    settings = load(
        {"HOST_INSTANCE": str(tmp_path), "REDIS_URL": "rediss://elsewhere/3", "REDIS_PORT": "none"}
    )
    assert settings.redis_url == "rediss://elsewhere/3"
    assert settings.own_redis_port is None
    assert not (tmp_path / "redis_password").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_by_its_newer_driver(tmp_path: Path, scheme: str) -> None:
    settings = load({"HOST_INSTANCE": str(tmp_path), "DATABASE_URL": f"{scheme}://ann@db/wms"})
    assert settings.database_url == "postgresql+psycopg://ann@db/wms"


@pytest.mark.parametrize("name", ["HOST_PORT", "SANDBOX_PORT", "REDIS_PORT"])
@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", ""])
def test_a_port_that_is_none_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({"HOST_INSTANCE": str(tmp_path), name: value})


def test_an_instance_folder_that_cant_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="HOST_INSTANCE"):
        load({"HOST_INSTANCE": str(tmp_path / "file" / "instance")})


def test_blocked_plugins_may_stand_with_commas_or_blanks(tmp_path: Path) -> None:
    settings = load({"HOST_INSTANCE": str(tmp_path), "HOST_BLOCKED_PLUGINS": "bol, other  third"})
    assert settings.blocked_plugins == ("bol", "other", "third")


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    first = load({"HOST_INSTANCE": str(tmp_path / "instance")})
    assert load({"HOST_INSTANCE": str(tmp_path / "instance")}) == first
    assert len(first.secret_key) >= 43
    assert (tmp_path / "instance").stat().st_mode & 0o777 == 0o700
    for name in ("secret_key", "redis_password"):
        assert (tmp_path / "instance" / name).stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_read_the_same_secret(tmp_path: Path) -> None:
    start, found = threading.Barrier(8), []

    def read() -> None:
        start.wait()
        found.append(owner_only_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found[0]) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("url", "security", "port"),
    [
        ("smtps://wms:p%40ss@mail.example.com", "tls", 465),
        ("smtp://wms:p%40ss@mail.example.com:2525", "starttls", 2525),
    ],
)
def test_a_mail_server_is_read_from_one_address(tmp_path: Path, url: str, security: str, port: int) -> None:
    settings = load(
        {"HOST_INSTANCE": str(tmp_path), "HOST_SMTP_URL": url, "HOST_MAIL_FROM": "wms@example.com"}
    )
    server = settings.mail_server
    assert server is not None
    assert (server.host, server.security, server.port) == ("mail.example.com", security, port)
    assert (server.user, server.password) == ("wms", "p@ss")
    assert "p@ss" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "sender", "name"),
    [
        ("mail.example.com", "wms@example.com", "HOST_SMTP_URL"),
        ("smtp+plain://wms:secret@mail.example.com", "wms@example.com", "HOST_SMTP_URL"),
        ("smtps://mail.example.com:99999", "wms@example.com", "HOST_SMTP_URL"),
        ("smtps://mail.example.com", "", "HOST_MAIL_FROM"),
    ],
)
def test_a_mail_server_that_can_not_be_used_is_refused_by_name(
    tmp_path: Path, url: str, sender: str, name: str
) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        load({"HOST_INSTANCE": str(tmp_path), "HOST_SMTP_URL": url, "HOST_MAIL_FROM": sender})
    assert "secret" not in str(refused.value)


def test_the_language_of_the_installation_is_one_that_is_spoken(tmp_path: Path) -> None:
    assert load({"HOST_INSTANCE": str(tmp_path)}).language == "en"
    assert load({"HOST_INSTANCE": str(tmp_path), "HOST_LANGUAGE": "nl"}).language == "nl"
    with pytest.raises(ConfigError, match="HOST_LANGUAGE must be en or nl"):
        load({"HOST_INSTANCE": str(tmp_path), "HOST_LANGUAGE": "fr"})
