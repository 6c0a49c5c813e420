"""A wheel holds everything, and works from nothing but itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("plugin", "host_app", "bol_sandbox")
#: Kinds of files that are neither code nor data of a package.
LEFT_OUT = ("*.pyc", "__pycache__", ".*", "*.po", "*.pot")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, so that nothing left behind in the tree gets into it."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(target),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and not any(path.match(pattern) for pattern in LEFT_OUT)
        and "__pycache__" not in path.parts
    }
    assert there - packed == set()


@pytest.mark.parametrize(
    "name",
    [
        "host_app/py.typed",
        "host_app/migrations/env.py",
        "host_app/migrations/script.py.mako",
        "plugin/py.typed",
        "plugin/migrations/env.py",
        "plugin/migrations/script.py.mako",
        "bol_sandbox/static/index.html",
    ],
)
def test_the_wheel_holds_what_is_easily_forgotten(wheel: Path, name: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert name in archive.namelist()


def test_the_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    code = (
        "import host_app, plugin, bol_sandbox\n"
        "from host_app import create_app, migrate\n"
        "app = create_app()\n"
        "with app.app_context(): migrate.upgrade(); assert migrate.up_to_date()\n"
        "assert app.extensions['host_plugins'].names == ('bol',)\n"
        "print(app.test_client().get('/admin/', follow_redirects=True).status_code)\n"
        "print(host_app.__file__, plugin.__file__, bol_sandbox.__file__, sep='\\n')"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "HOST_INSTANCE": str(tmp_path / "instance"),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, *files = done.stdout.split()
    assert status == "200"
    assert all(file.startswith(str(installed)) for file in files), files


def required(*extras: str) -> Iterator[Requirement]:
    """Yield what setup.cfg asks for on Linux."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in extras]
    for line in "\n".join(texts).splitlines():
        # configparser keeps comments that stand inside a value.
        if line and not line.startswith(("#", "bol-retailer-connector")):
            yield Requirement(line)


@pytest.mark.parametrize(("lock", "extras"), [("run.txt", ("postgres",)), ("test.txt", ("postgres", "test"))])
def test_the_locks_name_a_version_of_everything_that_setup_cfg_asks_for(
    lock: str, extras: tuple[str, ...]
) -> None:
    """``pip install --require-hashes`` stops at the first package that is missing."""
    locked = {}
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if "==" in line:
            requirement = Requirement(line.removesuffix("\\"))
            locked[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    wanted = list(required(*extras))
    assert wanted
    assert [
        str(one)
        for one in wanted
        if not one.specifier.contains(locked.get(canonicalize_name(one.name), ""), prereleases=True)
    ] == []
