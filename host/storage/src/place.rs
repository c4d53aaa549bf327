//! From texts and numbers to places inside a pool: the same in all versions and on all machines.

/// FNV-1a, 64 bits. Fixed for ever: sticky addresses depend on it.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// 128 bits that differ in about half of their places for seeds that differ in one: two rounds of SplitMix64. Fixed for
/// ever as well.
pub(crate) fn scatter(seed: u64) -> u128 {
    let round = |seed: u64| {
        let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    let first = round(seed);
    u128::from(first) << 64 | u128::from(round(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_keys_never_change() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(scatter(0) >> 64, 0xe220_a839_7b1d_cdaf);
    }
}
