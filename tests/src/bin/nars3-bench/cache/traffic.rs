//! What a command asks of the server, and how much it gets: counted by MinIO, for both tools alike.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::measure::{self, Cost};

/// What has gone to and fro.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    /// Requests to S3.
    pub(super) requests: u64,
    /// Bytes that the server has sent, headers and all.
    pub(super) received: u64,
}

/// A command, measured at both ends.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) cost: Cost,
    pub(super) traffic: Traffic,
}

/// Runs a command, which must succeed and is the only client of `server`.
pub(super) fn measure(server: &str, command: &mut Command) -> Result<Measured> {
    let before = counted(server)?;
    let cost = measure::measure(command)?;
    let after = counted(server)?;
    let traffic =
        Traffic { requests: after.requests - before.requests, received: after.received - before.received };
    Ok(Measured { cost, traffic })
}

/// What MinIO has counted since it started.
fn counted(server: &str) -> Result<Traffic> {
    let mut socket = TcpStream::connect(server).with_context(|| format!("cannot reach {server}"))?;
    write!(socket, "GET /minio/metrics/v3/api/requests HTTP/1.0\r\nHost: {server}\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    ensure!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "no metrics: {text}");
    Ok(Traffic {
        requests: sum(&text, "minio_api_requests_total{"),
        received: sum(&text, "minio_api_requests_traffic_sent_bytes{"),
    })
}

/// The sum over all labels of a metric.
fn sum(text: &str, metric: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(metric));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let text =
            "# HELP a b\na{type=\"s3\",name=\"x\"} 1\na{type=\"s3\",name=\"y\"} 2e+03\nab{type=\"s3\"} 7\n";
        assert_eq!(sum(text, "a{"), 2001);
        assert_eq!(sum(text, "b{"), 0);
    }
}
