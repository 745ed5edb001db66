"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.door import addresses
from gateway.door.proxies import Network, networks

LEAST_TOKEN = 16
MAKE_ONE = 'This makes one: python -c "import secrets; print(secrets.token_urlsafe(32))"'


class GatewaySettings(BaseSettings):
    """Where the gateway listens, who may come in, and what it keeps for how long."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        use_attribute_docstrings=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. On any other than loopback a token is required."""

    port: int = 5001
    """Port to listen on."""

    published_host: str = ""
    """In a container: the host's address that its port is published on; empty when callers reach `host` itself."""

    token: SecretStr = SecretStr("")
    """Secret of at least 16 characters that callers send as `Authorization: Bearer …` and people type into the sign-in
    page. `python -c "import secrets; print(secrets.token_urlsafe(32))"` makes one. Another token ends every sign-in."""

    sign_in_days: float = 30
    """Days after which somebody who signed in has to sign in again."""

    trusted_proxies: str = ""
    """Addresses or networks of reverse proxies, with commas between them, of which `X-Forwarded-For` and
    `X-Forwarded-Proto` are believed: without it all their callers are one address, and cookies are not `Secure`."""

    data_folder: Path = Path("data/gateway")
    """Folder for uploads on their way, conversations, media of running chats and files of the older form routes."""

    max_upload_mb: int = 2048
    """Largest upload in MB."""

    max_text_characters: int = 5000
    """Longest text that is spoken."""

    max_message_characters: int = 4000
    """Longest message to a chat; the dialogue service refuses more than LLM_MAX_MESSAGE_CHARACTERS."""

    max_chats: int = 8
    """Chats in memory at once; one more takes the place of one that rests, and is refused when none does."""

    max_talks: int = 4
    """Live talks at once; more are refused until one ends."""

    chat_idle_minutes: float = 30
    """A chat unused for so long leaves the memory, and its videos are deleted. What was said stays stored."""

    chat_keep_days: float = 30
    """Days after its last word that a stored conversation is deleted; 0: conversations are not stored."""

    chat_replies_kept: int = 20
    """Replies whose videos a chat keeps; older ones are deleted."""

    keep_hours: float = 24
    """How long recordings and videos of the older form routes are kept."""

    threads: int = 64
    """Requests served at once; each open event stream counts as one."""

    head_seconds: float = 10
    """Seconds in which a request's headers must be in, and a small body; a connection that takes longer is closed."""

    stall_seconds: float = 60
    """Seconds without a byte after which an upload, or an answer that nobody takes, is given up."""

    log_level: str = Field("INFO", validation_alias="VISAVIS_LOG_LEVEL")
    """Least level that is logged."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.published_host or self.host)

    @property
    def has_only_local_callers(self) -> bool:
        """Whether a container's port is published on its host's loopback, so that every caller is on that machine."""
        return bool(self.published_host) and is_loopback(self.published_host)

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * 2**20

    @property
    def proxies(self) -> list[Network]:
        """The reverse proxies that are believed."""
        return networks(self.trusted_proxies)

    @field_validator("token")
    @classmethod
    def _is_long(cls, token: SecretStr) -> SecretStr:
        if 0 < len(token.get_secret_value()) < LEAST_TOKEN:
            raise ValueError(f"GATEWAY_TOKEN is too short: give at least {LEAST_TOKEN} characters. {MAKE_ONE}")
        return token

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: str) -> str:
        try:
            networks(proxies)
        except ValueError:
            example = "127.0.0.1, 10.0.0.0/8"
            raise ValueError(f"GATEWAY_TRUSTED_PROXIES is a list of addresses or networks, as in {example}.") from None
        return proxies

    @model_validator(mode="after")
    def _closed_by_default(self) -> GatewaySettings:
        if not self.is_loopback and not self.token.get_secret_value():
            host = self.published_host or self.host
            raise ValueError(f"The gateway on {host} is open to others: set GATEWAY_TOKEN. {MAKE_ONE}")
        return self


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return addresses.parsed((host or "").strip("[]")).is_loopback
    except ValueError:
        return False
