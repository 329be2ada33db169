//! The part of WQL that is used: `SELECT … FROM … WHERE …`, `ASSOCIATORS OF {…} WHERE …`, `REFERENCES OF {…} WHERE …`.
//!
//! Strings compare without case, as in WMI; `LIKE` knows `%`, `_` and sets; a backslash in a literal stands for the
//! character that follows.

use super::instance::{Instance, Value};

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Query {
    /// Instances of a class.
    Select {
        /// Which properties; empty: all.
        columns: Vec<String>,
        class: String,
        condition: Option<Condition>,
    },
    /// What is associated with an instance.
    Associators { source: Path, association: Option<String>, result: Option<String> },
    /// Associations that name an instance.
    References { source: Path, result: Option<String> },
}

/// `Class.Key='value',…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub class: String,
    pub keys: Vec<(String, String)>,
}

/// What an instance must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    /// A comparison of a property with a literal.
    Compare(String, Operator, String),
    /// `IS NULL`.
    Null(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Like,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(&'static str),
    Braces(String),
}

/// Reads a query. `None`: it is not one that is known.
pub(super) fn parse(text: &str) -> Option<Query> {
    let mut tokens = Tokens { all: tokens(text)?, at: 0 };
    let query = if tokens.keyword("SELECT") {
        select(&mut tokens)?
    } else if tokens.keyword("ASSOCIATORS") {
        let (source, association, result) = around(&mut tokens)?;
        Query::Associators { source, association, result }
    } else if tokens.keyword("REFERENCES") {
        let (source, _, result) = around(&mut tokens)?;
        Query::References { source, result }
    } else {
        return None;
    };
    (tokens.at == tokens.all.len()).then_some(query)
}

/// Reads `Class.Key="value",…`; also with the host and namespace before it.
pub(super) fn path(text: &str) -> Option<Path> {
    let text = text.trim();
    // `\\HOST\root\virtualization\v2:Class.…`: the colon comes before any quote.
    let quote = text.find(['"', '\'']).unwrap_or(text.len());
    let text = text[..quote].find(':').map_or(text, |colon| &text[colon + 1..]);
    let (class, rest) = text.split_once('.').unwrap_or((text, ""));
    let mut tokens = Tokens { all: tokens(rest)?, at: 0 };
    let mut keys = Vec::new();
    while tokens.at < tokens.all.len() {
        let name = tokens.word()?;
        tokens.mark("=").then_some(())?;
        keys.push((name, tokens.literal()?));
        if !tokens.mark(",") {
            break;
        }
    }
    (tokens.at == tokens.all.len()).then(|| Path { class: class.trim().to_owned(), keys })
}

struct Tokens {
    all: Vec<Token>,
    at: usize,
}

impl Tokens {
    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.all.get(self.at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.all.get(self.at), Some(Token::Mark(found)) if *found == mark);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Option<String> {
        match self.all.get(self.at) {
            Some(Token::Word(word)) => {
                self.at += 1;
                Some(word.clone())
            }
            _ => None,
        }
    }

    fn literal(&mut self) -> Option<String> {
        match self.all.get(self.at) {
            Some(Token::Text(text) | Token::Word(text)) => {
                self.at += 1;
                Some(text.clone())
            }
            _ => None,
        }
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let (literal, used) = quoted(rest, first)?;
            out.push(Token::Text(literal));
            rest = &rest[used..];
        } else if first == '{' {
            let end = closing_brace(rest)?;
            out.push(Token::Braces(rest[1..end].to_owned()));
            rest = &rest[end + 1..];
        } else if let Some(mark) =
            ["<>", "!=", "<=", ">=", "=", "<", ">", ",", "(", ")", "*"].into_iter().find(|mark| rest.starts_with(mark))
        {
            out.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.:-+".contains(c))).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(out)
}

/// The text of a literal, and how many bytes it takes with its quotes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => out.push(characters.next()?.1),
            end if end == quote => return Some((out, at + 1)),
            other => out.push(other),
        }
    }
    None
}

/// Where the brace ends that a text begins with; quoted ones do not count.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), character) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '}') => return Some(at),
            _ => {}
        }
    }
    None
}

