//! How many jobs a second go from submit to result, beside the floor: what raw JetStream takes with the same disk, the
//! same durability and no HTTP, in the same run. Compare the ratios; bare figures of two machines say nothing.

mod alerts;
mod floor;
mod latency;
mod load;

use std::time::Duration;

use clap::Parser;
use harness::cluster::Cluster;
use harness::provider::Provider;

/// Measures jobs a second, and the raw JetStream floor beside them.
#[derive(Parser)]
pub(crate) struct Options {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Clients that submit at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Job slots of the worker.
    #[arg(long, default_value = "512")]
    slots: String,
    /// Streamed calls a second, straight and through the gateway each, whose latencies are compared.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Measure nothing but the time from a breaker's opening to the operator's message, of this many breakers.
    #[arg(long, default_value_t = 0)]
    breakers: usize,
    /// Seconds between two of them. Telling one, and its end, takes some: a group's limit of 20 messages a minute sets
    /// the pace.
    #[arg(long, default_value_t = 20.0)]
    every: f64,
    /// A setting of every process in that measurement, for example TELEGRAM__GROUP_WAIT=0s.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    if options.breakers > 0 {
        return tell_breakers(&options).await;
    }
    let seconds = Duration::from_secs(options.seconds);
    let provider = Provider::start("direct").await;
    let plan = Cluster::plan().provider(&provider).set("WORKER__SLOTS", &options.slots).set("LOG__LEVEL", "warn");
    let cluster = plan.start().await;
    let client = cluster.nats.client().await;
    println!("{:<44}{:>10}", "raw JetStream, acknowledged messages a second", "");
    let single = floor::singly(&client, options.clients, seconds).await;
    println!("{:<44}{single:>10.0}", "  singly, one fsync each");
    let batched = floor::batched(&client, 64, seconds).await;
    println!("{:<44}{batched:>10.0}", "  in atomic batches of 64");
    let lone = load::lone(&cluster.api(), 200).await;
    println!("one client at a time, submit to result, ms\n  p50 {:.2}, p99 {:.2}", lone.p50, lone.p99);
    let crowd = load::crowd(&cluster, options.clients, seconds).await;
    println!("{} clients", options.clients);
    println!("{:<44}{:>10.0}{:>8.2} of the floor", "  jobs accepted a second", crowd.accepted, crowd.accepted / single);
    println!(
        "{:<44}{:>10.0}{:>8.2} of the floor",
        "  jobs completed a second",
        crowd.completed,
        crowd.completed / single
    );
    println!("a job writes three messages: its own, its claim and its result");
    let [straight, through] = latency::both(&cluster, &provider, options.rate, seconds).await;
    println!("{} streamed calls a second each way, ms{:>12}{:>12}{:>12}", options.rate, "straight", "through", "added");
    for (what, straight, through) in
        [("first token", &straight.first, &through.first), ("whole answer", &straight.whole, &through.whole)]
    {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (straight, through) = (latency::quantile(straight, share), latency::quantile(through, share));
            let added = through - straight;
            println!("  {:<36}{straight:>12.2}{through:>12.2}{added:>12.2}", format!("{what}, {name}"));
        }
    }
}

async fn tell_breakers(options: &Options) {
    let seconds = alerts::breakers(options.breakers, Duration::from_secs_f64(options.every), &options.set).await;
    let [p50, p99] = [0.5, 0.99].map(|share| latency::quantile(&seconds, share));
    let longest = seconds.last().copied().unwrap_or(f64::NAN);
    println!("from a breaker's opening to the operator's message, seconds, {} breakers", options.breakers);
    println!("  p50 {p50:.2}, p99 {p99:.2}, longest {longest:.2}");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average at the end: {}", load.trim());
}
