//! Sources that clients send, and items that anybody fetches.

use grange_derivation::nar;
use grange_derivation::{Hash, StoreDir, StorePath, paths};
use grange_interfaces::message::{Answer, ItemUpload, Message};
use grange_interfaces::{Fault, Refusal, bytes_of};

use crate::farm::{Farm, body_of, broken_body, derivation};

pub(crate) fn text(name: &str, content: &[u8], references: &[&StorePath]) -> (ItemUpload, Vec<u8>) {
    let references = references.to_vec();
    let hash = Hash::sha256(content).to_sha256().unwrap();
    let path = paths::text_path(&StoreDir::guix(), name, references.clone(), &hash).unwrap();
    let nar = nar::of_file(content);
    let upload = ItemUpload {
        path: path.to_string(),
        nar_size: nar.len() as u64,
        references: references.iter().map(|path| path.to_string()).collect(),
    };
    (upload, nar)
}

fn path(upload: &ItemUpload) -> StorePath {
    StorePath::parse_any(&upload.path).unwrap()
}

pub(crate) async fn put(farm: &Farm, items: Vec<ItemUpload>, body: Vec<u8>) -> Result<(), Refusal> {
    let put = farm.call(Message::PutItems { items }, Some(body_of(body)));
    put.await.map(drop)
}

async fn has(farm: &Farm, upload: &ItemUpload) -> bool {
    let paths = vec![upload.path.clone()];
    let message = Message::Items {
        paths,
        closure: false,
    };
    match farm.call(message, None).await.unwrap().0 {
        Answer::Items(items) => items[0].is_some(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn fetch(farm: &Farm, path: &str, offset: u64) -> Vec<u8> {
    let path = path.to_owned();
    let fetched = farm.call(Message::FetchItem { path, offset }, None).await;
    let body = fetched.unwrap().1.unwrap();
    bytes_of(body, 1 << 30).await.unwrap().to_vec()
}

#[tokio::test]
async fn what_is_not_what_it_says_is_refused_and_not_kept() {
    let farm = Farm::new().await;
    let (good, nar) = text("good", b"good", &[]);
    let (other, _) = text("other", b"other", &[]);
    let with = |change: fn(&mut ItemUpload)| {
        let mut upload = good.clone();
        change(&mut upload);
        upload
    };
    let mut executable = Vec::new();
    let mut encoder = grange_derivation::nar::Encoder::new(&mut executable);
    encoder.regular(true, 4).unwrap();
    encoder.data(b"good").unwrap();
    encoder.finish().unwrap();
    let flagged = ItemUpload {
        nar_size: executable.len() as u64,
        ..good.clone()
    };
    let mut padded = nar.clone();
    let end = nar.len() - 17;
    padded[end] = 1;
    let cases = [
        (
            other.clone(),
            nar::of_file(b"good!"),
            "does not follow from its content",
        ),
        (flagged, executable, "does not follow from its content"),
        (
            good.clone(),
            nar[..nar.len() - 1].to_vec(),
            "ends in the middle",
        ),
        (
            good.clone(),
            [&nar[..], b"x"].concat(),
            "goes on behind the last item",
        ),
        (
            with(|upload| upload.nar_size -= 8),
            nar.clone(),
            "the archive of",
        ),
        (
            with(|upload| upload.nar_size += 8),
            nar.clone(),
            "ends in the middle",
        ),
        (
            with(|upload| upload.nar_size = 0),
            nar.clone(),
            "the archive of",
        ),
        (
            with(|upload| upload.nar_size = u64::MAX),
            nar.clone(),
            "the archive of",
        ),
        (good.clone(), padded, "the archive of"),
        (good.clone(), vec![0xff; nar.len()], "the archive of"),
        (
            with(|upload| upload.path.push('%')),
            nar.clone(),
            "is no store path",
        ),
    ];
    for (upload, body, why) in cases {
        let refusal = put(&farm, vec![upload.clone()], body).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Caller, "{why}: {refusal}");
        assert!(refusal.message.contains(why), "{why}: {refusal}");
    }
    let items = vec![good.clone()];
    let broken = broken_body(nar[..20].to_vec());
    let refusal = farm.call(Message::PutItems { items }, Some(broken)).await;
    assert_eq!(refusal.err().unwrap().fault, Fault::Caller);
    assert!(!has(&farm, &good).await && !has(&farm, &other).await);
    put(&farm, vec![good.clone()], nar.clone()).await.unwrap();
    assert!(has(&farm, &good).await);
    // Once more is the same.
    put(&farm, vec![good.clone()], nar).await.unwrap();
}

#[tokio::test]
async fn references_come_first() {
    let farm = Farm::new().await;
    let (base, base_nar) = text("base", b"base", &[]);
    let (user, user_nar) = text("user", b"user", &[&path(&base)]);
    let refusal = put(&farm, vec![user.clone()], user_nar.clone()).await;
    let refusal = refusal.unwrap_err();
    assert!(
        refusal.message.contains("has to be sent before it"),
        "{refusal}"
    );
    let backwards = [&user_nar[..], &base_nar].concat();
    let refusal = put(&farm, vec![user.clone(), base.clone()], backwards).await;
    assert!(refusal.is_err());
    // The references are part of what the path follows from.
    let less = ItemUpload {
        references: Vec::new(),
        ..user.clone()
    };
    let refusal = put(&farm, vec![less], user_nar.clone()).await.unwrap_err();
    assert!(refusal.message.contains("does not follow"), "{refusal}");
    let both = [&base_nar[..], &user_nar].concat();
    put(&farm, vec![base.clone(), user.clone()], both)
        .await
        .unwrap();
    let paths = vec![user.path.clone()];
    let message = Message::Items {
        paths,
        closure: true,
    };
    let Answer::Items(items) = farm.call(message, None).await.unwrap().0 else {
        panic!("items");
    };
    let names: Vec<_> = items.into_iter().map(|item| item.unwrap().path).collect();
    assert_eq!(names, [base.path, user.path]);
}

#[tokio::test]
async fn a_derivation_needs_its_sources() {
    let farm = Farm::new().await;
    let (source, nar) = text("source", b"source", &[]);
    let user = crate::farm::builder("user").source(path(&source));
    let user = user.instantiate().unwrap();
    let body = crate::farm::frames(&[(&user.path.to_string(), &user.text)]);
    let refusal = farm.put_derivations(body.clone()).await.unwrap_err();
    assert!(refusal.message.contains("needs the source"), "{refusal}");
    put(&farm, vec![source], nar).await.unwrap();
    farm.put_derivations(body).await.unwrap();
}

#[tokio::test]
async fn items_are_fetched_from_any_offset() {
    let farm = Farm::new().await;
    let (item, nar) = text(
        "item",
        &(0..9_999).map(|n| n as u8).collect::<Vec<_>>(),
        &[],
    );
    put(&farm, vec![item.clone()], nar.clone()).await.unwrap();
    let whole = fetch(&farm, &item.path, 0).await;
    assert_eq!(zstd::decode_all(&whole[..]).unwrap(), nar);
    let size = whole.len() as u64;
    for offset in [1, size / 2, size - 1, size, size + 1, u64::MAX] {
        let rest = usize::try_from(offset.min(size)).unwrap();
        assert_eq!(fetch(&farm, &item.path, offset).await, whole[rest..]);
    }
    let absent = derivation("absent", &[]).output("out").unwrap().to_string();
    let message = Message::FetchItem {
        path: absent,
        offset: 0,
    };
    let refusal = farm.call(message, None).await.err().unwrap();
    assert_eq!(refusal.fault, Fault::NotFound);
}
