//! What a build sees, compared with what it sees in the real daemons.

use grange_derivation::{Dialect, Instantiated};

use crate::fixture::{Farm, FirstOutput, farm};

/// What the daemon's `NIX_BUILD_CORES` was when the facts were taken.
fn cores(dialect: Dialect) -> u32 {
    match dialect {
        Dialect::Guix => 0,
        Dialect::Nix => 2,
    }
}

async fn seen(
    dialect: Dialect,
    make: impl FnOnce(&Farm) -> Instantiated,
) -> Option<(Farm, String)> {
    let mut farm = farm(dialect).await?;
    farm.cores = cores(dialect);
    let drv = make(&farm);
    farm.build(&drv).await.built();
    // The names of the daemons' own items.
    let text = farm.read(drv.out());
    let text = text
        .replace(&farm.busybox.hash_part(), "{busybox}")
        .replace(&drv.out().hash_part(), "{out}");
    Some((farm, text))
}

/// Replaces the hash parts of the items that facts name.
fn expected(facts: &str) -> String {
    let mut text = facts.to_owned();
    for (name, placeholder) in [
        ("-busybox", "{busybox}"),
        ("-sandbox", "{out}"),
        ("-env", "{out}"),
    ] {
        while let Some(at) = text
            .match_indices(name)
            .map(|(at, _)| at)
            .find(|at| *at >= 32 && is_hash(&text[at - 32..*at]))
        {
            text.replace_range(at - 32..at, placeholder);
        }
    }
    text
}

fn is_hash(text: &str) -> bool {
    text.bytes().all(grange_derivation::base32::is_digit)
}

/// The store's listing is in the order of hashes, which are others here.
fn sort_items(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    for at in 1..lines.len() {
        if lines[at - 1].starts_with('{') && lines[at].starts_with('{') {
            lines[at - 1..=at].sort_unstable();
        }
    }
    lines
}

fn compare(facts: &str, text: &str) {
    let facts = expected(facts);
    let (mut expected, mut seen) = (sort_items(&facts), sort_items(text));
    if !std::path::Path::new("/dev/kvm").exists() {
        expected.retain(|line| *line != "kvm");
    }
    if !rustix::process::geteuid().is_root() {
        // An unprivileged agent cannot change its supplementary groups.
        for lines in [&mut expected, &mut seen] {
            lines.retain(|line| !line.starts_with("uid="));
        }
    }
    assert_eq!(seen, expected);
}

async fn sandbox(dialect: Dialect, facts: &str) {
    let store = dialect.store_dir();
    let script = format!(
        "{{ id; echo pid $$; echo host $($bb hostname); ls /; ls /dev; ls {store}; cat /proc/net/dev; cat /etc/passwd; env; pwd; }} > $out"
    );
    if let Some((_farm, text)) =
        seen(dialect, |farm| farm.drv(farm.shell("sandbox", &script))).await
    {
        compare(facts, &text);
    }
}

async fn environment(dialect: Dialect, facts: &str) {
    let make = |farm: &Farm| {
        let mut author = farm
            .shell("env", "env > $out")
            .env("quotes", "a \"quoted\" word")
            .env("backslash", "a\\b\\\\c")
            .env("newline", "line 1\nline 2\n")
            .env("tab", "a\tb")
            .env("cr", "a\rb")
            .env("empty", "")
            .env("dollar", "$HOME ${out} `id`")
            .env("big", "x".repeat(100_000));
        if farm.dialect == Dialect::Nix {
            author = author.env("unicode", "λ nix ✓");
        }
        farm.drv(author)
    };
    if let Some((_farm, text)) = seen(dialect, make).await {
        compare(
            &facts.replace("{100000 times x}", &"x".repeat(100_000)),
            &text,
        );
    }
}

#[tokio::test]
async fn guix_sandbox() {
    sandbox(
        Dialect::Guix,
        include_str!("../../testdata/guix-sandbox.txt"),
    )
    .await;
}

#[tokio::test]
async fn nix_sandbox() {
    sandbox(Dialect::Nix, include_str!("../../testdata/nix-sandbox.txt")).await;
}

#[tokio::test]
async fn guix_environment() {
    environment(Dialect::Guix, include_str!("../../testdata/guix-env.txt")).await;
}

#[tokio::test]
async fn nix_environment() {
    environment(Dialect::Nix, include_str!("../../testdata/nix-env.txt")).await;
}
