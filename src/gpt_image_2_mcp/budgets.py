"""What may be spent, in micro-dollars by call, session, day, month and in all; whether one more call fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from gpt_image_2_mcp.errors import BudgetExceeded

Scope = Literal["call", "session", "day", "month", "total"]
Purse = Literal["session", "turns", "day", "month", "total"]
"""What charges are summed up by: a run of the server, the turns of an edit session, and by time."""
By = Literal["day", "model", "session", "project"]


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits of one server. None is no limit; 0 lets nothing through."""

    call: int | None = None
    session: int | None = None
    day: int | None = None
    month: int | None = None
    total: int | None = None

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return any(limit is not None for limit in (self.call, *self._of_purses().values()))

    def purses(self, *, turn: bool) -> Iterator[tuple[Purse, int]]:
        """The sums that are limited, for a call that is the turn of an edit session or is none."""
        for purse, limit in self._of_purses().items():
            if limit is not None and (turn or purse != "turns"):
                yield purse, limit

    def _of_purses(self) -> dict[Purse, int | None]:
        return {
            "session": self.session,
            "turns": self.session,
            "day": self.day,
            "month": self.month,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class BudgetSetting:
    """A limit as a setting."""

    scope: Scope
    help: str

    @property
    def name(self) -> str:
        return f"GPT_IMAGE_2_BUDGET_{self.scope.upper()}_USD"


TABLE: Final = (
    BudgetSetting("call", "The most that one call may cost, in dollars."),
    BudgetSetting(
        "session",
        "The most that one run of the server may spend, and that one edit session may, in dollars.",
    ),
    BudgetSetting("day", "The most that may be spent in a day, midnight to midnight UTC, in dollars."),
    BudgetSetting("month", "The most that may be spent in a calendar month, by UTC, in dollars."),
    BudgetSetting("total", "The most that may ever be spent, in dollars."),
)


def usd(micro: int) -> str:
    """Exact, so that no two amounts that differ look alike: `$5.00`, `$0.210945`."""
    text = f"{Decimal(micro).scaleb(-6):,.6f}"
    return f"${text[:-4]}{text[-4:].rstrip('0')}"


# Windows


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time after which a budget is whole again: `begins` is in it, `renews` is not."""

    begins: datetime
    renews: datetime


def day_of(moment: datetime) -> Window:
    """The day of UTC, which has 24 hours whatever the clocks on the wall do."""
    begins = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(begins, begins + timedelta(days=1))


def month_of(moment: datetime) -> Window:
    """The calendar month of UTC."""
    begins = day_of(moment).begins.replace(day=1)
    return Window(begins, (begins + timedelta(days=31)).replace(day=1))


def windows_of(moment: datetime) -> Mapping[str, Window]:
    """The windows of those purses that have one."""
    return {"day": day_of(moment), "month": month_of(moment)}


# The verdict

_WHOSE: Final[dict[Purse, str]] = {
    "session": "this server run's",
    "turns": "this edit session's",
    "day": "the day's",
    "month": "the month's",
    "total": "the total",
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limited sum and how it stands; `renews` is None where time alone brings nothing back."""

    purse: Purse
    limit: int
    charged: int
    renews: datetime | None = None

    @property
    def left(self) -> int:
        return max(self.limit - self.charged, 0)

    @property
    def scope(self) -> Scope:
        return "session" if self.purse == "turns" else self.purse

    def __str__(self) -> str:
        again = f" until {_minute(self.renews)}" if self.renews else ""
        return f"{usd(self.left)} of {_WHOSE[self.purse]} {usd(self.limit)} is left{again}"


def check_known(price: int | None, model: str, budgets: Budgets) -> None:
    """Refuse a call without a price where anything is limited.

    Raises:
        BudgetExceeded: nobody can say whether it fits.
    """
    if price is None and budgets:
        raise BudgetExceeded(
            f"What a call with {model or 'this model'} costs is not known, and a budget is set.",
            remedy=f"have {_settings(_scopes(budgets))} taken away",
        )


def check_fits(price: int, budgets: Budgets, allowances: Iterable[Allowance]) -> None:
    """Refuse a call that could cost more than one limit leaves, naming every such limit.

    Raises:
        BudgetExceeded: with the room that all limits together leave.
    """
    standing = tuple(allowances)
    over = [allowance for allowance in standing if price > allowance.left]
    dear = budgets.call is not None and price > budgets.call
    if not (over or dear):
        return
    reasons = [f"one call may cost {usd(budgets.call or 0)}"] if dear else []
    scopes: set[Scope] = {allowance.scope for allowance in over}
    if dear:
        scopes.add("call")
    room = min((allowance.left for allowance in standing), default=price)
    raise BudgetExceeded(
        f"The call can cost {usd(price)}, and {', and '.join([*reasons, *map(str, over)])}.",
        room=room if budgets.call is None else min(room, budgets.call),
        remedy=f"{_wait(price, over, dear=dear)}have {_settings(scopes)} raised",
    )


def _wait(price: int, over: list[Allowance], *, dear: bool) -> str:
    """Until when to wait, where waiting helps."""
    moments = [a.renews for a in over if a.renews and price <= a.limit]
    if dear or len(moments) < len(over):
        return ""
    return f"wait until {_minute(max(moments))}, or "


def _scopes(budgets: Budgets) -> list[Scope]:
    return [setting.scope for setting in TABLE if getattr(budgets, setting.scope) is not None]


def _settings(scopes: Iterable[Scope]) -> str:
    chosen = frozenset(scopes)
    return ", ".join(setting.name for setting in TABLE if setting.scope in chosen)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


# What was spent


@dataclass(frozen=True, slots=True)
class Tally:
    """A sum of charges, by how sure they are.

    `spent` is for finished calls, of which `estimated` is what the API did not say the cost of; `reserved` is
    held for calls under way; `unknown` is charged for calls that may have been billed. `unpriced` counts the
    calls, among `calls`, that have no known price and so are in no sum.
    """

    calls: int = 0
    spent: int = 0
    estimated: int = 0
    reserved: int = 0
    unknown: int = 0
    unpriced: int = 0

    @property
    def charged(self) -> int:
        return self.spent + self.reserved + self.unknown


@dataclass(frozen=True, slots=True)
class Period:
    """What was charged to a purse since it began; `begins` is None for one that is not of time."""

    purse: Purse
    begins: datetime | None
    tally: Tally
    limit: int | None = None
    renews: datetime | None = None

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(self.limit - self.tally.charged, 0)


@dataclass(frozen=True, slots=True)
class Rest:
    """Groups that are not told one by one, and what they are charged together."""

    groups: int = 0
    charged: int = 0


@dataclass(frozen=True, slots=True)
class Spending:
    """What the ledger says; `groups` are the charges since a day, by day, model, session or project."""

    periods: tuple[Period, ...]
    call_limit: int | None
    by: By
    since: date
    groups: tuple[tuple[str, Tally], ...]
    rest: Rest = Rest()
