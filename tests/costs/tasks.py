"""The costs of Dask, whatever its tasks do."""

from __future__ import annotations

import tempfile
import time


def tasks() -> dict[str, float]:
    """Return Dask's CPU seconds for each task, of client and scheduler, which are one process, and of a worker; and for
    each second in which nothing is done.
    """
    from distributed import Client

    from async_loader.modes.dask.local import processes

    several, text, pause = 2000, b"x" * 8192, 5
    cluster = processes(1, tempfile.gettempdir())
    try:
        with Client(cluster) as client:

            def both() -> tuple[float, float]:
                return time.process_time(), sum(client.run(time.process_time).values())

            client.submit(len, text, pure=False).result()
            began = both()
            client.gather([client.submit(len, text, pure=False) for _ in range(several)])
            done = both()
            time.sleep(pause)
            rested = both()
    finally:
        cluster.close()
    return {
        "task": (done[0] - began[0]) / several,
        "task_worker": (done[1] - began[1]) / several,
        "idle": (rested[0] - done[0]) / pause,
        "idle_worker": (rested[1] - done[1]) / pause,
    }
