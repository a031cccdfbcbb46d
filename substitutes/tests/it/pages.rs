//! What the pages say.

use grange_derivation::{Dialect, Hash, StorePath, paths};
use grange_interfaces::Site as _;
use grange_model::{Digest, Record};
use grange_signatures::narinfo::Narinfo;
use grange_signatures::{TrustedKeys, guix};
use grange_testing::sample;
use http::{Request, StatusCode};

use crate::farm::{Farm, get, nar, store};

fn key() -> guix::SecretKey {
    guix::SecretKey::generate(&[42; 32])
}

fn path(name: &str, digest: u8) -> StorePath {
    StorePath::new(&store(), [digest; 20], name).unwrap()
}

fn narinfo_of(path: &StorePath) -> String {
    format!("/guix/{}.narinfo", path.hash_part())
}

#[tokio::test]
async fn a_narinfo_is_signed_and_leads_to_its_nar() {
    let mut farm = Farm::new();
    let (library, program) = (path("library", 1), path("program++", 2));
    farm.file(&library, b"library", &[], Some(1)).await;
    let record = farm
        .file(&program, b"program", &[&library, &program], Some(2))
        .await;
    let site = farm.site(&[], key()).await;
    let answer = get(&site, &narinfo_of(&program), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/x-nix-narinfo");
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    let narinfo = Narinfo::parse(Dialect::Guix, &store(), &answer.body).unwrap();
    narinfo.about(&program).unwrap();
    let mut trusted = TrustedKeys::new();
    assert!(narinfo.verify(&trusted).is_err());
    trusted.add_guix(*key().public());
    narinfo.verify(&trusted).unwrap();
    let facts = narinfo.facts();
    assert_eq!(facts.nar_sha256, record.nar_hash.0);
    assert!(facts.references.contains(&library) && facts.references.contains(&program));
    let url = format!("/guix/{}", narinfo.sources()[0].url.relative().unwrap());
    let fetched = get(&site, &url, &[]).await;
    assert_eq!(fetched.header("cache-control"), "no-cache");
    assert_eq!(
        zstd::decode_all(&fetched.body[..]).unwrap(),
        nar(b"program")
    );
    // The second time it comes out of memory.
    assert_eq!(
        get(&site, &narinfo_of(&program), &[]).await.body,
        answer.body
    );
}

#[tokio::test]
async fn parts_and_conditions_are_heeded() {
    let mut farm = Farm::new();
    let program = path("program", 1);
    farm.file(&program, &[9; 5000], &[], None).await;
    let site = farm.site(&[], key()).await;
    let url = format!("/guix/nar/zstd/{}", program.base_name());
    let whole = get(&site, &url, &[]).await;
    let (size, tag) = (whole.body.len(), whole.header("etag").to_owned());
    let part = get(&site, &url, &[("range", "bytes=3-7")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, whole.body[3..8]);
    assert_eq!(part.header("content-range"), format!("bytes 3-7/{size}"));
    let beyond = get(&site, &url, &[("range", "bytes=5000-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    let same = get(&site, &url, &[("if-none-match", &tag)]).await;
    assert_eq!(
        (same.status, same.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    assert_eq!(same.header("cache-control"), "no-cache");
    let range = ("range", "bytes=3-7");
    let same = get(&site, &url, &[range, ("if-range", &tag)]).await;
    assert_eq!(same.status, StatusCode::PARTIAL_CONTENT);
    for other in [
        "\"other\"",
        "*",
        &format!("W/{tag}"),
        &format!("{tag}, {tag}"),
    ] {
        let answer = get(&site, &url, &[range, ("if-range", other)]).await;
        let got = (answer.status, &answer.body);
        assert_eq!(got, (StatusCode::OK, &whole.body), "{other}");
    }
    let twice = [range, ("if-range", &tag), ("if-range", &tag)];
    assert_eq!(get(&site, &url, &twice).await.status, StatusCode::OK);
    // Only for GET are there parts.
    let head = Request::head(&url).header("range", "bytes=3-7");
    let (head, ()) = head.body(()).unwrap().into_parts();
    let answer = site.get(&head).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-length"], size.to_string());
}

#[tokio::test]
async fn what_is_not_whole_or_not_here_is_not_published() {
    let mut farm = Farm::new();
    let (gone, program) = (path("gone", 1), path("program", 2));
    farm.file(&program, b"program", &[&gone], None).await;
    let site = farm.site(&[], key()).await;
    let answer = get(&site, &narinfo_of(&program), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("gone"), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "public, max-age=30");
    let elsewhere = narinfo_of(&program).replace("guix", "nix");
    for nothing in [
        &*narinfo_of(&gone),
        &*elsewhere,
        "/",
        "/other/nix-cache-info",
        "/guix/nar/zstd/x",
        &format!("/guix/nar/zstd/{}", gone.base_name()),
        &format!("/guix/nar/zstd/{}-other", program.base_name()),
        "/guix/file/x/sha256/y",
        &format!("/guix/log/{}.drv", gone.base_name()),
    ] {
        let answer = get(&site, nothing, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn a_narinfo_waits_for_the_whole_closure() {
    let mut farm = Farm::new();
    let paths = ["top", "middle", "lower", "base"].map(|name| path(name, name.len() as u8));
    let [top, middle, lower, base] = &paths;
    // In a circle, as no store has it: whoever walks it must end all the same.
    farm.file(top, b"top", &[middle, top], None).await;
    farm.file(middle, b"middle", &[lower, top], None).await;
    farm.file(base, b"base", &[], None).await;
    let site = farm.site(&[], key()).await;
    let status = async |path: &StorePath| get(&site, &narinfo_of(path), &[]).await.status;
    assert_eq!(status(base).await, StatusCode::OK);
    for _ in 0..2 {
        let answer = get(&site, &narinfo_of(top), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text().contains("lower"), "{}", answer.text());
        assert_eq!(status(middle).await, StatusCode::NOT_FOUND);
    }
    farm.file(lower, b"lower", &[base], None).await;
    farm.commit().await;
    for path in &paths {
        assert_eq!(status(path).await, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn what_is_withheld_is_not_published_nor_what_refers_to_it() {
    let mut farm = Farm::new();
    let (secret, both, user) = (path("secret", 1), path("both", 2), path("user", 3));
    farm.file(&secret, b"secret", &[], Some(1)).await;
    farm.file(&both, b"both", &[], Some(2)).await;
    farm.file(&user, b"user", &[&secret], Some(3)).await;
    let log = farm.blob(b"said").await;
    farm.built(1, 1, &[("public", "no")], Some(log));
    farm.built(2, 2, &[("public", "no")], None);
    farm.built(3, 2, &[], Some(log));
    farm.built(4, 3, &[], None);
    let site = farm.site(&[("public", "no")], key()).await;
    let status = async |path: &StorePath| get(&site, &narinfo_of(path), &[]).await.status;
    assert_eq!(status(&secret).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&user).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&both).await, StatusCode::OK);
    let url = format!("/guix/nar/zstd/{}", secret.base_name());
    assert_eq!(get(&site, &url, &[]).await.status, StatusCode::NOT_FOUND);
    let log_of = |number| {
        let item = grange_testing::sample::derivation_item(number);
        let path = StorePath::new(&store(), item.digest.0, &item.name).unwrap();
        format!("/guix/log/{}", path.base_name())
    };
    assert_eq!(
        get(&site, &log_of(1), &[]).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(get(&site, &log_of(2), &[]).await.text(), "said");
}

/// Builds are read some at a time.
#[tokio::test]
async fn one_public_build_among_many_is_found() {
    let mut farm = Farm::new();
    let (secret, public) = (path("secret", 1), path("public", 2));
    farm.file(&secret, b"secret", &[], Some(1)).await;
    farm.file(&public, b"public", &[], Some(2)).await;
    for number in 1..=20 {
        let tags: &[_] = if number == 10 {
            &[]
        } else {
            &[("public", "no")]
        };
        farm.built(number, 2, tags, None);
        farm.built(100 + number, 1, &[("public", "no")], None);
    }
    let site = farm.site(&[("public", "no")], key()).await;
    let status = async |path: &StorePath| get(&site, &narinfo_of(path), &[]).await.status;
    assert_eq!(status(&public).await, StatusCode::OK);
    assert_eq!(status(&secret).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn sources_are_found_by_what_they_contain() {
    let mut farm = Farm::new();
    let contents = vec![5; 300_000];
    let hash = Hash::sha256(&contents);
    let source = paths::fixed_output_path(&store(), "source.tar.gz", false, &hash).unwrap();
    farm.file(&source, &contents, &[], None).await;
    let site = farm.site(&[], key()).await;
    for spelled in [hash.to_base32(), hash.to_base16()] {
        let url = format!("/guix/file/source.tar.gz/sha256/{spelled}");
        let answer = get(&site, &url, &[]).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &contents[..])
        );
    }
}

#[tokio::test]
async fn caches_say_what_they_are_for() {
    let site = Farm::new().site(&[], key()).await;
    let guix = get(&site, "/guix/nix-cache-info", &[]).await;
    assert_eq!(guix.text(), "StoreDir: /gnu/store\nWantMassQuery: 1\n");
    let nix = get(&site, "/nix/nix-cache-info", &[]).await;
    let says = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 50\n";
    assert_eq!(nix.text(), says);
}

/// Whoever fetches here can fetch it where it is; who vouches for it is there.
#[tokio::test]
async fn what_others_have_may_be_referred_to_but_is_not_served() {
    let mut farm = Farm::new();
    let (elsewhere, program) = (path("elsewhere", 1), path("program", 2));
    farm.file(&program, b"program", &[&elsewhere], Some(2))
        .await;
    let site = farm.site(&[], key()).await;
    let answer = get(&site, &narinfo_of(&program), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let mut item = sample::upstream_record(1);
    item.item.digest = Digest(*elsewhere.digest());
    farm.records.push(Record::Upstream(item));
    farm.commit().await;
    let answer = get(&site, &narinfo_of(&program), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = get(&site, &narinfo_of(&elsewhere), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
