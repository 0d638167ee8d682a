//! A real Alertmanager with the repository's own configuration, sending to an ingress of the test.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::child::Child;
use crate::prometheus::amend;
use crate::{paths, ports, wait};

const START_LIMIT: Duration = Duration::from_secs(60);

/// One Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    address: String,
    _process: Child,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one that tells the server at `base` (`http://127.0.0.1:18080`) with this key.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(base: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (file, credentials) = (folder.path().join("alertmanager.yml"), folder.path().join("key"));
        fs::write(&credentials, key).expect("a temporary folder is writable");
        let example = paths::repository().join("deploy/alertmanager/alertmanager.yml");
        let text = fs::read_to_string(example).expect("the example is there");
        let text = amend(&text, "http://127.0.0.1:8080", base);
        let text = amend(&text, "/etc/portbroker/admin.key", &credentials.to_string_lossy());
        fs::write(&file, text).expect("a temporary folder is writable");
        let address = format!("127.0.0.1:{}", ports::free());
        let mut command = Command::new(program());
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
        let process = Child::start("alertmanager", &mut command);
        let server = Self { address, _process: process, _folder: folder };
        wait::until("Alertmanager", START_LIMIT, async || server.ready().await).await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    async fn ready(&self) -> Result<(), String> {
        let answer = reqwest::get(format!("http://{}/-/ready", self.address)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        wait::check(answer.status().is_success(), answer.status())
    }
}

/// Debian's name for it is longer than its own.
fn program() -> std::path::PathBuf {
    paths::program("PORTBROKER_ALERTMANAGER", "prometheus-alertmanager", &[])
}
