//! Three servers of the broker, every stream on all three: processes are restarted one after the other, and the leader is
//! killed, both under load. Clients notice a retry at most.

mod load;
mod three;

use std::time::Instant;

use harness::wait::{check, until};
use load::Load;
use three::{LIMIT, Three};

/// Jobs that must have ended between one restart and the next, so that each of them is under load.
const BETWEEN: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_retries_at_most() {
    let mut three = Three::start().await;
    let load = Load::start(&three.bases());
    load.goes_on(BETWEEN).await;
    for role in 0..three.roles.len() {
        three.restart_role(role).await;
        load.goes_on(BETWEEN).await;
    }
    for server in 0..three.nats.len() {
        three.restart_server(server).await;
        load.goes_on(BETWEEN).await;
    }
    let told = load.stop().await;
    println!("rolling restart: {told}");
    told.is_whole(&three.provider);
    assert!(told.jobs.iter().all(|job| job.outcomes == ["ok"]), "nobody died, so no call was repeated");
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_a_pause() {
    let mut three = Three::start().await;
    let load = Load::start(&three.bases());
    load.goes_on(BETWEEN).await;
    let leader = three.leader().await;
    let accepted = load.accepted();
    let killed = Instant::now();
    three.nats[leader].kill9();
    // A few that were on their way may still be answered; these were not.
    until("submits accepted without the leader", LIMIT, async || {
        let more = load.accepted() - accepted;
        check(more > load::CLIENTS, format!("{more} were accepted"))
    })
    .await;
    println!("leader killed: {} ms until submits were accepted again", killed.elapsed().as_millis());
    load.goes_on(BETWEEN).await;
    three.revive(leader).await;
    load.goes_on(BETWEEN).await;
    let told = load.stop().await;
    println!("leader killed: {told}");
    told.is_whole(&three.provider);
    three.stop().await;
}
