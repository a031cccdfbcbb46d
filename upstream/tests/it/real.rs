//! Against servers of the real Guix and the real Nix.

use std::path::{Path, PathBuf};

use grange_derivation::StorePath;
use grange_signatures::{TrustedKeys, guix};
use grange_upstream::{Config, SubstituteServers, add_keys};

use crate::fake::{Fake, Reply};
use crate::item::{fetch, find};

/// A variable of the environment; without it the test says that it was skipped.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        eprintln!("skipped: {name} is not set; `cargo xtask verify` sets it where it can");
    }
    value
}

fn keys(file: &str) -> TrustedKeys {
    let mut keys = TrustedKeys::new();
    add_keys(&mut keys, &std::fs::read(file).unwrap()).unwrap();
    keys
}

#[tokio::test]
async fn guix_publish() {
    let (Some(url), Some(key), Some(item)) = (
        variable("GRANGE_TEST_GUIX_PUBLISH"),
        variable("GRANGE_TEST_GUIX_PUBLISH_KEY"),
        variable("GRANGE_TEST_GUIX_PUBLISH_ITEM"),
    ) else {
        return;
    };
    let item = StorePath::parse_any(&item).unwrap();
    let config = Config::new(vec![url.parse().unwrap()], keys(&key));
    let client = SubstituteServers::new(&config).unwrap();
    let info = find(&client, &item).await.unwrap().unwrap();
    let [reference] = &info.references[..] else {
        panic!("{info:?}");
    };
    for path in [&item, reference] {
        let info = find(&client, path).await.unwrap().unwrap();
        let nar = fetch(&client, &info).await.unwrap();
        assert_eq!(nar.len() as u64, info.nar_size);
    }
    let absent = StorePath::new(item.store(), [0; 20], "absent").unwrap();
    assert_eq!(find(&client, &absent).await, Ok(None));
    let nix = StorePath::parse_any("/nix/store/4qk5vp5mfdyd4w0vpcl6vd1ar0vcwx2y-t").unwrap();
    assert_eq!(find(&client, &nix).await, Ok(None));

    let mut other = TrustedKeys::new();
    other.add_guix(*guix::SecretKey::generate(&[1; 32]).public());
    let client = SubstituteServers::new(&Config::new(config.servers, other)).unwrap();
    assert_eq!(find(&client, &item).await, Ok(None));
}

/// A server of the files below a directory.
async fn serve(root: PathBuf) -> Fake {
    Fake::start(move |path, _| match std::fs::read(root.join(&path[1..])) {
        Ok(file) => Reply::Is(file.into()),
        Err(_) => Reply::Status(404),
    })
    .await
}

#[tokio::test]
async fn caches_of_nix_copy() {
    let (Some(caches), Some(key), Some(item)) = (
        variable("GRANGE_TEST_NIX_CACHES"),
        variable("GRANGE_TEST_NIX_CACHES_KEY"),
        variable("GRANGE_TEST_NIX_CACHES_ITEM"),
    ) else {
        return;
    };
    let item = StorePath::parse_any(&item).unwrap();
    let mut nars = Vec::new();
    for compression in ["xz", "zstd", "gzip", "none"] {
        let server = serve(Path::new(&caches).join(compression)).await;
        let narinfo =
            Path::new(&caches).join(format!("{compression}/{}.narinfo", item.hash_part()));
        let narinfo = std::fs::read_to_string(narinfo).unwrap();
        assert!(
            narinfo.contains(&format!("Compression: {compression}\n")),
            "{narinfo}"
        );
        let config = Config::new(vec![server.url()], keys(&key));
        let client = SubstituteServers::new(&config).unwrap();
        let info = find(&client, &item).await.unwrap().unwrap();
        nars.push(fetch(&client, &info).await.unwrap());
    }
    assert!(nars.windows(2).all(|two| two[0] == two[1]));
}
