//! What operators write, and where servers are.

use grange_bins::{agent, cli, coordinator, durations, sizes};
use grange_model::{AgentId, AttemptId, BuildId};
use grange_sandbox::scheme::{self, Datum};
use grange_signatures::narinfo::Compression;
use grange_transport_http::{CoordinatorUrl, ListenAddress};
use grange_upstream::{ServerUrl, store_of_cache_info};

pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(error) = toml::from_str::<coordinator::ConfigFile>(text) {
        assert!(!error.message().is_empty(), "an error says something");
    }
    if let Err(error) = toml::from_str::<agent::ConfigFile>(text) {
        assert!(!error.message().is_empty(), "an error says something");
    }
}

pub(crate) fn cache_info(bytes: &[u8]) {
    if let Ok(store) = store_of_cache_info(bytes) {
        let text = format!("StoreDir: {}\n", store.as_str());
        assert_eq!(store_of_cache_info(text.as_bytes()), Ok(store));
    }
}

/// What is written is read as it was.
pub(crate) fn scheme(bytes: &[u8]) {
    if let Ok(datum) = scheme::read(bytes) {
        let mut written = String::new();
        write(&datum, &mut written);
        assert_eq!(scheme::read(written.as_bytes()), Ok(datum), "{written}");
    }
}

/// As Guile does.
fn write(datum: &Datum, to: &mut String) {
    match datum {
        Datum::Symbol(symbol) => to.push_str(symbol),
        Datum::Text(text) => {
            to.push('"');
            for char in text.chars() {
                if matches!(char, '"' | '\\') {
                    to.push('\\');
                }
                to.push(char);
            }
            to.push('"');
        }
        Datum::List(items) => {
            to.push('(');
            for item in items {
                write(item, to);
                to.push(' ');
            }
            to.push(')');
        }
    }
}

/// One value: an address, a duration, a size, an id.
pub(crate) fn values(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = durations::parse_duration(text);
    let _ = sizes::parse_size(text);
    let _ = cli::parse_key_value(text);
    if let Ok(url) = text.parse::<ServerUrl>() {
        let again = url.to_string().parse::<ServerUrl>();
        assert_eq!(again.ok().map(|it| it.to_string()), Some(url.to_string()));
    }
    if let Ok(url) = text.parse::<CoordinatorUrl>() {
        let again = url.to_string().parse::<CoordinatorUrl>();
        assert_eq!(again.ok().map(|it| it.to_string()), Some(url.to_string()));
    }
    if let Ok(address) = text.parse::<ListenAddress>() {
        assert_eq!(address.to_string().parse::<ListenAddress>(), Ok(address));
    }
    if let Ok(attempt) = text.parse::<AttemptId>() {
        assert_eq!(attempt.to_string().parse::<AttemptId>(), Ok(attempt));
    }
    let _ = (text.parse::<BuildId>(), text.parse::<AgentId>());
    let compression = Compression::from_name(text);
    assert_eq!(Compression::from_name(compression.name()), compression);
}
