"""Serves `app.py`, as `uvicorn app:app` does: PORT is where to listen on the loopback, WORKERS how many processes do."""

import os
import signal
import sys
import threading

import uvicorn


def end_with_whoever_started_it():
    """With all workers: they are processes of the same group, which this one leads."""
    sys.stdin.buffer.read()
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with_whoever_started_it, daemon=True).start()
    uvicorn.run(
        "app:app",
        port=int(os.environ.get("PORT", "8301")),
        workers=int(os.environ.get("WORKERS", "1")),
        access_log=False,
        log_level="warning",
        # On a busy machine a worker takes longer than the usual 5 seconds to import everything.
        timeout_worker_healthcheck=60,
    )
