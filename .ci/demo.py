"""Runs the command that starts the demo, waits for the requests it prints, pastes the first, and stops it.

    .ci/demo.py 'cargo run --release -- serve --demo'

It listens on free ports, so that it works where something else has the usual ones.
"""

import os
import signal
import subprocess
import sys

command = sys.argv[1]
free = {"USERBRIDGE_GRPC_ADDR": "127.0.0.1:0", "USERBRIDGE_HTTP_ADDR": "127.0.0.1:0", "USERBRIDGE_LOG": "error"}
server = subprocess.Popen(
    # `exec`: the signal is for the program, not for a shell around it.
    ["bash", "-c", f"exec {command}"],
    env=os.environ | free,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    text=True,
    start_new_session=True,
)
try:
    request = []
    for line in server.stdout:
        print(line, end="")
        if request or "curl -X POST" in line:
            request.append(line)
            if not line.rstrip().endswith("\\"):
                break
    answer = subprocess.run(["bash", "-c", "".join(request)], stdout=subprocess.PIPE, text=True, check=True).stdout
    print(answer)
    assert '"email":"sally@acme.example.com"' in answer, answer
finally:
    os.killpg(server.pid, signal.SIGTERM)
    server.stdout.close()
    code = server.wait(timeout=60)
assert code == 0, f"{command} ended with {code}"
