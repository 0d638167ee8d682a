//! A cluster of three, and two of each role that jobs pass through, each at an address of its own for all its lives.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use futures::TryStreamExt;
use harness::cluster::KEY_ONE;
use harness::nats::Nats;
use harness::ports;
use harness::process::{Process, Role};
use harness::provider::{Act, Provider};
use harness::wait::{check, until};
use schemas::subject;
use tempfile::TempDir;

/// How long anything may take that has no bound of its own.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// What a role is given to stop in.
const GRACE: Duration = Duration::from_secs(20);
/// What it may need beyond that, to give back what it still holds.
const GIVE_BACK: Duration = Duration::from_secs(10);
/// How long one call takes.
const CALL: Duration = Duration::from_millis(100);

/// One role.
pub(super) struct Placed {
    role: Role,
    address: String,
    environment: BTreeMap<String, String>,
    process: Process,
}

/// Everything that runs. Fields are dropped in this order.
pub(super) struct Three {
    pub(super) roles: Vec<Placed>,
    pub(super) nats: [Nats; 3],
    pub(super) provider: Provider,
    _folder: TempDir,
}

impl Three {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = Provider::start("fake").await;
        provider.script("fake", [Act::Slow(CALL)]);
        let nats = Nats::cluster().await;
        let url = nats.iter().map(Nats::url).collect::<Vec<_>>().join(",");
        let mut roles = Vec::new();
        for (number, role) in
            [Role::Ingress, Role::Ingress, Role::Worker, Role::Worker, Role::Alerting].into_iter().enumerate()
        {
            let own = folder.path().join(number.to_string());
            fs::create_dir(&own).unwrap();
            roles.push(Placed::start(role, environment(&own, &url, &provider)).await);
        }
        Self { roles, nats, provider, _folder: folder }
    }

    /// Where clients go.
    pub(super) fn bases(&self) -> Vec<String> {
        let ingresses = self.roles.iter().filter(|placed| placed.role == Role::Ingress);
        ingresses.map(|placed| placed.process.base().to_owned()).collect()
    }

    /// Stops a role in good order and starts it again.
    pub(super) async fn restart_role(&mut self, number: usize) {
        let placed = &mut self.roles[number];
        placed.process.stop(GRACE + GIVE_BACK).await;
        placed.process = started(&placed.address, placed.role, &placed.environment).await;
    }

    /// Stops a server of the broker in good order and starts it again.
    pub(super) async fn restart_server(&mut self, number: usize) {
        self.all_follow().await;
        self.nats[number].stop().await;
        self.revive(number).await;
    }

    /// Starts a server of the broker again, and waits until it has caught up.
    pub(super) async fn revive(&mut self, number: usize) {
        self.nats[number].resurrect().await;
        self.all_follow().await;
    }

    /// Who leads STATE.
    pub(super) async fn leader(&self) -> usize {
        let context = self.context().await;
        let leader = until("a leader", LIMIT, async || leader(&context, subject::STATE).await).await;
        ["nats-a", "nats-b", "nats-c"].iter().position(|name| *name == leader).unwrap()
    }

    /// Waits until every stream has a leader, and the other two follow it.
    async fn all_follow(&self) {
        let context = self.context().await;
        until("streams whose copies all follow", LIMIT, async || {
            let names: Vec<String> = context.stream_names().try_collect().await.map_err(|error| error.to_string())?;
            for name in names {
                leader(&context, &name).await?;
            }
            Ok::<_, String>(())
        })
        .await;
    }

    async fn context(&self) -> Context {
        let urls: Vec<_> = self.nats.iter().map(Nats::url).collect();
        jetstream::new(async_nats::connect(urls).await.unwrap())
    }

    /// Stops every role in good order, those first that others wait for.
    pub(super) async fn stop(&self) {
        for placed in self.roles.iter().rev() {
            placed.process.stop(GRACE + GIVE_BACK).await;
        }
    }
}

impl Placed {
    async fn start(role: Role, environment: BTreeMap<String, String>) -> Self {
        let address = format!("127.0.0.1:{}", ports::free());
        let process = started(&address, role, &environment).await;
        Self { role, address, environment, process }
    }
}

async fn started(address: &str, role: Role, environment: &BTreeMap<String, String>) -> Process {
    let process = Process::launch_at(address, role, environment);
    until(&format!("ready {role:?}"), LIMIT, async || {
        check(process.is_ready().await, process.child().lines().join("\n"))
    })
    .await;
    process
}

/// The leader of a stream whose copies all follow.
async fn leader(context: &Context, stream: &str) -> Result<String, String> {
    let stream = context.get_stream(stream).await.map_err(|error| error.to_string())?;
    let cluster = stream.cached_info().cluster.clone().ok_or("no cluster")?;
    let follow = cluster.replicas.len() == 2 && cluster.replicas.iter().all(|one| one.current && !one.offline);
    check(follow, format!("{:?}", cluster.replicas))?;
    cluster.leader.ok_or_else(|| "no leader".to_owned())
}

/// A role's settings: its own folder, all three servers, three copies of everything.
fn environment(folder: &std::path::Path, nats: &str, provider: &Provider) -> BTreeMap<String, String> {
    let catalog = folder.join("providers.toml");
    fs::write(&catalog, provider.catalog()).unwrap();
    let settings = [
        ("NATS__URL", nats.to_owned()),
        ("STREAMS__REPLICAS", "3".to_owned()),
        ("DATA_DIR", folder.to_string_lossy().into_owned()),
        ("PROVIDERS__FILE", catalog.to_string_lossy().into_owned()),
        ("INGRESS__KEYS", format!(r#"[{{key="{KEY_ONE}",tenant="one"}}]"#)),
        ("SHUTDOWN__GRACE", format!("{}s", GRACE.as_secs())),
        ("DISK__MIN_FREE_BYTES", "67108864".to_owned()),
    ];
    settings.into_iter().map(|(name, value)| (format!("PORTBROKER_{name}"), value)).collect()
}
