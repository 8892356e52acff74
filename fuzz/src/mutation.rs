//! Changed inputs, the same ones at every run: what libFuzzer does first, without its feedback.

/// A generator of changed inputs (SplitMix64).
#[derive(Debug)]
pub struct Mutations {
    state: u64,
    /// Whole inputs and words that changes draw from.
    words: Vec<Vec<u8>>,
}

impl Mutations {
    /// Changes begin at `seed`.
    pub fn new(seed: u64, words: Vec<Vec<u8>>) -> Self {
        Self { state: seed, words }
    }

    /// Changes an input in one to four places.
    pub fn change(&mut self, input: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(4) {
            self.change_once(&mut changed);
        }
        changed
    }

    fn change_once(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let to = at + self.below((input.len() - at).min(16) + 1);
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.byte(),
            2 => {
                let byte = self.byte();
                input.insert(at, byte);
            }
            3 => drop(input.drain(at..to)),
            4 => {
                let copy = input[at..to].to_vec();
                let into = self.below(input.len() + 1);
                input.splice(into..into, copy);
            }
            _ => {
                let Some(word) = self.word() else { return };
                input.splice(at..to, word);
            }
        }
    }

    /// A word, or a piece of a long one.
    fn word(&mut self) -> Option<Vec<u8>> {
        let index = self.below(self.words.len());
        let word = self.words.get(index)?.clone();
        let from = if word.len() > 32 { self.below(word.len()) } else { 0 };
        let to = from + (word.len() - from).min(32);
        Some(word[from..to].to_vec())
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The words of a libFuzzer dictionary: one quoted text a line, with `\\xNN` for a byte.
pub fn dictionary(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter_map(|line| quoted(line.trim())).collect()
}

fn quoted(line: &str) -> Option<Vec<u8>> {
    let inner = line.get(line.find('"')? + 1..)?.strip_suffix('"')?;
    if line.starts_with('#') {
        return None;
    }
    let (mut word, mut rest) = (Vec::new(), inner);
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            word.push(byte);
            rest = &rest[4..];
            continue;
        }
        rest = rest.strip_prefix('\\').unwrap_or(rest);
        let first = rest.chars().next().unwrap_or(first);
        word.extend(first.to_string().bytes());
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    Some(word)
}
