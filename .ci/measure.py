"""What a release build takes to start and to idle.

    .ci/measure.py target/release/userbridge

Prints the time from exec to the first answer of a key's ping over JSON, and the resident memory of a server that idles:
after its start, and again after some requests. Fails if it idles on more than 30 MB. The time is printed only: it is
the machine's as much as the program's.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

RUNS = 5
LIMIT_MB = 30
REQUESTS = 2000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(connection, path, body):
    connection.request("POST", f"/api/external/v1/{path}", json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response.status


def first_answer(port, key, started):
    while time.monotonic() - started < 10:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            if post(connection, "ping", {"api_key": key}) == 200:
                return time.monotonic() - started
        except ConnectionError:
            pass
        finally:
            connection.close()
        time.sleep(0.001)
    raise SystemExit("no answer within 10 seconds")


def resident_mb(pid):
    time.sleep(3)
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024 / 1e6


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        database = ["--database-url", f"sqlite:{folder}/users.db"]
        quiet = os.environ | {"USERBRIDGE_LOG": "error"}

        def command(*arguments):
            output = subprocess.run([program, *arguments, *database, "--json"], stdout=subprocess.PIPE, check=True)
            return json.loads(output.stdout)

        command("org", "create", "acme")
        key = command("key", "create", "--org", "acme", "--scope", "public_api")["key"]
        command("member", "link", "--org", "acme", "--email", "sally@acme.example.com")
        times = []
        for run in range(RUNS):
            port = free_port()
            addresses = ["--http-addr", f"127.0.0.1:{port}", "--grpc-addr", "127.0.0.1:0"]
            started = time.monotonic()
            server = subprocess.Popen([program, "serve", *database, *addresses], stdout=subprocess.DEVNULL, env=quiet)
            try:
                times.append(first_answer(port, key, started))
                if run == RUNS - 1:
                    idle = resident_mb(server.pid)
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    retrieve = {"api_key": key, "email": "sally@acme.example.com"}
                    assert all(post(connection, "users/retrieve", retrieve) == 200 for _ in range(REQUESTS))
                    connection.close()
                    after = resident_mb(server.pid)
            finally:
                server.terminate()
                server.wait(timeout=60)
    times.sort()
    print(f"first answer after start: {times[RUNS // 2] * 1000:.0f} ms (median of {RUNS}; slowest {times[-1] * 1000:.0f} ms)")
    print(f"idle memory: {idle:.1f} MB after start, {after:.1f} MB after {REQUESTS} requests (limit {LIMIT_MB} MB)")
    if max(idle, after) > LIMIT_MB:
        raise SystemExit("it idles on too much memory")


main()
