"""What the gateway itself refuses."""

from __future__ import annotations


class Refusal(Exception):
    """A request that the gateway itself refuses."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        field: str = "",
        status: int = 400,
        values: dict[str, str] | None = None,
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(message)
        self.message, self.reason, self.field, self.status = message, reason, field, status
        self.values, self.retry_after_s = values or {}, retry_after_s
