//! What must hold of stored hashes, whatever stands in their place. See [`fletchck_agent::checks::properties`].

use fletchck_shared::Secret;

use super::{MEMORY_KIB_MAX, Stored, WORK_MAX, verify_blocking};

/// A hash as it stands in a configuration.
pub fn password_hash(bytes: &[u8]) {
    let hash = Secret::new(String::from_utf8_lossy(bytes));
    let password = Secret::new("hunter2");
    let Ok(stored) = Stored::read(&hash) else {
        return assert!(verify_blocking(&password, &hash).is_err());
    };
    let (memory, passes) = (stored.params.m_cost(), stored.params.t_cost());
    assert!(memory <= MEMORY_KIB_MAX && u64::from(memory) * u64::from(passes) <= WORK_MAX);
    assert!(stored.params.block_count() <= MEMORY_KIB_MAX as usize);
    // What is dear is allowed, but not here.
    if memory <= 256 && passes <= 2 {
        verify_blocking(&password, &hash).expect("what can be read can be checked");
    }
}
