"""Everything that can open the management surface, in one place: password and sessions, API keys,
the key of this machine, the one-time link. Says who somebody is, never what they may ask.
"""

from typing import Final

from plexbridge.clock import Clock
from plexbridge.settings import Settings
from plexbridge.web.access.keys import KeyRing
from plexbridge.web.access.limits import LoginLimits
from plexbridge.web.access.local_key import leave_local_key
from plexbridge.web.access.logins import Logins, LoginUnusable
from plexbridge.web.access.passwords import Hashing, hash_now, verify_now
from plexbridge.web.access.roles import Identity, Means, Role
from plexbridge.web.access.setup_code import SetupCode
from plexbridge.web.access.tokens import RandomBytes, digest_of, new_token

ADMIN_KEY: Final = Identity(Role.ADMIN, Means.KEY, name="PLEXBRIDGE_ADMIN_KEY")
LOCAL: Final = Identity(Role.ADMIN, Means.LOCAL)
MACHINE: Final = Identity(Role.ADMIN, Means.MACHINE)


class Credentials:
    """What opens the door of one data directory."""

    def __init__(
        self,
        *,
        logins: Logins,
        keys: KeyRing,
        fixed_keys: dict[str, Identity],
        clock: Clock,
        random_bytes: RandomBytes,
        password_is_set_elsewhere: bool,
    ) -> None:
        """`fixed_keys`: identities by digest that do not change while we run."""
        self._logins = logins
        self._keys = keys
        self._fixed_keys = fixed_keys
        self._random_bytes = random_bytes
        self._hashing = Hashing()
        self.limits = LoginLimits(clock.monotonic)
        self.setup = SetupCode(clock.monotonic)
        self.password_is_set_elsewhere = password_is_set_elsewhere
        """By `PLEXBRIDGE_ADMIN_PASSWORD`: no page can change it."""

    @property
    def locked(self) -> bool:
        """Whether a password is set. Until then this machine needs none."""
        return self._logins.password is not None

    def new_link_code(self) -> str:
        """A code for the one-time link; an earlier one is no longer good."""
        return self.setup.make(self._random_bytes)

    async def by_key(self, key: str) -> Identity | None:
        """Who sent that API key. Never held up by the limits of logging in."""
        digest = digest_of(key)
        return self._fixed_keys.get(digest) or await self._keys.find(digest)

    async def by_session(self, token: str) -> Identity | None:
        """Whose cookie that is; it is good for another 30 days."""
        found = self._logins.find(digest_of(token))
        if found is not None:
            await self._logins.seen(found.digest)
        return found

    async def still(self, identity: Identity) -> bool:
        """Whether somebody who came in earlier still may."""
        if identity.means is Means.MACHINE:
            return not self.locked
        if identity.means is Means.SESSION:
            return self._logins.find(identity.digest) is not None
        if not identity.digest:
            return True  # of a setting, or of this start: good as long as we run
        return await self._keys.find(identity.digest) is not None

    async def log_in(self, password: str) -> str | None:
        """A new session's token for the right password; None for any other."""
        return await self._new_session() if await self.knows_password(password) else None

    async def knows_password(self, password: str) -> bool:
        """Whether it is the password, also after the time it took to tell."""
        hashed = self._logins.password
        if hashed is None or not await self._hashing.verify(hashed, password):
            return False
        return hashed == self._logins.password

    async def set_password(self, password: str) -> str:
        """A new password. Every session ends, and the link with it; the token of the one session
        that begins.

        Raises:
            LoginUnusable: it cannot be kept.
        """
        await self._logins.set_password(await self._hashing.hash(password))
        self.setup.end()
        return await self._new_session()

    async def log_out(self, token: str) -> None:
        """The session ends, if it is one."""
        await self._logins.end(digest_of(token))

    async def _new_session(self) -> str:
        token = new_token(self._random_bytes)
        await self._logins.begin(digest_of(token), Role.ADMIN)
        return token


def open_credentials(settings: Settings, clock: Clock, random_bytes: RandomBytes) -> Credentials:
    """Read what the data directory keeps, take over the password of the environment, and leave the
    key for commands on this machine. Blocks.

    Raises:
        KeysUnusable, LoginUnusable: in one line.
    """
    logins = Logins(settings.data_dir, lambda: clock.now() // 1_000)
    password = settings.admin_password
    if password is not None:
        _take_over(logins, password.get_secret_value())
    try:
        local_key = leave_local_key(settings.data_dir, random_bytes)
    except OSError as error:
        raise LoginUnusable(
            f"a key cannot be written into {settings.data_dir}: {error.strerror}"
        ) from error
    fixed_keys = {digest_of(local_key): LOCAL}
    if settings.admin_key is not None:
        fixed_keys[digest_of(settings.admin_key.get_secret_value())] = ADMIN_KEY
    return Credentials(
        logins=logins,
        keys=KeyRing(settings.data_dir, clock.monotonic),
        fixed_keys=fixed_keys,
        clock=clock,
        random_bytes=random_bytes,
        password_is_set_elsewhere=password is not None,
    )


def _take_over(logins: Logins, password: str) -> None:
    """The environment's password; sessions of the same one go on."""
    if logins.password is None or not verify_now(logins.password, password):
        logins.set_now(hash_now(password))
