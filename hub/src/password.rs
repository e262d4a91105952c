//! Passwords: argon2 hashes are made and checked one at a time in the whole process, and their memory is given back.
//!
//! One hash needs 64 MiB and a good part of a second of a processor. Many at once, or scratch memory that the allocator
//! keeps, would cost a small machine more than everything else this program does.

#[doc(hidden)]
pub mod properties;

use std::{sync::atomic::Ordering, thread};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use fletchck_shared::Secret;
use tokio::sync::{Semaphore, oneshot};

/// Longest password that is looked at, in bytes.
pub const PASSWORD_MAX: usize = 1024;

/// Hashes that may wait for the one that runs.
const QUEUE: usize = 16;

/// Memory of new hashes, in KiB. With [`PASSES`] and [`LANES`] the second choice of RFC 9106; the original reads it.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes of new hashes over their memory.
const PASSES: u32 = 3;
/// Lanes of new hashes.
const LANES: u32 = 4;

/// Most memory that a hash may ask for, in KiB. A hash in the file is its owner's, but a slip of one digit there must
/// not take the machine down at each login.
const MEMORY_KIB_MAX: u32 = 512 * 1024;
/// Most passes times KiB that a hash may ask for: half a minute of work.
const WORK_MAX: u64 = 64 * 512 * 1024;

/// glibc keeps freed blocks up to this size (its highest dynamic `mmap` threshold) and gives larger ones back at once. So
/// the scratch is never smaller; pages that a small hash does not touch cost nothing.
const GIVEN_BACK_BYTES: usize = 33 * 1024 * 1024;

static ONE: Semaphore = Semaphore::const_new(1);
static WAITING: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Why a password was neither right nor wrong.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait already.
    #[error("{QUEUE} passwords are being checked already; try again in a few seconds")]
    Busy,
    /// The password is too long.
    #[error("a password has at most {PASSWORD_MAX} bytes")]
    TooLong,
    /// The stored hash is none, or asks for more than is allowed.
    #[error("the stored password hash is unusable: {0}; make a new one with `fletchck passwd`")]
    Hash(String),
    /// There is no memory or no thread for it.
    #[error("cannot check a password now: {0}")]
    Machine(String),
}

/// Whether a password is the one that a hash (a PHC string of argon2i, argon2d or argon2id) was made of.
///
/// # Errors
/// See [`PasswordError`]. None says anything about the password itself, except its length.
pub async fn verify(password: &Secret, hash: &Secret) -> Result<bool, PasswordError> {
    if password.reveal().len() > PASSWORD_MAX {
        return Err(PasswordError::TooLong);
    }
    let waiting = Waiting::enter()?;
    let permit = ONE.acquire().await.map_err(|e| PasswordError::Machine(e.to_string()))?;
    drop(waiting);
    let (answer, answered) = oneshot::channel();
    let (password, hash) = (password.clone(), hash.clone());
    // The permit goes along: a client that hangs up must not start a second hash beside the first.
    let work = move || {
        let found = verify_blocking(&password, &hash);
        drop(permit);
        // Nobody waits any longer, which is no error.
        _ = answer.send(found);
    };
    thread::Builder::new()
        .name("password".into())
        .spawn(work)
        .map_err(|e| PasswordError::Machine(e.to_string()))?;
    answered.await.map_err(|e| PasswordError::Machine(e.to_string()))?
}

/// The same on the thread of the caller, for commands.
///
/// # Errors
/// See [`PasswordError`].
pub fn verify_blocking(password: &Secret, hash: &Secret) -> Result<bool, PasswordError> {
    let Stored { algorithm, version, params, salt, output } = Stored::read(hash)?;
    let found = derive(password, &salt, algorithm, version, params, output.len())?;
    // `Output` compares in constant time.
    Ok(found == output)
}

/// Makes a hash of a password, on the thread of the caller.
///
/// # Errors
/// [`PasswordError::TooLong`], or [`PasswordError::Machine`] without memory for it.
pub fn hash(password: &Secret) -> Result<Secret, PasswordError> {
    if password.reveal().len() > PASSWORD_MAX {
        return Err(PasswordError::TooLong);
    }
    let machine = |e: &dyn std::fmt::Display| PasswordError::Machine(e.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| machine(&e))?;
    let salt = Salt::new(&rand::random::<[u8; 16]>()).map_err(|e| machine(&e))?;
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let length = Params::DEFAULT_OUTPUT_LEN;
    let output = derive(password, &salt, algorithm, version, params.clone(), length)?;
    let phc = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params).map_err(|e| machine(&e))?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(Secret::new(phc.to_string()))
}

/// A hash that was read, and is not too dear to be checked.
struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    output: Output,
}

impl Stored {
    fn read(hash: &Secret) -> Result<Self, PasswordError> {
        let unusable = |e: &dyn std::fmt::Display| PasswordError::Hash(e.to_string());
        let phc = PasswordHash::new(hash.reveal()).map_err(|e| unusable(&e))?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(|e| unusable(&e))?;
        // Hashes of before argon2 1.3 have no version.
        let version = match phc.version {
            None => Version::V0x10,
            Some(version) => Version::try_from(version).map_err(|e| unusable(&e))?,
        };
        let params = Params::try_from(&phc).map_err(|e| unusable(&e))?;
        let (memory, passes) = (params.m_cost(), params.t_cost());
        if memory > MEMORY_KIB_MAX || u64::from(memory) * u64::from(passes) > WORK_MAX {
            return Err(unusable(&format!("m={memory},t={passes} is more than is allowed")));
        }
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else {
            return Err(unusable(&"it has no salt or no output"));
        };
        Ok(Self { algorithm, version, params, salt, output })
    }
}

