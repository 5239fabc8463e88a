//! The process and the program, as Prometheus names them everywhere.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

pub(super) fn register(registry: &mut Registry) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry
        .sub_registry_with_prefix("userbridge")
        .register("build", "The program", Info::new(version));
    registry.register_collector(Box::new(Process));
}

/// The process, read from `/proc` when somebody looks. On other systems, and where that can't be read, there is nothing.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else {
            return Ok(());
        };
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let value = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, unit, value.metric_type())?;
            value.encode(metric)
        };
        if let Ok(files) = process.fd_count() {
            gauge("process_open_fds", "Open file descriptors", None, float(files))?;
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            gauge(
                "process_max_fds",
                "The most file descriptors that may be open",
                None,
                float(most),
            )?;
        }
        let Ok(stat) = process.stat() else {
            return Ok(());
        };
        let bytes = Some(&Unit::Bytes);
        gauge(
            "process_resident_memory",
            "Memory that is in use",
            bytes,
            float(stat.rss * procfs::page_size()),
        )?;
        gauge(
            "process_virtual_memory",
            "Memory that is mapped",
            bytes,
            float(stat.vsize),
        )?;
        gauge("process_threads", "Threads", None, float(stat.num_threads))?;
        let ticks = float(procfs::ticks_per_second());
        if let Ok(boot) = procfs::boot_time_secs() {
            gauge(
                "process_start_time",
                "When the process began, since 1970",
                Some(&Unit::Seconds),
                float(boot) + float(stat.starttime) / ticks,
            )?;
        }
        let cpu = ConstCounter::new(float(stat.utime + stat.stime) / ticks);
        let metric = encoder.encode_descriptor(
            "process_cpu",
            "Time that processors have worked for the process",
            Some(&Unit::Seconds),
            cpu.metric_type(),
        )?;
        cpu.encode(metric)
    }
}

/// As metrics have it.
#[expect(clippy::cast_precision_loss, reason = "a graph shows no more digits")]
fn float(value: impl TryInto<i64>) -> f64 {
    value.try_into().unwrap_or(i64::MAX) as f64
}
