//! Passwords that are made here, and their hashes.

use anyhow::{Result, anyhow};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use fletchck_shared::Secret;
use rand::Rng;

use crate::password;

/// Letters and digits that no one takes for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a password for a person: 70 bits.
const FOR_PEOPLE: usize = 14;

/// Characters of a password for a machine: 130 bits.
const FOR_MACHINES: usize = 26;

/// A password that a person types once, and its hash.
pub(super) fn for_people() -> Result<(Secret, Secret)> {
    let password = random(FOR_PEOPLE);
    let hash = password::hash(&password)?;
    Ok((password, hash))
}

/// A password that only machines use, and its hash. Nobody guesses it however fast he hashes, so the hash is a cheap one:
/// after an outage a thousand agents come back at once.
pub(super) fn for_machines() -> Result<(Secret, Secret)> {
    let password = random(FOR_MACHINES);
    let argon = Params::new(256, 1, 1, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .map_err(|e| anyhow!("hashing a password: {e}"))?;
    let hash = argon.hash_password(password.reveal().as_bytes());
    let hash = hash.map_err(|e| anyhow!("hashing a password: {e}"))?;
    Ok((password, Secret::new(hash.to_string())))
}

fn random(length: usize) -> Secret {
    let mut random = rand::rng();
    let letters = (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    Secret::new(letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHash, PasswordVerifier};

    use super::*;

    #[test]
    fn a_password_fits_its_hash_and_no_other() {
        let (password, hash) = for_machines().expect("made");
        let parsed = PasswordHash::new(hash.reveal()).expect("a hash");
        let verify = |text: &str| Argon2::default().verify_password(text.as_bytes(), &parsed);
        assert!(verify(password.reveal()).is_ok());
        assert!(verify(for_machines().expect("made").0.reveal()).is_err());
        assert_eq!(password.reveal().len(), FOR_MACHINES);
    }
}
