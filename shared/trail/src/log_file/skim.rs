//! A forward walk over JSON text, 64 bytes a step.
//!
//! Each step turns a block into bit masks (quotes, brackets outside strings), so that jumping over a string or a nested
//! value costs a few instructions however long it is. The walk checks
//! structure only as far as it needs it; whoever wants more parses the slice it yields.

use wide::u8x32;

/// Where a walk stands in `bytes`. All moves are forward; a copy is a bookmark.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Offset of the block that the masks describe.
    base: usize,
    /// Quotes that open or close a string.
    quotes: u64,
    /// Brackets outside strings, and what cannot be there in valid JSON.
    brackets: u64,
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
            brackets: 0,
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
            let mut brackets = self.brackets & ahead;
            while brackets != 0 {
                let at = self.base + brackets.trailing_zeros() as usize;
                // `[` and `{`, like `]` and `}`, differ in this one bit. Sums mispredict less than branches.
                let folded = self.bytes.get(at)? | 0x20;
                depth = depth + usize::from(folded == b'{') - usize::from(folded == b'}');
                if depth == 0 {
                    return Some(at);
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
        if let Some((low, rest)) = rest.split_first_chunk()
            && let Some(high) = rest.first_chunk()
        {
            self.read((u8x32::new(*low), u8x32::new(*high)));
        } else {
            self.read_last(rest);
        }
    }

    /// The last block, filled up with spaces.
    fn read_last(&mut self, rest: &[u8]) {
        let mut halves = [[b' '; BLOCK / 2]; 2];
        for (half, bytes) in halves.iter_mut().zip(rest.chunks(BLOCK / 2)) {
            half[..bytes.len()].copy_from_slice(bytes);
        }
        self.read((u8x32::new(halves[0]), u8x32::new(halves[1])));
    }

    #[inline]
    fn read(&mut self, (low, high): (u8x32, u8x32)) {
        let is = |byte| (low.simd_eq(u8x32::splat(byte)), high.simd_eq(u8x32::splat(byte)));
        let backslashes = is(b'\\');
        let least = low.min(high);
        let controls = least.min(u8x32::splat(0x1f)).simd_eq(least);
        self.odd_block = (backslashes.0 | backslashes.1 | controls).any();
        let escaped = if self.odd_block {
            self.odd = true;
            self.escaped(mask(backslashes))
        } else {
            std::mem::take(&mut self.carry_escape)
        };
        self.quotes = mask(is(b'"')) & !escaped;
        let inside = prefix_xor(self.quotes) ^ self.carry_inside;
        // Arithmetic on the top bit alone: the state in which this block ends.
        self.carry_inside = 0_u64.wrapping_sub(inside >> 63);
        // The four brackets differ in these bits alone. So do `Y`, `_` and `y`, which JSON has in strings only.
        let alike = |half: u8x32| (half | u8x32::splat(0x26)).simd_eq(u8x32::splat(0x7f));
        self.brackets = mask((alike(low), alike(high))) & !inside;
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

/// A bit for each byte of a comparison's two halves.
#[inline]
fn mask((low, high): (u8x32, u8x32)) -> u64 {
    u64::from(low.to_bitmask()) | u64::from(high.to_bitmask()) << 32
}

/// Bit i of the result is the parity of bits 0 to i: what lies from an opening quote up to its closing one.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
