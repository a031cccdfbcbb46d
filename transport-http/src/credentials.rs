//! Who calls, in the `Authorization` header.
//!
//! Basic: RFC 7617, with the agent's UUID for the user. Bearer: RFC 6750.

use data_encoding::BASE64;
use grange_interfaces::{Fault, Peer, Refusal, Secret};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// Who says to call; `otherwise` without credentials.
///
/// # Errors
///
/// [`Fault::Forbidden`] if there are credentials of which nothing can be made.
pub(crate) fn read(headers: &HeaderMap, otherwise: Peer) -> Result<Peer, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(otherwise);
    };
    if values.next().is_some() {
        return Err(forbidden("there is more than one Authorization header"));
    }
    let text = value
        .to_str()
        .map_err(|_| forbidden("the Authorization header is not ASCII"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        if rest.is_empty() {
            return Err(forbidden("the Authorization header has an empty token"));
        }
        return Ok(Peer::Token(Secret(rest.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(forbidden(
            "the Authorization header is neither Basic nor Bearer",
        ));
    }
    let plain = BASE64
        .decode(rest.as_bytes())
        .ok()
        .and_then(|plain| String::from_utf8(plain).ok());
    let plain = plain.ok_or_else(|| forbidden("the Basic credentials are not base64 of text"))?;
    let (id, password) = plain
        .split_once(':')
        .ok_or_else(|| forbidden("the Basic credentials are not AGENT-UUID:PASSWORD"))?;
    let id = id
        .parse()
        .map_err(|_| forbidden("the user of the Basic credentials is no agent's UUID"))?;
    Ok(Peer::Agent {
        id,
        password: Secret(password.to_owned()),
    })
}

/// The header that says who calls; none for who has no credentials to show.
///
/// # Errors
///
/// [`Fault::Operator`] if a token has bytes that no header can have.
pub(crate) fn write(peer: &Peer) -> Result<Option<HeaderValue>, Refusal> {
    let text = match peer {
        Peer::Anonymous | Peer::Local => return Ok(None),
        Peer::Agent { id, password } => {
            format!(
                "Basic {}",
                BASE64.encode(format!("{id}:{}", password.0).as_bytes())
            )
        }
        Peer::Token(token) => format!("Bearer {}", token.0),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Refusal::new(
            Fault::Operator,
            "the token has characters that a token cannot have",
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn forbidden(what: &str) -> Refusal {
    Refusal::new(Fault::Forbidden, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))])
    }

    #[test]
    fn what_is_written_is_read() {
        let agent = Peer::Agent {
            id: "11111111-2222-7333-8444-555555555555".parse().unwrap(),
            password: Secret("with:colon and ümlaut".into()),
        };
        for peer in [agent, Peer::Token(Secret("abc-DEF_1".into()))] {
            let value = write(&peer).unwrap().unwrap();
            assert!(value.is_sensitive());
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(read(&headers, Peer::Anonymous).unwrap(), peer);
        }
    }

    #[test]
    fn without_credentials_it_is_who_may_open_the_socket() {
        assert_eq!(read(&HeaderMap::new(), Peer::Local).unwrap(), Peer::Local);
        assert_eq!(write(&Peer::Local).unwrap(), None);
        assert_eq!(write(&Peer::Anonymous).unwrap(), None);
    }

    #[test]
    fn credentials_of_which_nothing_can_be_made_are_refused_and_never_anonymous() {
        for text in [
            "",
            "Basic",
            "Basic !!!",
            "Basic Zm9v",
            "Basic Zm9vOmJhcg==",
            "Digest x",
            "Bearer ",
            "bearer",
        ] {
            let refusal = read(&headers(text), Peer::Local).unwrap_err();
            assert_eq!(refusal.fault, Fault::Forbidden, "{text}: {refusal}");
        }
        let mut two = headers("Bearer a");
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(read(&two, Peer::Local).unwrap_err().fault, Fault::Forbidden);
    }

    #[test]
    fn a_token_that_no_header_can_have_is_the_operators_turn() {
        assert_eq!(
            write(&Peer::Token(Secret("a\nb".into())))
                .unwrap_err()
                .fault,
            Fault::Operator
        );
    }
}
