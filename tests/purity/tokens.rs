//! Rust source as words and signs: comments, literals and test modules left out. No more of the language than that.

/// A word or a sign, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// From 1.
    pub line: usize,
    /// An identifier, a number, `::`, or one character.
    pub text: String,
}

/// All tokens but those of modules under `#[cfg(test)]`.
pub fn production_tokens(source: &str) -> Vec<Token> {
    without_tests(tokens(source))
}

/// Goes over a source once, character by character.
struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.next();
        }
    }

    fn skip_block(&mut self) {
        let (mut depth, mut before) = (1, ' ');
        while depth > 0 {
            let Some(c) = self.next() else { return };
            match (before, c) {
                ('/', '*') => (depth, before) = (depth + 1, ' '),
                ('*', '/') => (depth, before) = (depth - 1, ' '),
                _ => before = c,
            }
        }
    }

    /// Behind the opening quote.
    fn skip_string(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Behind the `r`: hashes, quote, text, quote, hashes. False for a raw identifier.
    fn skip_raw_string(&mut self) -> bool {
        let mut hashes = 0;
        while self.peek() == Some('#') {
            self.next();
            hashes += 1;
        }
        if self.peek() != Some('"') {
            return false;
        }
        self.next();
        let mut closing = None;
        while closing != Some(hashes) {
            let Some(c) = self.next() else { return true };
            closing = match (c, closing) {
                ('"', _) => Some(0),
                ('#', Some(n)) => Some(n + 1),
                _ => None,
            };
        }
        true
    }

    /// Behind a `'`: a character, or a lifetime, of which nothing is kept either way.
    fn skip_character_or_lifetime(&mut self) {
        match self.next() {
            Some('\\') => {
                self.next();
                while self.next().is_some_and(|c| c != '\'') {}
            }
            Some(c) if self.peek() == Some('\'') || !is_word(c) => drop(self.next()),
            _ => {
                while self.peek().is_some_and(is_word) {
                    self.next();
                }
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source.chars().peekable(), line: 1 };
    let mut found = Vec::new();
    while let Some(c) = reader.next() {
        let line = reader.line;
        match (c, reader.peek()) {
            ('/', Some('/')) => reader.skip_line(),
            ('/', Some('*')) => {
                reader.next();
                reader.skip_block();
            }
            ('"', _) => reader.skip_string(),
            ('\'', _) => reader.skip_character_or_lifetime(),
            (':', Some(':')) => {
                reader.next();
                found.push(Token { line, text: "::".to_owned() });
            }
            (c, _) if is_word(c) => {
                let mut text = c.to_string();
                while let Some(c) = reader.peek().filter(|c| is_word(*c)) {
                    text.push(c);
                    reader.next();
                }
                let raw = matches!(text.as_str(), "r" | "br" | "cr") && matches!(reader.peek(), Some('"' | '#'));
                if !(raw && reader.skip_raw_string()) {
                    found.push(Token { line, text });
                }
            }
            (c, _) if c.is_whitespace() => {}
            (c, _) => found.push(Token { line, text: c.to_string() }),
        }
    }
    found
}

fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::new();
    let mut rest = tokens.into_iter();
    while let Some(token) = rest.next() {
        let opens_module = token.text == "{" && ends_with_test_module(&kept);
        kept.push(token);
        let mut depth = usize::from(opens_module);
        while depth > 0 {
            match rest.next().as_ref().map(|token| token.text.as_str()) {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                Some(_) => {}
                None => return kept,
            }
        }
    }
    kept
}

/// Do the tokens end with `#[cfg(test)] mod NAME`?
fn ends_with_test_module(tokens: &[Token]) -> bool {
    let wanted = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let Some(start) = tokens.len().checked_sub(wanted.len() + 1) else { return false };
    tokens[start..].iter().map(|token| token.text.as_str()).zip(wanted).all(|(found, wanted)| found == wanted)
}
