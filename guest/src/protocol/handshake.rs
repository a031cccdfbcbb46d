//! How host and guest show each other, on a connection that anybody could have made, that they know the guest's secret.
//!
//! Every process of the host reaches every guest by AF_VSOCK, and who has a machine of the number that a guest had before is taken for that
//! guest. So a connection begins with three messages of fixed length, before the first frame:
//!
//! | who | bytes | what |
//! |---|---|---|
//! | guest | 8 | [`GREETING`] |
//! | | 32 | a nonce of the guest's |
//! | host | 32 | a nonce of the host's |
//! | | 32 | the host's proof |
//! | guest | 32 | the guest's proof |
//!
//! A proof is HMAC-SHA-256 (RFC 2104) under the [`ChannelSecret`], of who proves (`guest` or `host ` in ASCII), the guest's CID and port (four bytes
//! each, big-endian), the guest's nonce and the host's. The secret itself is never sent. What each part is for:
//!
//! * Nonces of both: what was sent in one handshake proves nothing in another.
//! * Who proves: else a false guest could send the host's own proof back.
//! * The address: else a false guest at the address that the host connects to could pass everything on to the true one, somewhere else, and listen.
//! * The host proves first: a stranger gets 40 bytes out of a guest, which are none of its secret.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

/// What a guest that is connected to says first. The last byte is the handshake's version.
pub const GREETING: [u8; 8] = *b"GrVsock\x01";
/// Bytes of each nonce of the handshake.
pub const HANDSHAKE_NONCE: usize = 32;
/// Bytes of a proof.
pub const PROOF: usize = 32;
/// Bytes of what the guest says first.
pub const CHALLENGE: usize = GREETING.len() + HANDSHAKE_NONCE;
/// Bytes of what the host says to that.
pub const RESPONSE: usize = HANDSHAKE_NONCE + PROOF;

/// What the host of one guest and that guest know, and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelSecret([u8; 32]);

/// Where a guest listens on AF_VSOCK: vsock(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VsockAddress {
    /// The guest's context identifier.
    pub cid: u32,
    /// The port.
    pub port: u32,
}

/// Why whoever is at the other end is not who it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It does not even speak like a guest.
    #[error("what answers there is no guest of ours, or one of another version")]
    Greeting,
    /// It does not know the secret, or is somewhere else.
    #[error("who is at the other end does not know the guest's secret")]
    Proof,
}

/// The guest's end of a handshake.
#[derive(Debug)]
pub struct GuestHandshake {
    secret: ChannelSecret,
    address: VsockAddress,
    nonce: [u8; HANDSHAKE_NONCE],
}

/// The host's end, after it has proved that it knows the secret.
#[derive(Debug)]
pub struct HostHandshake {
    expected: Hmac<Sha256>,
}

impl ChannelSecret {
    /// The one of these bytes, which have to be random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What `who` has to prove it with.
    fn proof(
        &self,
        who: &[u8; 5],
        address: VsockAddress,
        guest: &[u8; HANDSHAKE_NONCE],
        host: &[u8; HANDSHAKE_NONCE],
    ) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(who);
        mac.update(&address.cid.to_be_bytes());
        mac.update(&address.port.to_be_bytes());
        mac.update(guest);
        mac.update(host);
        mac
    }
}

impl fmt::Debug for ChannelSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelSecret(…)")
    }
}

impl Serialize for ChannelSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for ChannelSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).unwrap_or_default();
        // What was sent is not told: it may be half of a secret.
        <[u8; 32]>::try_from(bytes)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a secret is 64 hexadecimal digits"))
    }
}

impl fmt::Display for VsockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CID {}, port {}", self.cid, self.port)
    }
}

impl GuestHandshake {
    /// For one connection to this address of the guest's. The nonce has to be random.
    #[must_use]
    pub fn new(secret: ChannelSecret, address: VsockAddress, nonce: [u8; HANDSHAKE_NONCE]) -> Self {
        Self {
            secret,
            address,
            nonce,
        }
    }

    /// What is said first.
    #[must_use]
    pub fn challenge(&self) -> [u8; CHALLENGE] {
        let mut challenge = [0; CHALLENGE];
        challenge[..GREETING.len()].copy_from_slice(&GREETING);
        challenge[GREETING.len()..].copy_from_slice(&self.nonce);
        challenge
    }

    /// What is said to the host that answered so; frames follow.
    ///
    /// # Errors
    ///
    /// It is not the host: nothing more is said to it.
    pub fn confirm(self, response: &[u8; RESPONSE]) -> Result<[u8; PROOF], HandshakeError> {
        let (nonce, proof) = halves(response);
        let expected = self
            .secret
            .proof(b"host ", self.address, &self.nonce, nonce);
        // In a time that does not depend on how much of it is right.
        expected
            .verify_slice(proof)
            .map_err(|_| HandshakeError::Proof)?;
        let own = self
            .secret
            .proof(b"guest", self.address, &self.nonce, nonce);
        Ok(own.finalize().into_bytes().into())
    }
}

impl HostHandshake {
    /// What is said to a guest at this address that began so. The nonce has to be random.
    ///
    /// # Errors
    ///
    /// That is no guest.
    pub fn respond(
        secret: &ChannelSecret,
        address: VsockAddress,
        nonce: [u8; HANDSHAKE_NONCE],
        challenge: &[u8; CHALLENGE],
    ) -> Result<(Self, [u8; RESPONSE]), HandshakeError> {
        let theirs = challenge
            .strip_prefix(&GREETING)
            .and_then(|theirs| theirs.try_into().ok())
            .ok_or(HandshakeError::Greeting)?;
        let proof = secret.proof(b"host ", address, theirs, &nonce);
        let mut response = [0; RESPONSE];
        response[..HANDSHAKE_NONCE].copy_from_slice(&nonce);
        response[HANDSHAKE_NONCE..].copy_from_slice(&proof.finalize().into_bytes());
        let expected = secret.proof(b"guest", address, theirs, &nonce);
        Ok((Self { expected }, response))
    }

