//! Figures of a daemon for Prometheus: counts, sizes and times that are public or the party's own.
//! No text of a query, no name of a user or column, no value.

use super::admission::Admission;
use super::jobs::User;
use crate::failure::{Cause, Failure};
use crate::messages::VERSION;
use crate::request::{Stats, peak_rss_bytes};
use crate::worker::Workers;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper ends of the histogram of query times, in seconds.
const SECONDS: [f64; 10] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0];

/// One daemon's figures; nothing in the process shares them.
pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(super) fn new(federation: &str, party: &str) -> Self {
        let builder = PrometheusBuilder::new()
            .add_global_label("federation", federation)
            .add_global_label("party", party);
        // Only an empty list is refused.
        let builder = builder.set_buckets(&SECONDS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        metrics.with(describe);
        metrics
    }

    /// A query has ended after so many seconds.
    pub(super) fn ended(&self, user: &User, outcome: Result<&Stats, &Failure>, seconds: f64) {
        let role = match user {
            User::Operator | User::Analyst(_) => "asks",
            User::Party(_) => "takes part",
        };
        let ending = match outcome {
            Ok(_) => "answered",
            Err(failure) => ending(failure.cause),
        };
        self.with(|| {
            counter!("senate_queries_total", "role" => role, "outcome" => ending).increment(1);
            histogram!("senate_query_seconds", "role" => role).record(seconds);
            if let Ok(stats) = outcome {
                counter!("senate_and_gates_total").increment(stats.and_gates);
            }
        });
    }

    /// A session of this party has sent so many bytes.
    pub(super) fn sent(&self, bytes: u64) {
        self.with(|| counter!("senate_sent_bytes_total").increment(bytes));
    }

    /// A connection was refused before it could ask for anything.
    pub(super) fn refused_connection(&self) {
        self.with(|| counter!("senate_refused_connections_total").increment(1));
    }

    /// Everything in Prometheus' text format.
    pub(super) fn render(
        &self,
        admission: &Admission,
        workers: &Workers,
        draining: bool,
    ) -> String {
        let (load, limits) = (admission.load(), admission.limits());
        self.with(|| {
            gauge!("senate_build_info", "version" => VERSION).set(1.0);
            gauge!("senate_draining").set(f64::from(u8::from(draining)));
            gauge!("senate_queries_running").set(load.running as f64);
            gauge!("senate_queries_queued").set(load.queued as f64);
            gauge!("senate_admitted_memory_bytes").set(load.used.memory_bytes as f64);
            gauge!("senate_limit_memory_bytes").set(limits.memory.0 as f64);
            gauge!("senate_admitted_triples").set(load.used.triples as f64);
            gauge!("senate_limit_triples").set(limits.triples as f64);
            gauge!("senate_peak_memory_bytes").set(peak_rss_bytes() as f64);
            if let Some(count) = workers.count() {
                gauge!("senate_workers_free").set(count.free as f64);
                gauge!("senate_workers_local").set(count.local as f64);
                gauge!("senate_workers_remote").set(count.remote as f64);
            }
        });
        self.handle.run_upkeep();
        self.handle.render()
    }

    fn with(&self, record: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, record);
    }
}

fn ending(cause: Cause) -> &'static str {
    match cause {
        Cause::Unexpected => "unexpected",
        Cause::Usage | Cause::Unsupported => "usage",
        Cause::Refused => "refused",
        Cause::Lost => "lost",
        Cause::Aborted => "aborted",
        Cause::Input => "input",
        Cause::Interrupted => "cancelled",
    }
}

fn describe() {
    describe_counter!("senate_queries_total", "Queries that have ended, by role and outcome");
    describe_histogram!("senate_query_seconds", Unit::Seconds, "Time from request to end");
    describe_counter!("senate_and_gates_total", "AND gates of the queries that were answered");
    describe_counter!(
        "senate_sent_bytes_total",
        Unit::Bytes,
        "Bytes sent by this party's sessions"
    );
    describe_counter!("senate_refused_connections_total", "Connections refused at the handshake");
    describe_gauge!("senate_build_info", "Version of the binary");
    describe_gauge!("senate_draining", "1 while no new query is begun");
    describe_gauge!("senate_queries_running", "Queries that have room");
    describe_gauge!("senate_queries_queued", "Queries that wait for room");
    describe_gauge!("senate_admitted_memory_bytes", Unit::Bytes, "Predicted memory of what runs");
    describe_gauge!("senate_limit_memory_bytes", Unit::Bytes, "Limit of the same");
    describe_gauge!("senate_admitted_triples", "Predicted AND triples of what runs");
    describe_gauge!("senate_limit_triples", "Limit of the same");
    describe_gauge!("senate_peak_memory_bytes", Unit::Bytes, "Peak resident memory so far");
    describe_gauge!("senate_workers_free", "Session workers that wait for a session");
    describe_gauge!("senate_workers_local", "Session workers that this daemon has started");
    describe_gauge!("senate_workers_remote", "Session workers that were started elsewhere");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    #[test]
    fn endings_and_loads_are_counted_per_daemon() {
        let (metrics, other) = (Metrics::new("study", "a"), Metrics::new("study", "b"));
        let stats = Stats { and_gates: 7, ..Stats::default() };
        metrics.ended(&User::Operator, Ok(&stats), 0.2);
        metrics.ended(&User::Party("b".to_owned()), Err(&Failure::lost("gone")), 2.0);
        let admission = Admission::new(Limits::default(), Workers::none());
        let text = metrics.render(&admission, &Workers::none(), true);
        for line in [
            "senate_and_gates_total{federation=\"study\",party=\"a\"} 7",
            "role=\"takes part\",outcome=\"lost\"} 1",
            "senate_draining{federation=\"study\",party=\"a\"} 1",
            "senate_queries_running{federation=\"study\",party=\"a\"} 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!other.render(&admission, &Workers::none(), false).contains("outcome"));
    }
}
