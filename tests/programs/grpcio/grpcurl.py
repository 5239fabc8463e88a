"""grpcurl's command line, as far as README.md and `serve --demo` use it, on grpcio and server reflection (v1alpha).

    grpcurl.py -plaintext [-H 'name: value']... [-d JSON] ADDRESS list [SERVICE]
    grpcurl.py -plaintext [-H 'name: value']... [-d JSON] ADDRESS describe SYMBOL
    grpcurl.py -plaintext [-H 'name: value']... [-d JSON] ADDRESS SERVICE/METHOD

No generated code: messages are built from what the server says of itself. A call that fails prints the code, the
message and the details as grpcurl does and exits with 64 plus the code. Details that the server's reflection does not
know stay base64.
"""

import argparse
import base64
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SECONDS = 10


def arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("address")
    parser.add_argument("verb_or_method")
    parser.add_argument("symbol", nargs="?")
    return parser.parse_args()


def metadata(headers):
    pairs = (header.split(":", 1) for header in headers)
    return [(name.strip().lower(), value.strip()) for name, value in pairs]


def list_names(database, pool, service):
    if service is None:
        return sorted(database.get_services())
    found = pool.FindServiceByName(service)
    return [f"{service}.{method.name}" for method in found.methods]


def describe(pool, symbol):
    """The descriptor in protobuf's text form: not grpcurl's words, but the same facts."""
    for find, proto in (
        (pool.FindServiceByName, descriptor_pb2.ServiceDescriptorProto),
        (pool.FindMessageTypeByName, descriptor_pb2.DescriptorProto),
    ):
        try:
            found = find(symbol)
        except KeyError:
            continue
        copy = proto()
        found.CopyToProto(copy)
        return f"# {found.file.name}\n{copy}"
    raise SystemExit(f"no such symbol: {symbol}")


def call(channel, pool, name, data, headers):
    service, method = name.rsplit("/", 1)
    found = pool.FindServiceByName(service).FindMethodByName(method)
    request_type = message_factory.GetMessageClass(found.input_type)
    response_type = message_factory.GetMessageClass(found.output_type)
    invoke = channel.unary_unary(
        f"/{service}/{method}",
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    response = invoke(json_format.Parse(data, request_type()), metadata=headers, timeout=SECONDS)
    return json_format.MessageToJson(response)


def details(pool, error):
    """Each detail of a failed call as JSON: its fields where the server can say what they are."""
    packed = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if packed is None:
        return
    status = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))
    for detail in status.FromString(packed).details:
        shown = {"@type": detail.type_url}
        try:
            found = pool.FindMessageTypeByName(detail.type_url.rsplit("/", 1)[1])
        except KeyError:
            shown["@value"] = base64.b64encode(detail.value).decode()
        else:
            message = message_factory.GetMessageClass(found).FromString(detail.value)
            shown.update(json_format.MessageToDict(message))
        yield json.dumps(shown)


def main():
    args = arguments()
    with grpc.insecure_channel(args.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        if args.verb_or_method == "list":
            print("\n".join(list_names(database, pool, args.symbol)))
        elif args.verb_or_method == "describe":
            print(describe(pool, args.symbol))
        else:
            try:
                print(call(channel, pool, args.verb_or_method, args.data, metadata(args.headers)))
            except grpc.RpcError as error:
                print("ERROR:", file=sys.stderr)
                print(f"  Code: {error.code().name}", file=sys.stderr)
                print(f"  Message: {error.details()}", file=sys.stderr)
                print("  Details:", file=sys.stderr)
                for number, detail in enumerate(details(pool, error), 1):
                    print(f"  {number})\t{detail}", file=sys.stderr)
                raise SystemExit(64 + error.code().value[0]) from None


main()
