"""Users: adding them, and changing what they may do."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import func, select, update

from host_app.db import current_session
from host_app.models import User
from host_app.models.people import Role
from host_app.plugin_api import HostError

SHORTEST = 10


def add_user(username: str, password: str, *, role: str) -> int:
    """Add somebody who can log in and return their id.

    :raises HostError: the name is empty or in use, the password too short, or the role unknown.
    """
    session = current_session()
    username = username.strip()[:80]
    if not username:
        raise HostError(_("A user needs a name."))
    if session.scalar(select(User.id).where(func.lower(User.username) == username.lower())) is not None:
        raise HostError(_("There is a user named %(name)s already.", name=username))
    user = User(username=username, role=_known(role), active=True)
    user.set_password(_long_enough(password))
    session.add(user)
    session.flush()
    return user.id


def change_user(user_id: int, *, role: str, active: bool, password: str = "") -> User:
    """Change role and access of a user; with a password, replace theirs, which logs them out everywhere.

    :raises HostError: they do not exist, the password is too short, or they are the last active administrator.
    """
    session = current_session()
    # All are locked, so that two administrators can't remove each other at the same time.
    rows = {row.id: row for row in session.scalars(select(User).with_for_update())}
    user = rows.get(user_id)
    if user is None:
        raise HostError(_("This user does not exist."))
    others = any(row.active and row.is_administrator for row in rows.values() if row.id != user_id)
    if user.active and user.is_administrator and not others and not (active and role == Role.ADMINISTRATOR):
        raise HostError(_("This is the last active administrator: make somebody else administrator first."))
    user.role, user.active = _known(role), active
    if password:
        user.set_password(_long_enough(password))
    session.flush()
    return user


def password_problem(password: str) -> str:
    """Tell in words why a password can't be used; "" where it can."""
    if len(password) < SHORTEST:
        return _("A password needs at least %(count)s characters.", count=SHORTEST)
    return ""


def replace_password(user_id: int, known: str, password: str) -> User | None:
    """Replace a user's password, which logs them out everywhere; None where it is not the known one any more.

    :param known: the hash that the current password was checked against, outside of this transaction.
    """
    session = current_session()
    user = session.scalar(
        select(User).where(User.id == user_id, User.password_hash == known, User.active).with_for_update()
    )
    if user is not None:
        user.set_password(password)
        session.flush()
    return user


def choose_language(user_id: int, language: str) -> None:
    """Keep which language a user's pages are in; "" leaves it to their browser."""
    current_session().execute(update(User).where(User.id == user_id).values(language=language))


def administrators() -> Sequence[str]:
    """Return the names of those who may do everything: whom to ask."""
    found = select(User.username).where(User.active, User.role == Role.ADMINISTRATOR).order_by(User.username)
    return current_session().scalars(found).all()


def _known(role: str) -> str:
    if role not in set(Role):
        raise HostError(_("Choose a role."))
    return role


def _long_enough(password: str) -> str:
    if problem := password_problem(password):
        raise HostError(problem)
    return password