    /// Whether it is the guest. If so, frames follow.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check(self, proof: &[u8; PROOF]) -> Result<(), HandshakeError> {
        let checked = self.expected.verify_slice(proof);
        checked.map_err(|_| HandshakeError::Proof)
    }
}

fn halves(response: &[u8; RESPONSE]) -> (&[u8; HANDSHAKE_NONCE], &[u8]) {
    let (nonce, proof) = response
        .split_first_chunk()
        .expect("a response is longer than a nonce");
    (nonce, proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: VsockAddress = VsockAddress { cid: 3, port: 1025 };

    fn secret() -> ChannelSecret {
        ChannelSecret::new([7; 32])
    }

    fn guest(secret: ChannelSecret, address: VsockAddress, nonce: u8) -> GuestHandshake {
        GuestHandshake::new(secret, address, [nonce; 32])
    }

    fn respond(
        secret: &ChannelSecret,
        address: VsockAddress,
        guest: &GuestHandshake,
    ) -> (HostHandshake, [u8; RESPONSE]) {
        HostHandshake::respond(secret, address, [2; 32], &guest.challenge()).unwrap()
    }

    #[test]
    fn who_knows_the_secret_is_believed() {
        let guest = guest(secret(), ADDRESS, 1);
        let (host, response) = respond(&secret(), ADDRESS, &guest);
        host.check(&guest.confirm(&response).unwrap()).unwrap();
    }

    /// The bytes are a format. Computed with Python's `hmac`.
    #[test]
    fn the_bytes_are_these() {
        let guest = guest(secret(), ADDRESS, 1);
        assert_eq!(guest.challenge(), *b"GrVsock\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
        let (_, response) = respond(&secret(), ADDRESS, &guest);
        let written = HEXLOWER.encode(&response);
        assert_eq!(
            written,
            format!(
                "{}{}",
                "02".repeat(32),
                "e6bde91f14340366b30b7401a55de25c7b14d6df76fd8e9ef0af3b53aa0d7226"
            )
        );
        let proof = guest.confirm(&response).unwrap();
        assert_eq!(
            HEXLOWER.encode(&proof),
            "2e3222ab722dd0a67c43ee648655726b30d995092e30c589e1b916b67c3f5c85"
        );
    }

    #[test]
    fn who_does_not_know_it_is_not() {
        let other = ChannelSecret::new([8; 32]);
        let one = guest(secret(), ADDRESS, 1);
        let (_, response) = respond(&other, ADDRESS, &one);
        assert_eq!(one.confirm(&response), Err(HandshakeError::Proof));
        // A false guest has nothing but what the host sent to it.
        for of in 0..RESPONSE - PROOF {
            let challenge = guest(other.clone(), ADDRESS, 1).challenge();
            let (host, response) =
                HostHandshake::respond(&secret(), ADDRESS, [2; 32], &challenge).unwrap();
            let sent_back = response[of..].first_chunk().unwrap();
            assert_eq!(host.check(sent_back), Err(HandshakeError::Proof));
        }
        let one = guest(secret(), ADDRESS, 1);
        let (host, response) = respond(&secret(), ADDRESS, &one);
        let sent_back = response.last_chunk().unwrap();
        assert_eq!(host.check(sent_back), Err(HandshakeError::Proof));
    }

    #[test]
    fn what_was_right_once_is_wrong_the_next_time() {
        let first = guest(secret(), ADDRESS, 1);
        let (_, response) = respond(&secret(), ADDRESS, &first);
        let confirmation = first.confirm(&response).unwrap();
        let second = guest(secret(), ADDRESS, 9);
        assert_eq!(second.confirm(&response), Err(HandshakeError::Proof));
        let challenge = guest(secret(), ADDRESS, 1).challenge();
        let (host, _) = HostHandshake::respond(&secret(), ADDRESS, [3; 32], &challenge).unwrap();
        assert_eq!(host.check(&confirmation), Err(HandshakeError::Proof));
    }

    #[test]
    fn what_is_passed_on_to_a_guest_elsewhere_proves_nothing() {
        for elsewhere in [
            VsockAddress { cid: 4, ..ADDRESS },
            VsockAddress {
                port: 1026,
                ..ADDRESS
            },
        ] {
            let there = guest(secret(), elsewhere, 1);
            let (_, response) = respond(&secret(), ADDRESS, &there);
            assert_eq!(there.confirm(&response), Err(HandshakeError::Proof));
        }
    }

    #[test]
    fn another_greeting_is_no_guests() {
        let mut challenge = guest(secret(), ADDRESS, 1).challenge();
        challenge[7] = 2;
        let responded = HostHandshake::respond(&secret(), ADDRESS, [2; 32], &challenge);
        assert_eq!(responded.unwrap_err(), HandshakeError::Greeting);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let text = format!("{:?}", secret());
        assert!(!text.contains('7'), "{text}");
        let read = serde_json::from_str::<ChannelSecret>("\"0707\"").unwrap_err();
        assert!(!read.to_string().contains("07"), "{read}");
    }
}
