# The built-in one puts tasks in order by the host's clock; this one by the board's.
from time import ticks_ms

_core = None


class TaskQueue:
    def __init__(self):
        self.q = []

    def peek(self):
        return self.q[0] if self.q else None

    def push(self, task, key=None):
        task.data = None
        task.ph_key = key = ticks_ms() if key is None else key
        q = self.q
        i = len(q)
        # Behind everything that is due no later, so that equal times run in order of arrival.
        while i and (key - q[i - 1].ph_key + 0x20000000 & 0x3FFFFFFF) < 0x20000000:
            i -= 1
        q.insert(i, task)

    def pop(self):
        return self.q.pop(0)

    def remove(self, task):
        self.q.remove(task)


class Task:
    def __init__(self, coro, context=None):
        global _core
        self.coro = coro
        self.data = None
        self.state = (
            True  # True: runs; TaskQueue: tasks wait for it; None, False: done, not yet awaited or awaited
        )
        self.ph_key = 0
        if context is not None:
            _core = context

    def done(self):
        return not self.state

    def cancel(self):
        if not self.state:
            return False
        if self is _core["cur_task"]:
            raise RuntimeError("can't cancel self")
        # What the innermost awaited task waits for is what has to end.
        while isinstance(self.data, Task):
            self = self.data
        run = _core["_task_queue"]
        if hasattr(self.data, "remove"):
            self.data.remove(self)
            run.push(self)
        elif (self.ph_key - ticks_ms() - 1 & 0x3FFFFFFF) < 0x20000000:
            run.remove(self)
            run.push(self)
        self.data = _core["CancelledError"]
        return True

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif type(self.state) is not TaskQueue:
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        me = _core["cur_task"]
        self.state.push(me)
        me.data = self