fn select(tokens: &mut Tokens) -> Option<Query> {
    let mut columns = Vec::new();
    if !tokens.mark("*") {
        columns.push(tokens.word()?);
        while tokens.mark(",") {
            columns.push(tokens.word()?);
        }
    }
    tokens.keyword("FROM").then_some(())?;
    let class = tokens.word()?;
    let condition = if tokens.keyword("WHERE") { Some(either(tokens, 0)?) } else { None };
    Some(Query::Select { columns, class, condition })
}

/// Deeper conditions are nobody's.
const DEEPEST: usize = 16;

fn either(tokens: &mut Tokens, depth: usize) -> Option<Condition> {
    let mut left = both(tokens, depth)?;
    while tokens.keyword("OR") {
        left = Condition::Or(Box::new(left), Box::new(both(tokens, depth)?));
    }
    Some(left)
}

fn both(tokens: &mut Tokens, depth: usize) -> Option<Condition> {
    let mut left = single(tokens, depth)?;
    while tokens.keyword("AND") {
        left = Condition::And(Box::new(left), Box::new(single(tokens, depth)?));
    }
    Some(left)
}

fn single(tokens: &mut Tokens, depth: usize) -> Option<Condition> {
    if depth > DEEPEST {
        return None;
    }
    if tokens.keyword("NOT") {
        return Some(Condition::Not(Box::new(single(tokens, depth + 1)?)));
    }
    if tokens.mark("(") {
        let inner = either(tokens, depth + 1)?;
        return tokens.mark(")").then_some(inner);
    }
    let property = tokens.word()?;
    if tokens.keyword("IS") {
        let not = tokens.keyword("NOT");
        tokens.keyword("NULL").then_some(())?;
        let null = Condition::Null(property);
        return Some(if not { Condition::Not(Box::new(null)) } else { null });
    }
    let operator = if tokens.keyword("LIKE") { Operator::Like } else { comparison(tokens)? };
    Some(Condition::Compare(property, operator, tokens.literal()?))
}

fn comparison(tokens: &mut Tokens) -> Option<Operator> {
    let known = [
        ("=", Operator::Equal),
        ("<>", Operator::Unequal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    known.into_iter().find(|(mark, _)| tokens.mark(mark)).map(|(_, operator)| operator)
}

fn around(tokens: &mut Tokens) -> Option<(Path, Option<String>, Option<String>)> {
    tokens.keyword("OF").then_some(())?;
    let Some(Token::Braces(inside)) = tokens.all.get(tokens.at) else { return None };
    let source = path(inside)?;
    tokens.at += 1;
    let (mut association, mut result) = (None, None);
    if tokens.keyword("WHERE") {
        while tokens.at < tokens.all.len() {
            let name = tokens.word()?;
            tokens.mark("=").then_some(())?;
            let value = Some(tokens.literal()?);
            match name.to_ascii_lowercase().as_str() {
                "assocclass" => association = value,
                "resultclass" => result = value,
                // The roles tell the ends of an association apart; no association here has two ends of one class.
                "role" | "resultrole" => {}
                _ => return None,
            }
        }
    }
    Some((source, association, result))
}

impl Condition {
    /// Is an instance so? A property that is null is like nothing.
    pub fn holds(&self, instance: &Instance) -> bool {
        match self {
            Self::And(left, right) => left.holds(instance) && right.holds(instance),
            Self::Or(left, right) => left.holds(instance) || right.holds(instance),
            Self::Not(inner) => !inner.holds(instance),
            Self::Null(property) => instance.get(property).is_none(),
            Self::Compare(property, operator, literal) => match instance.get(property) {
                Some(Value::One(text)) => compare(text, *operator, literal),
                _ => false,
            },
        }
    }

    /// Properties it names.
    pub fn properties(&self) -> Vec<&str> {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                let mut all = left.properties();
                all.extend(right.properties());
                all
            }
            Self::Not(inner) => inner.properties(),
            Self::Null(property) | Self::Compare(property, ..) => vec![property],
        }
    }

    /// Literals that every instance it holds for has in these properties (or begins with).
    pub fn demands(&self) -> Vec<(&str, &str)> {
        match self {
            Self::And(left, right) => {
                let mut all = left.demands();
                all.extend(right.demands());
                all
            }
            Self::Compare(property, Operator::Equal | Operator::Like, literal) => vec![(property, literal)],
            _ => Vec::new(),
        }
    }
}

