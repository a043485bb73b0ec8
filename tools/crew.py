"""Threads that each repeat a step for as long as a `with` lasts."""
import threading


class Crew:
    """steps: one for each thread. What a step raises ends its thread, and is raised at the end of the `with`."""

    def __init__(self, steps):
        self.stop = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self._run, args=(step,)) for step in steps]

    def _run(self, step):
        try:
            while not self.stop.is_set():
                step()
        except Exception as error:
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
