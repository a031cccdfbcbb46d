//! Nars.

use std::fs::File;
use std::io;
use std::ops::Range;

use grange_interfaces::{Body, FilePart, SiteBody};
use grange_model::{BlobId, Digest};
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::bakery::{Baked, Loaf};
use crate::compression::NarCompression;
use crate::config::Cache;
use crate::range::{Part, part};
use crate::remembered::Nar;
use crate::reply::{BYTES, Reply, TEXT};
use crate::site::{Found, Missing, Substitutes, base_name, not_found};

/// Where the bytes of an answer are.
enum Place {
    Blob(BlobId),
    File(File),
}

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("the cache of nars: {error}"))
    }
}

impl Substitutes {
    /// A nar in a compression that the cache offers.
    pub(crate) async fn nar(
        &self,
        number: usize,
        cache: &Cache,
        compression: NarCompression,
        name: &str,
        head: &Parts,
    ) -> Found {
        if !self.offered(cache).contains(&compression) {
            return Err(not_found(format!(
                "nars are not offered with {compression}"
            )));
        }
        let nar = self.nar_of(number, cache, name).await?;
        if compression == NarCompression::Zstd {
            let (blob, size) = (nar.blob, nar.blob_size);
            return self
                .sized(head, Place::Blob(blob), blob.to_string(), size)
                .await;
        }
        let loaf = Loaf {
            blob: nar.blob,
            compression,
        };
        let bakery = self.bakery()?;
        if head.method == Method::HEAD && bakery.size(loaf).is_none() {
            // Nothing is made for somebody who wants to see no more than that.
            let body = SiteBody::Stream(grange_interfaces::empty_body());
            return Ok(Reply::new(StatusCode::OK, BYTES, body));
        }
        let read = self.blob(nar.blob, 0..nar.blob_size);
        match bakery.get(loaf, nar.size, read).await? {
            Baked::Whole(file, size) => {
                let tag = format!("{}-{compression}-{size}", nar.blob);
                self.sized(head, Place::File(file), tag, size).await
            }
            Baked::Growing(body) => {
                let reply = Reply::new(StatusCode::OK, BYTES, SiteBody::Stream(body));
                Ok(reply.ask_again())
            }
            Baked::Busy => Err(Missing::Busy("too many nars are being compressed")),
        }
    }

    /// In which compressions nars are offered: those that need no bakery, if there is none.
    pub(crate) fn offered<'a>(&self, cache: &'a Cache) -> &'a [NarCompression] {
        match &self.config.bakery {
            Some(_) => cache.compressions(),
            None => &[NarCompression::Zstd],
        }
    }

    /// How many bytes a nar has in a compression, if that is known.
    pub(crate) fn file_size(&self, nar: &Nar, compression: NarCompression) -> Option<u64> {
        let blob = nar.blob;
        match compression {
            NarCompression::Zstd => Some(nar.blob_size),
            NarCompression::None => Some(nar.size),
            _ => self.bakery().ok()?.size(Loaf { blob, compression }),
        }
    }

    fn bakery(&self) -> Result<&crate::Bakery, Missing> {
        let bakery = self.config.bakery.as_ref();
        bakery.ok_or_else(|| not_found("nars are offered as they lie here only"))
    }

    /// Where an item's nar lies. Who asks for it has mostly asked for the narinfo before.
    async fn nar_of(&self, number: usize, cache: &Cache, name: &str) -> Result<Nar, Missing> {
        let path = base_name(cache.store(), name)?;
        let digest = Digest(*path.digest());
        let nar = match self.known.get(number, digest) {
            Some(known) => known.nar,
            None => Nar::from(&self.published(cache, digest).await?),
        };
        if *nar.name != *path.name() {
            return Err(not_found("there is no such item here"));
        }
        Ok(nar)
    }

    /// Bytes of which the number is known: parts of them can be had.
    async fn sized(&self, head: &Parts, place: Place, tag: String, size: u64) -> Found {
        let headers = &head.headers;
        let tag = text(&format!("\"{tag}\""));
        let reply = if is_named(headers, &tag) {
            let nothing = SiteBody::Bytes(bytes::Bytes::new());
            Reply::new(StatusCode::NOT_MODIFIED, BYTES, nothing)
        } else {
            // Other methods than GET know no ranges.
            let heeded = head.method == Method::GET && is_same(headers, &tag);
            let range = headers.get(RANGE).filter(|_| heeded);
            match part(range.and_then(|range| range.to_str().ok()), size) {
                Part::Whole => {
                    let body = self.part(place, 0..size).await?;
                    Reply::new(StatusCode::OK, BYTES, body).size(size)
                }
                Part::Bytes(Range { start, end }) => {
                    let body = self.part(place, start..end).await?;
                    let says = format!("bytes {start}-{}/{size}", end - 1);
                    Reply::new(StatusCode::PARTIAL_CONTENT, BYTES, body)
                        .size(end - start)
                        .header(CONTENT_RANGE, text(&says))
                }
                Part::Outside => Reply::text(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    TEXT,
                    format!("it has {size} bytes\n"),
                )
                .header(CONTENT_RANGE, text(&format!("bytes */{size}"))),
            }
        };
        // Under this name there will be other bytes if the item was deleted and built again.
        Ok(reply
            .header(ETAG, tag)
            .header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
            .ask_again())
    }

    async fn part(&self, place: Place, range: Range<u64>) -> Result<SiteBody, Missing> {
        match place {
            Place::Blob(blob) => self.blob_part(blob, range).await,
            Place::File(file) => Ok(SiteBody::File(FilePart { file, range })),
        }
    }

    /// Part of a blob, out of its file if it has one.
    pub(crate) async fn blob_part(
        &self,
        blob: BlobId,
        range: Range<u64>,
    ) -> Result<SiteBody, Missing> {
        let file = self.artifacts.file(blob).await?;
        Ok(match file {
            Some(file) => SiteBody::File(FilePart { file, range }),
            None => {
                let body: Body = self.blob(blob, range).await?;
                SiteBody::Stream(body)
            }
        })
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("digits and words are a header's value")
}

/// Whether `If-None-Match` names what we have. `*` names everything.
fn is_named(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Some(value) = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let tag = tag.to_str().unwrap_or_default();
    let names = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag;
    value.split(',').any(|one| names(one.trim()))
}

/// Whether `If-Range` is not there, or is what we have: one tag, compared strongly (RFC 9110, section 13.1.5), as what
/// is joined to other bytes makes a file that nobody has.
fn is_same(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut values = headers.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(one), None) => one == tag,
        (Some(_), Some(_)) => false,
    }
}