fn derive(
    password: &Secret,
    salt: &Salt,
    algorithm: Algorithm,
    version: Version,
    params: Params,
    length: usize,
) -> Result<Output, PasswordError> {
    let blocks = params.block_count();
    let mut scratch: Vec<Block> = Vec::new();
    scratch
        .try_reserve_exact(blocks.max(GIVEN_BACK_BYTES / Block::SIZE))
        .map_err(|e| PasswordError::Machine(e.to_string()))?;
    scratch.resize(blocks, Block::new());
    let argon = Argon2::new(algorithm, version, params);
    let mut bytes = [0; Output::MAX_LENGTH];
    let bytes = bytes
        .get_mut(..length)
        .ok_or_else(|| PasswordError::Hash(format!("an output of {length} bytes")))?;
    argon
        .hash_password_into_with_memory(password.reveal().as_bytes(), salt, bytes, &mut scratch)
        .map_err(|e| PasswordError::Hash(e.to_string()))?;
    Output::new(bytes).map_err(|e| PasswordError::Hash(e.to_string()))
}

/// One place in the queue.
struct Waiting;

impl Waiting {
    fn enter() -> Result<Self, PasswordError> {
        WAITING
            .try_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < QUEUE).then_some(n + 1))
            .map(|_| Self)
            .map_err(|_| PasswordError::Busy)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by argon2-cffi, which the original uses, with its settings and with cheap ones; the password is `hunter2`.
    const ORIGINAL: [&str; 2] = [
        "$argon2id$v=19$m=65536,t=16,p=4$6FkLsClYxa9NcJ3ELThbgA$cwYwlbCr60exddB9fFKZBOHuorOPwzMmuDc0MBQXrxE",
        "$argon2id$v=19$m=64,t=1,p=1$Xlz224ylVNxwxSF2AtMAIA$1F5loKbfZ70hTe3nAVPFUWMtiptHkOU8g4zFT0muaO8",
    ];

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn hashes_of_the_original_are_read() {
        for hash in ORIGINAL {
            assert!(verify_blocking(&secret("hunter2"), &secret(hash)).expect(hash));
            assert!(!verify_blocking(&secret("hunter3"), &secret(hash)).expect(hash));
        }
    }

    #[test]
    fn a_new_hash_is_of_its_password_only() {
        let made = hash(&secret("pässwörd")).expect("hash");
        assert!(made.reveal().starts_with("$argon2id$v=19$m=65536,t=3,p=4$"));
        assert!(verify_blocking(&secret("pässwörd"), &made).expect("verify"));
        assert!(!verify_blocking(&secret("passwörd"), &made).expect("verify"));
    }

    #[test]
    fn what_is_no_hash_or_too_dear_is_refused() {
        let dear =
            "$argon2id$v=19$m=4000000000,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA";
        let long =
            "$argon2id$v=19$m=65536,t=4000000,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA";
        let short = "$argon2id$v=19$m=64,t=1,p=1$lC2JL7j+meU3HmHiKfbIvg";
        for text in ["", "hunter2", "$1$salt$md5", short, dear, long] {
            let refused = verify_blocking(&secret("hunter2"), &secret(text));
            assert!(matches!(refused, Err(PasswordError::Hash(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_hash_is_too_strange(
            text in "\\PC{0,80}",
            algorithm in "argon2(i|d|id|x)", version in "(\\$v=(16|19|20|[0-9]{1,9}))?",
            memory in "[0-9]{1,12}", passes in "[0-9]{1,12}", lanes in "[0-9]{1,12}",
            salt in "[A-Za-z0-9+/=]{0,70}", output in "[A-Za-z0-9+/=]{0,90}",
        ) {
            _ = Stored::read(&secret(&text));
            let text = format!("${algorithm}{version}$m={memory},t={passes},p={lanes}${salt}${output}");
            if let Ok(stored) = Stored::read(&secret(&text)) {
                let (memory, passes) = (stored.params.m_cost(), stored.params.t_cost());
                prop_assert!(memory <= MEMORY_KIB_MAX);
                prop_assert!(u64::from(memory) * u64::from(passes) <= WORK_MAX);
            }
        }
    }

    #[tokio::test]
    async fn a_password_without_end_is_not_hashed() {
        let refused = verify(&secret(&"x".repeat(PASSWORD_MAX + 1)), &secret(ORIGINAL[1])).await;
        assert!(matches!(refused, Err(PasswordError::TooLong)));
    }

    /// In a process of its own: what other tests keep is not to be counted.
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_given_back() {
        let exe = std::env::current_exe().expect("this test's program");
        let alone = ["--exact", "password::tests::forty_wrong_passwords", "--ignored"];
        let ended = std::process::Command::new(exe).args(alone).output().expect("started");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    }

    #[cfg(target_os = "linux")]
    #[ignore = "run by memory_is_given_back"]
    #[tokio::test]
    async fn forty_wrong_passwords() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
            let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
            line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("KiB")
        };
        let before = resident();
        let tries = (0..40).map(|n| {
            // 19 MiB is of the size that malloc likes to keep, and the default of the argon2 crate.
            let memory = if n % 2 == 0 { 19_456 } else { 65_536 };
            let phc = ORIGINAL[0].replace("m=65536,t=16", &format!("m={memory},t=1"));
            async move { verify(&secret("hunter3"), &secret(&phc)).await }
        });
        let answers = futures_util::future::join_all(tries).await;
        let full = answers.iter().filter(|a| matches!(a, Err(PasswordError::Busy))).count();
        assert!(answers.iter().all(|answer| !matches!(answer, Ok(true))));
        assert!(full > 0 && full < 40, "{full} of 40 at once were refused");
        let kept = resident().saturating_sub(before);
        println!("{kept} KiB stay resident");
        assert!(kept < 8 * 1024, "{kept} KiB stay resident");
    }
}
