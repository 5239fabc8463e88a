"""Asks grpc.health.v1 about the server and each service named, and prints the answers as one JSON object.

    health.py ADDRESS [SERVICE ...]
"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def ask(stub, service):
    try:
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    except grpc.RpcError as error:
        return error.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


address, *services = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    stub = health_pb2_grpc.HealthStub(channel)
    print(json.dumps({service: ask(stub, service) for service in ["", *services]}))
