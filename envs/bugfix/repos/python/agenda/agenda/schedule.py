"""Run jobs at their times, and share work among workers."""

from agenda.heap import Heap


class Scheduler:
    """Calls of functions at given times of a clock that only advance() moves."""

    def __init__(self, start=0):
        self.now = start
        self._heap = Heap()
        self._cancelled = set()
        self._next = 0

    def after(self, delay, action, every=None, times=None):
        """Plan an action in delay seconds, then every so many seconds, at most times times; returns a ticket."""
        if delay < 0 or (every is not None and every <= 0):
            raise ValueError("delay must not be negative, and every must be positive")
        ticket = self._next
        self._next += 1
        self._heap.push((ticket, action, every, times), self.now + delay)
        return ticket

    def cancel(self, ticket):
        """Never again run what a ticket stands for."""
        self._cancelled.add(ticket)

    def advance(self, seconds):
        """Move the clock and run everything that is due, in order of time; returns what the actions returned."""
        end = self.now + seconds
        results = []
        while len(self._heap) > 0:
            (ticket, action, every, times), due = self._heap.peek()
            if due > end:
                break
            self._heap.pop()
            if ticket in self._cancelled:
                continue
            self.now = due
            results.append(action())
            left = None if times is None else times - 1
            if every is not None and (left is None or left > 0):
                self._heap.push((ticket, action, every, left), due + every)
        self.now = end
        return results


def assign(costs, workers):
    """Share jobs among workers: the most expensive first, always to whoever has least; returns job numbers per worker.

    Of workers with equal loads the one with the lower number takes the job; of equal jobs the earlier goes first.
    """
    if workers < 1:
        raise ValueError("needs at least one worker")
    order = sorted(range(len(costs)), key=lambda job: (-costs[job], job))
    loads = [0] * workers
    shares = [[] for _ in range(workers)]
    for job in order:
        worker = min(range(workers), key=lambda number: (loads[number], number))
        loads[worker] += costs[job]
        shares[worker].append(job)
    return shares
