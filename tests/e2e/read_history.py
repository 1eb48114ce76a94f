"""read_history - what clients read and wrote, noted with times, and judged: was anything read that
was certainly overwritten?

Each record of a collection is a register: a write puts a value that no other write puts, a read
returns one. Times are of one clock. A write takes effect somewhere between its beginning and its
end; one without a good answer has no end, and takes effect at the latest when somebody has read its
value. A read is stale if another write began after the one that it returns had taken effect, and
had taken effect itself before the read began.

The number of records in a collection to which clients only add is judged likewise.
"""

import bisect
import math

INITIAL = 0  # the value of a register that nobody has written


class Register:
    def __init__(self):
        self.begins = {INITIAL: -math.inf}
        self.effects = {INITIAL: -math.inf}  # the latest moments at which they took effect
        self.reads = []

    def judge(self):
        faults = []
        for value, began, ended in self.reads:
            if value in self.effects:
                self.effects[value] = min(self.effects[value], ended)
        moments = sorted((moment, self.begins[value]) for value, moment in self.effects.items())
        times, latest = [moment for moment, _ in moments], []
        for _, begin in moments:
            latest.append(max(begin, latest[-1] if latest else -math.inf))
        for value, began, ended in self.reads:
            if value not in self.effects:
                faults.append(f"{value} was never written")
            elif self.begins[value] > ended:
                faults.append(f"{value} was read before it was written")
            else:
                before = bisect.bisect_left(times, began)
                if before and latest[before - 1] > self.effects[value]:
                    faults.append(f"{value} was read at {began}, when it was overwritten")
        return faults


class Count:
    def __init__(self):
        self.adds = []
        self.reads = []

    def judge(self):
        faults = []
        begins = sorted(began for began, _ in self.adds)
        ends = sorted(ended for _, ended in self.adds)
        reads = sorted((ended, value) for value, _, ended in self.reads)
        times, most = [ended for ended, _ in reads], []
        for _, value in reads:
            most.append(max(value, most[-1] if most else 0))
        for value, began, ended in self.reads:
            before = bisect.bisect_left(times, began)
            least = max(bisect.bisect_left(ends, began), most[before - 1] if before else 0)
            if not least <= value <= bisect.bisect_right(begins, ended):
                faults.append(f"a count of {value} at {began}, when there were {least} at least")
        return faults


class History:
    """Of many clients, in any order."""

    def __init__(self):
        self.registers, self.counts = {}, {}
        self.reads = self.hits = self.writes = self.unanswered = 0

    def write(self, where, value, began, ended, is_good):
        register = self.registers.setdefault(where, Register())
        register.begins[value] = began
        register.effects[value] = ended if is_good else math.inf
        self.writes += 1
        self.unanswered += not is_good

    def read(self, where, value, began, ended):
        self.registers.setdefault(where, Register()).reads.append((value, began, ended))

    def add(self, where, began, ended, is_good):
        self.counts.setdefault(where, Count()).adds.append((began, ended if is_good else math.inf))
        self.writes += 1

    def count(self, where, value, began, ended):
        self.counts.setdefault(where, Count()).reads.append((value, began, ended))

    def judge(self):
        """What is wrong, in words; nothing if all can have been so."""
        every = {**self.registers, **{("count", where): each for where, each in self.counts.items()}}
        return [f"{where}: {fault}" for where, each in every.items() for fault in each.judge()]