fn compare(text: &str, operator: Operator, literal: &str) -> bool {
    if operator == Operator::Like {
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let pattern: Vec<char> = literal.to_lowercase().chars().collect();
        return like(&text, &pattern);
    }
    let order = match (text.parse::<i128>(), literal.parse::<i128>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => text.to_lowercase().cmp(&literal.to_lowercase()),
    };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::Greater => order.is_gt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Like => false,
    }
}

/// Both are in lower case. Each `%` is tried from the left, and only the last one again: linear times pattern.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(of) {
            Some('%') => {
                last = Some((of, at));
                of += 1;
            }
            Some(_) if matches_one(text[at], pattern, of).is_some() => {
                of = matches_one(text[at], pattern, of).unwrap_or(of);
                at += 1;
            }
            _ => {
                let Some((percent, from)) = last else { return false };
                last = Some((percent, from + 1));
                (of, at) = (percent + 1, from + 1);
            }
        }
    }
    pattern[of..].iter().all(|character| *character == '%')
}

/// Does a character match the pattern here? Where the pattern goes on.
fn matches_one(character: char, pattern: &[char], at: usize) -> Option<usize> {
    match pattern.get(at)? {
        '_' => Some(at + 1),
        '[' => {
            let end = at + pattern[at..].iter().position(|each| *each == ']')?;
            let inside = &pattern[at + 1..end];
            let (not, inside) = inside.strip_prefix(&['^']).map_or((false, inside), |rest| (true, rest));
            let found = match inside {
                [from, '-', to] => (*from..=*to).contains(&character),
                set => set.contains(&character),
            };
            (found != not).then_some(end + 1)
        }
        same if *same == character => Some(at + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_known_programs_are_read() {
        for text in [
            "select * from Msvm_ComputerSystem where Description = \"Microsoft Virtual Machine\"",
            "SELECT Name,ElementName FROM Msvm_ComputerSystem WHERE (Name <> 'HOST' AND EnabledState = 2) OR Name LIKE 'a%'",
            "ASSOCIATORS OF {Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='G'} WHERE AssocClass = \
             Msvm_SettingsDefineState ResultClass = Msvm_VirtualSystemSettingData",
            "REFERENCES OF {Msvm_ComputerSystem.Name='G'} WHERE ResultClass = Msvm_SettingsDefineState",
            "select * from Msvm_VirtualSystemSettingData where NOT VirtualSystemType IS NULL",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in
            ["", "delete from x", "select from x", "select * from x where", "select * from x y", "select * from 'x"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_backslash_in_a_literal_stands_for_what_follows() {
        let Some(Query::Select { condition: Some(Condition::Compare(_, Operator::Like, literal)), .. }) =
            parse(r"select * from X where InstanceID like 'Microsoft:AB\\%'")
        else {
            panic!("not read")
        };
        assert_eq!(literal, r"Microsoft:AB\%");
        assert!(compare(r"microsoft:ab\0\1", Operator::Like, &literal));
        assert!(!compare(r"microsoft:abc\0\1", Operator::Like, &literal));
    }

    #[test]
    fn a_path_with_its_host_is_read() {
        let found =
            path(r#"\\HV01\Root\Virtualization\V2:Msvm_ResourceAllocationSettingData.InstanceID="Microsoft:A\\B\\0""#);
        let found = found.expect("a path");
        assert_eq!(
            (found.class.as_str(), found.keys[0].1.as_str()),
            ("Msvm_ResourceAllocationSettingData", r"Microsoft:A\B\0")
        );
    }

    #[test]
    fn patterns_match_as_in_wmi() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "a[b-d]c", true),
            ("abc", "a[^b]c", false),
            ("abcabd", "%ab_", true),
            ("", "%", true),
            ("abc", "abcd", false),
            ("abc", "", false),
        ] {
            assert_eq!(compare(text, Operator::Like, pattern), expected, "{text} {pattern}");
        }
        assert!(compare("10", Operator::Greater, "9"));
    }
}
