//! What a life begins with: tiers and settings, drawn from its seed.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tierwright::model::Secret;
use tierwright::plan::{EndpointState, Limits, Manage};
use tierwright::settings::{EndpointSettings, PasswordFrom, Settings, Trust};

use crate::git::{Git, Shape, TierFile};
use crate::invariants::INSTALLATION;
use crate::site::Site;

/// One or two tiers, each on the endpoints that speak its language.
pub fn git(rng: &mut StdRng, sites: &[Site]) -> Git {
    let mut tiers = BTreeMap::new();
    // The first two endpoints share a tier where they speak one language.
    let shared = sites[0].hypervisor == sites[1].hypervisor;
    let groups: Vec<&[Site]> = if shared { vec![&sites[..2], &sites[2..]] } else { sites.chunks(1).collect() };
    for (n, group) in (1..).zip(groups) {
        let name = format!("tier-{n}");
        let tier = TierFile {
            name: name.clone(),
            endpoints: group.iter().map(|site| site.name.to_string()).collect(),
            places: group[0].places,
            prune: ["confirm", "auto", "auto"].choose(rng).expect("three"),
            grace_days: *[0, 1, 7].choose(rng).expect("three"),
        };
        tiers.insert(name, tier);
    }
    Git { tiers, vms: BTreeMap::new(), shape: Shape::Good }
}

/// What the administrator says, with caps low enough to be met.
pub fn settings(rng: &mut StdRng, dir: &Path, sites: &[Site]) -> Settings {
    let observed = rng.random_bool(0.06).then(|| rng.random_range(0..sites.len()));
    let endpoint = |(n, site): (usize, &Site)| EndpointSettings {
        name: site.name.clone(),
        hypervisor: site.hypervisor,
        urls: vec!["https://nowhere.invalid/".to_owned()],
        auth: tierwright::settings::Auth::default(),
        username: "nobody".to_owned(),
        password: PasswordFrom::Given(Secret::new(String::new())),
        trust: Trust::SystemRoots,
        manage: if observed == Some(n) { Manage::Observe } else { Manage::Suggest },
        state: EndpointState::Active,
        parallel: 1 + n,
    };
    Settings {
        path: dir.join("tierwright.yaml"),
        installation: INSTALLATION.to_owned(),
        source: dir.join("manifests"),
        state_dir: dir.join("state"),
        secrets_dir: dir.join("secrets"),
        interval: std::time::Duration::from_mins(1),
        endpoints: sites.iter().enumerate().map(endpoint).collect(),
        limits: Limits {
            destroys_per_day: rng.random_range(1..=6),
            destroy_percent_per_tier_per_day: *[5, 50, 100, 100].choose(rng).expect("four"),
            disruptions_per_run: rng.random_range(1..=10),
            parallel_per_endpoint: 8,
        },
    }
}
