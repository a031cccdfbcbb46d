//! Narinfos that do not count.

use grange_derivation::Dialect;
use grange_signatures::guix::SecretKey;
use grange_signatures::narinfo::Compression;

use crate::fake::{Fake, Reply};
use crate::item::{Item, client, find};

/// Whether an item is found through this narinfo, from the first server; if not, the second is asked.
async fn counts(item: &Item, narinfo: impl Into<Vec<u8>>) -> bool {
    let narinfo: Vec<u8> = narinfo.into();
    let mut files = item.files();
    files[1].1 = Reply::Is(narinfo.into());
    let first = Fake::of_files(files).await;
    assert_eq!(
        find(&client(&[&first]), item.path())
            .await
            .unwrap()
            .is_some(),
        {
            let second = Fake::of_files(item.files()).await;
            let both = client(&[&first, &second]);
            assert_eq!(find(&both, item.path()).await, Ok(Some(item.info())));
            second.asked(&item.at()) == 0
        }
    );
    find(&client(&[&first]), item.path())
        .await
        .unwrap()
        .is_some()
}

const SOURCE: &[(&str, Compression)] = &[("nar/x", Compression::None)];

#[tokio::test]
async fn foreign_keys_and_other_items() {
    let item = Item::guix("a");
    assert!(counts(&item, item.narinfo(SOURCE)).await);
    assert!(!counts(&item, item.signed(SOURCE, &SecretKey::generate(&[8; 32]))).await);
    assert!(!counts(&item, Item::guix("b").narinfo(SOURCE)).await);
    let unsigned = item.narinfo(SOURCE);
    let unsigned = unsigned
        .lines()
        .filter(|line| !line.starts_with("Signature"));
    assert!(
        !counts(
            &item,
            unsigned.map(|line| format!("{line}\n")).collect::<String>()
        )
        .await
    );
    let nix = Item::new(Dialect::Nix, "a", 100);
    let forged = nix.narinfo(SOURCE).replace("NarSize: 100", "NarSize: 101");
    assert!(!counts(&nix, forged).await);
    let renamed = nix.narinfo(SOURCE).replace("Sig: test-1", "Sig: test-2");
    assert!(!counts(&nix, renamed).await);
}

#[tokio::test]
async fn duplicate_missing_and_hostile_fields() {
    for dialect in [Dialect::Guix, Dialect::Nix] {
        let item = Item::new(dialect, "a", 100);
        let good = item.narinfo(SOURCE);
        assert!(counts(&item, good.clone()).await);
        for field in ["StorePath", "URL", "NarHash", "NarSize", "References"] {
            let line = good
                .lines()
                .find(|line| line.starts_with(field))
                .unwrap()
                .to_owned()
                + "\n";
            assert!(!counts(&item, good.replace(&line, "")).await, "no {field}");
            let twice = good.replace(&line, &format!("{line}{line}"));
            // Several URLs are several sources to Guix: here the first has no compression.
            assert!(!counts(&item, twice).await, "two {field}");
        }
        for (from, to) in [
            ("NarSize: 100", "NarSize: -1"),
            ("NarSize: 100", "NarSize: 99999999999999999999"),
            ("URL: nar/x", "URL: ../../etc/passwd"),
            ("URL: nar/x", "URL: nar/%2e%2e/x"),
            ("URL: nar/x", "URL: file:///etc/passwd"),
            ("URL: nar/x", "URL: http://169.254.169.254/latest"),
            ("URL: nar/x", "URL: https://elsewhere.example/x y"),
            ("Compression: none", "Compression: rar"),
            ("References: ", "References: ../x "),
        ] {
            assert!(good.contains(from));
            assert!(!counts(&item, good.replace(from, to)).await, "{to}");
        }
    }
}

#[tokio::test]
async fn no_narinfos_at_all() {
    let item = Item::guix("a");
    let good = item.narinfo(SOURCE);
    for bad in [
        String::new(),
        "<!DOCTYPE html><html>log in first</html>".to_owned(),
        good.trim_end().to_owned(),
        good.replace('\n', "\r\n"),
        good.replace("URL", "U\0RL"),
        good.replacen("StorePath", "\u{feff}StorePath", 1),
    ] {
        assert!(!counts(&item, bad.clone()).await, "{bad}");
    }
    assert!(!counts(&item, b"\xff\xfe".to_vec()).await);
}

#[tokio::test]
async fn a_huge_narinfo_is_not_read_to_its_end() {
    let item = Item::guix("a");
    let mut files = item.files();
    files[1].1 = Reply::Endless("X-Y: z\n".repeat(1000).into());
    let server = Fake::of_files(files).await;
    assert_eq!(find(&client(&[&server]), item.path()).await, Ok(None));
    let mut files = item.files();
    files[0].1 = Reply::Endless("X-Y: z\n".repeat(1000).into());
    let server = Fake::of_files(files).await;
    let error = find(&client(&[&server]), item.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("more than 16384 bytes"),
        "{error}"
    );
}
