//! A minute of the chaos instrument: kills, pauses, restarts and partitions under load, on one server of the broker. The
//! long form is `tests/chaos/run.sh`.

use std::process::Command;

#[test]
fn a_minute_of_faults_breaks_no_promise() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--minutes", "1", "--seed", "7", "--jobs-per-second", "25", "--kills-per-minute", "10"]);
    let run = chaos.output().expect("the instrument starts");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("chaos: no violation"), "{said}");
}
