//! The targets: what the numbers of a run are held against.

use crate::{
    baselines::Baseline,
    peers::Peer,
    report::{Report, Sample, Target, quotient},
    workloads::{
        ALONE, AT_LARGE, AT_SMALL, BESIDE_PEERS, DELETE, DELETE_BESIDE_PEERS, DELETERS, GRPC_BY_SIZE, IMPORT,
        IN_GROUPS, JSON_BY_SIZE, MANY, ONE_BY_ONE, OTHERS, OURS, PGBENCH, Protocol, UNDISTURBED, WARM,
    },
};

/// Name, callers and server of a workload.
type Name<'a> = (&'a str, usize, &'a str);

type Number = fn(&Sample) -> Option<f64>;

const THROUGHPUT: Number = |sample| Some(sample.per_second);
const LATENCY: Number = |sample| sample.p50;
const TAIL: Number = |sample| sample.p99;
const CPU: Number = |sample| sample.cpu;

/// Holds what was measured against the targets.
pub(crate) fn judge(report: &mut Report) {
    let json = |callers, server| (Protocol::Json.retrieve(), callers, server);
    let grpc = |callers, server| (Protocol::Grpc.retrieve(), callers, server);
    let delete = |server| (DELETE, DELETERS, server);
    compare(
        report,
        "JSON retrieve, 128 clients, against the bare axum echo",
        THROUGHPUT,
        [json(MANY, OURS), json(MANY, Baseline::Axum.label())],
        Target::AtLeast(0.5),
    );
    compare(
        report,
        "gRPC retrieve, 128 clients, against the bare tonic echo",
        THROUGHPUT,
        [grpc(MANY, OURS), grpc(MANY, Baseline::Tonic.label())],
        Target::AtLeast(0.7),
    );
    compare(
        report,
        "gRPC retrieve, 1 client, median latency against a plain pool",
        LATENCY,
        [grpc(1, OURS), grpc(1, Baseline::PlainPool.label())],
        Target::AtMost(1.1),
    );
    compare(
        report,
        "JSON retrieve, CPU against gRPC direct, 128 clients",
        CPU,
        [json(MANY, OURS), grpc(MANY, OURS)],
        Target::AtMost(1.6),
    );
    compare(
        report,
        "durable delete, 64 clients, group commit against one transaction each",
        THROUGHPUT,
        [delete(OURS), delete(ONE_BY_ONE)],
        Target::AtLeast(6.0),
    );
    compare(
        report,
        "durable delete, 64 clients, against SQLite alone in groups of 64",
        THROUGHPUT,
        [delete(OURS), delete(IN_GROUPS)],
        Target::AtLeast(0.8),
    );
    compare(
        report,
        "JSON retrieve, 10,000,000 members against 10,000",
        THROUGHPUT,
        [(JSON_BY_SIZE, MANY, AT_LARGE), (JSON_BY_SIZE, MANY, AT_SMALL)],
        Target::AtLeast(0.8),
    );
    compare(
        report,
        "gRPC retrieve, 10,000,000 members against 10,000",
        THROUGHPUT,
        [(GRPC_BY_SIZE, MANY, AT_LARGE), (GRPC_BY_SIZE, MANY, AT_SMALL)],
        Target::AtLeast(0.8),
    );
    tail(
        report,
        "JSON p99 against p50 at half of capacity, open loop",
        Protocol::Json,
    );
    tail(
        report,
        "gRPC p99 against p50 at half of capacity, open loop",
        Protocol::Grpc,
    );
    compare(
        report,
        "JSON retrieve while a bulk import runs, against undisturbed",
        THROUGHPUT,
        [(IMPORT, MANY, OURS), (IMPORT, MANY, ALONE)],
        Target::AtLeast(0.5),
    );
    let peak = median(report, (GRPC_BY_SIZE, MANY, AT_LARGE)).and_then(|sample| sample.peak);
    report.goal(
        "peak resident memory under load, 10,000,000 members, MiB",
        peak,
        Target::Under(200.0),
    );
    judge_peers(report);
    compare(
        report,
        "JSON retrieve, p99 beside one who reads from the disk, against undisturbed",
        TAIL,
        [(WARM, OTHERS, OURS), (WARM, OTHERS, UNDISTURBED)],
        Target::AtMost(2.0),
    );
}

fn judge_peers(report: &mut Report) {
    for (what, connections, target) in [
        (
            "JSON retrieve, 1 connection, against Fastify with one worker",
            1,
            1.2,
        ),
        (
            "JSON retrieve, 8 connections, against Fastify with two workers",
            8,
            1.4,
        ),
        (
            "JSON retrieve, 32 connections, against Fastify with two workers",
            32,
            2.0,
        ),
        (
            "JSON retrieve, 128 connections, against Fastify with two workers",
            MANY,
            2.0,
        ),
    ] {
        let server = |server| (BESIDE_PEERS, connections, server);
        let peer = Peer::to_beat(connections).label();
        compare(
            report,
            what,
            THROUGHPUT,
            [server(OURS), server(peer)],
            Target::AtLeast(target),
        );
    }
    let delete = |server| (DELETE_BESIDE_PEERS, DELETERS, server);
    let sides = [delete(OURS), delete(Peer::Fastify1.label())];
    compare(
        report,
        "durable delete, 64 connections, against Fastify",
        THROUGHPUT,
        sides,
        Target::AtLeast(2.5),
    );
    compare(
        report,
        "durable delete, 64 connections, p99 against Fastify's",
        TAIL,
        sides,
        Target::AtMost(1.0),
    );
}

/// Holds what was measured on PostgreSQL against its targets.
pub(crate) fn judge_postgres(report: &mut Report) {
    let json = |server| (Protocol::Json.retrieve(), MANY, server);
    let grpc = |server| (Protocol::Grpc.retrieve(), 1, server);
    let plain = Baseline::PostgresPool.label();
    compare(
        report,
        "JSON retrieve, 128 clients, against a plain pool",
        THROUGHPUT,
        [json(OURS), json(plain)],
        Target::AtLeast(2.0),
    );
    compare(
        report,
        "JSON retrieve, 128 clients, against the rows a second of pgbench",
        THROUGHPUT,
        [json(OURS), json(PGBENCH)],
        Target::AtLeast(1.0),
    );
    compare(
        report,
        "gRPC retrieve, 1 client, median latency against a plain pool",
        LATENCY,
        [grpc(OURS), grpc(plain)],
        Target::AtMost(1.2),
    );
    compare(
        report,
        "durable delete, 64 clients, made together against one transaction each",
        THROUGHPUT,
        [(DELETE, DELETERS, OURS), (DELETE, DELETERS, ONE_BY_ONE)],
        Target::AtLeast(2.0),
    );
}

fn compare(report: &mut Report, what: &'static str, number: Number, sides: [Name<'_>; 2], target: Target) {
    let sides = sides.map(|side| report.rounds(side));
    let measured = match sides {
        [Some(one), Some(other)] => quotient(one, other, number),
        _ => None,
    };
    report.goal(what, measured, target);
}

fn tail(report: &mut Report, what: &'static str, protocol: Protocol) {
    let measured =
        median(report, (protocol.open(), MANY, OURS)).and_then(|sample| Some(sample.p99? / sample.p50?));
    report.goal(what, measured, Target::Under(10.0));
}

fn median(report: &Report, workload: Name<'_>) -> Option<Sample> {
    report.rounds(workload).and_then(Sample::median)
}
