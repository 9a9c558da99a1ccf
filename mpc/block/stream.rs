//! Copies that leave the caches alone, for what nobody reads again soon.

use crate::Block;

/// dst_r = src_r. Surplus elements of a longer slice are left alone.
#[inline]
pub fn stream(dst: &mut [Block], src: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    return x86(dst, src);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let len = dst.len().min(src.len());
        dst[..len].copy_from_slice(&src[..len]);
    }
}

#[cfg(target_arch = "x86_64")]
const _: () = assert!(align_of::<Block>() == 16, "what the stores below need");

#[cfg(target_arch = "x86_64")]
fn x86(dst: &mut [Block], src: &[Block]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    for (dst, src) in dst.iter_mut().zip(src) {
        // SAFETY: both pointers come from references to 16 bytes, and blocks are aligned to 16; SSE2
        // is part of x86-64.
        unsafe {
            let block = _mm_loadu_si128(std::ptr::from_ref(src).cast());
            _mm_stream_si128(std::ptr::from_mut(dst).cast(), block);
        }
    }
    // Such stores are ordered by nothing else: whoever learns that this is done may read them.
    // SAFETY: SSE is part of x86-64.
    unsafe { _mm_sfence() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    #[test]
    fn everything_is_copied_and_nothing_else_is_touched() {
        for len in LADDER {
            let src = noise(40, len);
            let before = noise(41, len + 3);
            let mut dst = before.clone();
            stream(&mut dst[1..=len], &src);
            assert!(dst[1..=len] == src[..] && dst[0] == before[0], "{len}");
            assert!(dst[len + 1..] == before[len + 1..], "{len}");
            // The shorter slice bounds both ways.
            stream(&mut dst, &src[..len / 2]);
            assert!(dst[..len / 2] == src[..len / 2] && dst[len + 1..] == before[len + 1..]);
        }
    }
}
