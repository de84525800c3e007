//! The process's own heap, and what of it the allocator holds without need.

/// Gives memory that was freed back to the system. glibc keeps it otherwise, wherever smaller pieces that are in use lie
/// between. Takes a time that grows with the number of free pieces.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call only moves free memory from the allocator to the system; it may come from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::resident;

    #[test]
    fn freed_memory_goes_back_though_small_pieces_lie_between() {
        let mut kept = Vec::new();
        let mut large: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4_000 {
            large.push(vec![1; 16 * 1024]);
            kept.push(vec![1u8; 64]);
        }
        drop(large);
        let before = resident(std::process::id()).unwrap();
        give_back();
        let after = resident(std::process::id()).unwrap();
        assert!(
            cfg!(not(target_env = "gnu")) || after + (32 << 20) < before,
            "{before} bytes became {after}"
        );
        drop(kept);
    }
}
