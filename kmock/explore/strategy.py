"""Who chooses what runs next: at random, by random priorities, exhaustively, or as a schedule says."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kmock.explore.schedule import Switch


class Choice(NamedTuple):
    """One decision, as a strategy sees it."""

    flow: int
    """What ran until now, or what an interrupt is for."""
    decision: int
    """Ordinal of the decision among those that concern that flow."""
    options: Sequence[str]
    """What may follow, as schedules name it; the first follows if nobody objects."""
    preempts: bool
    """Whether the first option is to let ``flow`` go on, so that any other interrupts it."""
    yields: bool
    """Whether ``flow`` could go on, but gives way."""


class Strategy:
    """Decides nothing: every run takes its natural course. Base of those that do."""

    def begin(self) -> bool:
        """Prepare for the next run; False if there is none left that would be different."""
        return True

    def choose(self, choice: Choice) -> int:
        """Return which of the options it is to be."""
        return 0

    def end(self) -> None:
        """The run is over."""


class Replay(Strategy):
    """Does what a schedule says; what can't be done any more, it leaves out."""

    def __init__(self, switches: Iterable[Switch]) -> None:
        self._targets = {(switch.flow, switch.decision): switch.to for switch in switches}

    def choose(self, choice: Choice) -> int:
        """As the schedule has it."""
        to = self._targets.get((choice.flow, choice.decision))
        return choice.options.index(to) if to in choice.options else 0


class RandomWalk(Strategy):
    """Every option is as likely as the others."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def choose(self, choice: Choice) -> int:
        """Throw dice."""
        return self._random.randrange(len(choice.options))


class Pct(Strategy):
    """Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010).

    Flows have random priorities and the highest runs; at ``preemptions`` random moments what runs gets the lowest. A bug
    that takes d such moments shows with a probability of at least 1 / (flows * steps ** d).
    """

    FIRST_GUESS = 64
    """How many decisions the first run is expected to take; later ones are expected to be as long as the longest."""

    def __init__(self, seed: int, preemptions: int) -> None:
        self._random = Random(seed)
        self._preemptions = preemptions
        self._longest = 0
        self._taken = 0
        self._changes: set[int] = set()
        self._priorities: defaultdict[str, float] = defaultdict(self._random.random)
        self._lowest = 0

    def begin(self) -> bool:
        """Draw the moments of change; flows draw their priorities when they are first met."""
        expected = range(1, max(self._longest, self.FIRST_GUESS if not self._longest else 1) + 1)
        self._changes = set(self._random.sample(expected, min(self._preemptions, len(expected))))
        self._priorities.clear()
        self._taken = self._lowest = 0
        return True

    def choose(self, choice: Choice) -> int:
        """The option of the highest priority."""
        self._taken += 1
        if self._taken in self._changes or choice.yields:
            # Who yields has to let the others go on, or a loop that waits for them would never end.
            self._lowest -= 1
            self._priorities[str(choice.flow)] = self._lowest
        return max(range(len(choice.options)), key=lambda n: self._priorities[choice.options[n]])

    def end(self) -> None:
        """Learn how long a run is."""
        self._longest = max(self._longest, self._taken)


class Exhaustive(Strategy):
    """Every schedule with at most ``preemptions`` preemptions, once; those with fewer come first.

    Iterative context bounding (Musuvathi and Qadeer, PLDI 2007), without state: each run follows a prefix of choices
    and then takes its course, and every other choice on its way is the prefix of a run to come.
    """

    def __init__(self, preemptions: int) -> None:
        self._todo: list[list[tuple[int, ...]]] = [[()], *([] for _ in range(preemptions))]
        """Prefixes to follow, by how many preemptions they take."""
        self._prefix: tuple[int, ...] = ()
        self._taken: list[int] = []
        self._cost = 0

    def begin(self) -> bool:
        """Take up the next prefix."""
        cost = next((cost for cost, prefixes in enumerate(self._todo) if prefixes), None)
        if cost is None:
            return False
        self._prefix = self._todo[cost].pop()
        self._taken, self._cost = [], 0
        return True

    def choose(self, choice: Choice) -> int:
        """Follow the prefix, then take the first option and note the others."""
        at = len(self._taken)
        if at < len(self._prefix):
            chosen = self._prefix[at]
        else:
            chosen = 0
            cost = self._cost + choice.preempts
            if cost < len(self._todo):
                way = tuple(self._taken)
                self._todo[cost] += [(*way, other) for other in range(len(choice.options) - 1, 0, -1)]
        self._cost += choice.preempts and chosen > 0
        self._taken.append(chosen)
        return chosen

    @property
    def left(self) -> int:
        """Prefixes that are known and not taken up yet."""
        return sum(map(len, self._todo))


STRATEGIES = ("pct", "random", "exhaustive")


def strategy_for(name: str, seed: int, preemptions: int) -> Strategy:
    """Return the strategy of that name."""
    if name == "exhaustive":
        return Exhaustive(preemptions)
    return Pct(seed, preemptions) if name == "pct" else RandomWalk(seed)
