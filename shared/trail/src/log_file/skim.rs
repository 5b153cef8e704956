//! A forward walk over JSON text, 64 bytes a step.
//!
//! Each step turns a block into four bit masks (quotes, what lies inside strings, opening and closing brackets), so
//! that jumping over a string or a nested value costs a few instructions however long it is. The walk checks
//! structure only as far as it needs it; whoever wants more parses the slice it yields.

use wide::u8x64;

/// Where a walk stands in `bytes`. All moves are forward; a copy is a bookmark.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Offset of the block that the masks describe.
    base: usize,
    /// Quotes that open or close a string.
    quotes: u64,
    opens: u64,
    closes: u64,
    /// All ones when the block after this one begins inside a string.
    carry_inside: u64,
    /// One when the byte before the next block is a backslash that escapes it.
    carry_escape: u64,
    /// Whether this block holds a backslash or a control character.
    odd_block: bool,
    /// Whether a block since the last mark did.
    odd: bool,
}

const BLOCK: usize = 64;

impl<'a> Cursor<'a> {
    /// A walk from `start`, which lies outside any string.
    pub(crate) fn new(bytes: &'a [u8], start: usize) -> Self {
        let mut cursor = Self {
            bytes,
            base: start,
            quotes: 0,
            opens: 0,
            closes: 0,
            carry_inside: 0,
            carry_escape: 0,
            odd_block: false,
            odd: false,
        };
        cursor.load();
        cursor
    }

    /// From here on [`Cursor::is_plain`] counts.
    #[inline]
    pub(crate) fn mark(&mut self) {
        self.odd = self.odd_block;
    }

    /// Whether all text that was walked over since the mark is free of backslashes and control characters: its
    /// strings mean what they look like. Blocks are looked at whole, so a no may come from a neighbour.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.odd
    }

    /// The closing quote of the string whose opening quote is at `open`.
    #[inline]
    pub(crate) fn string_end(&mut self, open: usize) -> Option<usize> {
        self.seek(open + 1)?;
        let mut mask = self.quotes & from_bit(open + 1 - self.base);
        while mask == 0 {
            self.advance()?;
            mask = self.quotes;
        }
        Some(self.base + mask.trailing_zeros() as usize)
    }

    /// The bracket that closes the object or array which opens at `open`.
    #[inline]
    pub(crate) fn container_end(&mut self, open: usize) -> Option<usize> {
        self.seek(open + 1)?;
        let mut ahead = from_bit(open + 1 - self.base);
        let mut depth = 1_usize;
        loop {
            let closes = self.closes & ahead;
            let mut brackets = (self.opens & ahead) | closes;
            while brackets != 0 {
                let bit = brackets.trailing_zeros();
                // Two down for a closing one and one up for any: one by one is quicker than by counting bits.
                depth = depth + 1 - 2 * usize::from(closes >> bit & 1 == 1);
                if depth == 0 {
                    return Some(self.base + bit as usize);
                }
                brackets &= brackets - 1;
            }
            self.advance()?;
            ahead = u64::MAX;
        }
    }

    #[inline]
    fn seek(&mut self, position: usize) -> Option<()> {
        while position >= self.base + BLOCK {
            self.advance()?;
        }
        Some(())
    }

    #[inline]
    fn advance(&mut self) -> Option<()> {
        self.base += BLOCK;
        if self.base >= self.bytes.len() {
            return None;
        }
        self.load();
        Some(())
    }

    #[inline]
    fn load(&mut self) {
        let rest = self.bytes.get(self.base..).unwrap_or_default();
        if let Some(block) = rest.first_chunk::<BLOCK>() {
            self.read(*block);
        } else {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            self.read(block);
        }
    }

    #[inline]
    fn read(&mut self, block: [u8; BLOCK]) {
        let bytes = u8x64::new(block);
        // `[` and `{`, like `]` and `}`, differ in this one bit.
        let folded = bytes | u8x64::splat(0x20);
        let backslashes = bytes.simd_eq(u8x64::splat(b'\\'));
        let controls = bytes.min(u8x64::splat(0x1f)).simd_eq(bytes);
        self.odd_block = (backslashes | controls).any();
        let escaped = if self.odd_block {
            self.odd = true;
            self.escaped(backslashes.to_bitmask())
        } else {
            std::mem::take(&mut self.carry_escape)
        };
        self.quotes = bytes.simd_eq(u8x64::splat(b'"')).to_bitmask() & !escaped;
        let inside = prefix_xor(self.quotes) ^ self.carry_inside;
        // Arithmetic on the top bit alone: the state in which this block ends.
        self.carry_inside = 0_u64.wrapping_sub(inside >> 63);
        self.opens = folded.simd_eq(u8x64::splat(b'{')).to_bitmask() & !inside;
        self.closes = folded.simd_eq(u8x64::splat(b'}')).to_bitmask() & !inside;
    }

    /// The positions that a backslash makes literal, given where the backslashes are.
    #[cold]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut pending = backslashes & !self.carry_escape;
        let mut escaped = self.carry_escape;
        self.carry_escape = 0;
        while pending != 0 {
            let bit = pending.trailing_zeros();
            pending &= pending - 1;
            if bit == 63 {
                self.carry_escape = 1;
                break;
            }
            escaped |= 1 << (bit + 1);
            pending &= !(1 << (bit + 1));
        }
        escaped
    }
}

/// Ones from bit `bit` up.
#[inline]
fn from_bit(bit: usize) -> u64 {
    u64::MAX << bit
}

/// Bit i of the result is the parity of bits 0 to i: what lies from an opening quote up to its closing one.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
