"""What is wrong, the same in every room: with a call that failed, a job that failed, or one thing among others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Problem:
    """What is wrong, for a person and for a translation.

    Attributes:
        reason: stable identifier in UPPER_SNAKE_CASE, e.g. `NO_FACE`.
        message: plain English for the person, with the remedy.
        field: the request field that caused it, or empty.
        values: what a translation of the message fills in, e.g. `{"second": "12.4"}`.
    """

    reason: str
    message: str
    field: str = ""
    values: dict[str, str] = dataclasses.field(default_factory=dict)


class ProblemError(Exception):
    """Carries a problem; its parts are attributes of the error too."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem

    def about(self, field: str) -> Self:
        """The same error, with another field to blame."""
        self.problem = replace(self.problem, field=field)
        return self

    @property
    def message(self) -> str:
        return self.problem.message

    @property
    def reason(self) -> str:
        return self.problem.reason

    @property
    def field(self) -> str:
        return self.problem.field

    @property
    def values(self) -> dict[str, str]:
        return self.problem.values
